//! Values between JSON and PostgreSQL.
//!
//! Parameters travel as text, so that the server reads them by the type of their mark: a number
//! for a `numeric`, a string for a `uuid`, `timestamptz` or enum, a list for an array, anything for
//! `jsonb`; `bytea` takes base64. Results: integers and floats are numbers, `numeric` is a string
//! (it is exact), times are RFC 3339, `bytea` is base64, arrays are lists.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use data_encoding::HEXLOWER;
use serde_json::{Number, Value};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

type Failure = Box<dyn Error + Sync + Send>;

/// A parameter.
#[derive(Debug)]
pub(super) struct Bound<'v>(pub(super) &'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        if self.0.is_null() {
            return Ok(IsNull::Yes);
        }
        out.extend_from_slice(text(self.0, ty)?.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

fn text(value: &Value, ty: &Type) -> Result<String, Failure> {
    Ok(match (value, ty.kind()) {
        _ if *ty == Type::JSON || *ty == Type::JSONB => value.to_string(),
        (Value::Array(items), Kind::Array(member)) => array_text(items, member)?,
        (Value::String(text), _) if *ty == Type::BYTEA => {
            let bytes = STANDARD.decode(text).map_err(|_| "a bytea parameter must be base64")?;
            format!("\\x{}", HEXLOWER.encode(&bytes))
        }
        (Value::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    })
}

fn array_text(items: &[Value], member: &Type) -> Result<String, Failure> {
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        parts.push(match item {
            Value::Null => "NULL".to_owned(),
            Value::Array(inner) if *member != Type::JSON && *member != Type::JSONB => {
                array_text(inner, member)?
            }
            other => {
                let text = text(other, member)?.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{text}\"")
            }
        });
    }
    Ok(format!("{{{}}}", parts.join(",")))
}

/// A cell of a result.
pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Cell, Failure> {
        json_of(ty, raw).map(Cell)
    }

    fn from_sql_null(_: &Type) -> Result<Cell, Failure> {
        Ok(Cell(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn json_of(ty: &Type, raw: &[u8]) -> Result<Value, Failure> {
    match ty.kind() {
        Kind::Domain(inner) => return json_of(inner, raw),
        Kind::Enum(_) => return Ok(std::str::from_utf8(raw)?.into()),
        Kind::Array(_) => {
            let items = Vec::<Cell>::from_sql(ty, raw)?;
            return Ok(items.into_iter().map(|it| it.0).collect());
        }
        _ => {}
    }
    Ok(match *ty {
        Type::BOOL => bool::from_sql(ty, raw)?.into(),
        Type::INT2 => i16::from_sql(ty, raw)?.into(),
        Type::INT4 => i32::from_sql(ty, raw)?.into(),
        Type::INT8 => i64::from_sql(ty, raw)?.into(),
        Type::OID => u32::from_sql(ty, raw)?.into(),
        Type::FLOAT4 => float(f64::from(f32::from_sql(ty, raw)?)),
        Type::FLOAT8 => float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => numeric(raw)?.into(),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML => {
            std::str::from_utf8(raw)?.into()
        }
        Type::JSON => serde_json::from_slice(raw)?,
        // The first byte is the version of the format.
        Type::JSONB => serde_json::from_slice(raw.get(1..).unwrap_or_default())?,
        Type::BYTEA => STANDARD.encode(raw).into(),
        Type::UUID => uuid(raw).into(),
        Type::VOID => Value::Null,
        Type::TIMESTAMPTZ | Type::TIMESTAMP | Type::DATE if let Some(text) = infinity(raw) => {
            text.into()
        }
        Type::TIMESTAMPTZ => jiff::Timestamp::from_sql(ty, raw)?.to_string().into(),
        Type::TIMESTAMP => jiff::civil::DateTime::from_sql(ty, raw)?.to_string().into(),
        Type::DATE => jiff::civil::Date::from_sql(ty, raw)?.to_string().into(),
        Type::TIME => jiff::civil::Time::from_sql(ty, raw)?.to_string().into(),
        Type::INET => std::net::IpAddr::from_sql(ty, raw)?.to_string().into(),
        Type::INTERVAL => interval(raw)?.into(),
        _ => return Err(format!("the type {ty} cannot be read: cast the column to text").into()),
    })
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn infinity(raw: &[u8]) -> Option<&'static str> {
    let is_all = |first: u8, rest: u8| raw[0] == first && raw[1..].iter().all(|it| *it == rest);
    match raw {
        [_, ..] if is_all(0x7f, 0xff) => Some("infinity"),
        [_, ..] if is_all(0x80, 0) => Some("-infinity"),
        _ => None,
    }
}

fn uuid(raw: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Months, days and microseconds, as an ISO 8601 duration.
fn interval(raw: &[u8]) -> Result<String, Failure> {
    let micros = i64::from_be_bytes(raw.get(..8).ok_or("a short interval")?.try_into()?);
    let days = i32::from_be_bytes(raw.get(8..12).ok_or("a short interval")?.try_into()?);
    let months = i32::from_be_bytes(raw.get(12..16).ok_or("a short interval")?.try_into()?);
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, fraction) =
        (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let fraction = format!(".{fraction:06}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Ok(format!("P{months}M{days}DT{sign}{seconds}{fraction}S"))
}

/// Reads the binary form: a head of four numbers, then digits to the base of 10,000.
fn numeric(raw: &[u8]) -> Result<String, Failure> {
    let words: Vec<i16> =
        raw.chunks_exact(2).map(|it| i16::from_be_bytes([it[0], it[1]])).collect();
    let [_, weight, sign, scale, digits @ ..] = words.as_slice() else {
        return Err("a short numeric".into());
    };
    match *sign as u16 {
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let digit =
        |at: i32| usize::try_from(at).ok().and_then(|it| digits.get(it)).copied().unwrap_or(0);
    let weight = i32::from(*weight);
    let whole: String = (0..=weight).map(|at| format!("{:04}", digit(at))).collect();
    let whole = whole.trim_start_matches('0');
    let mut text = if *sign as u16 == 0x4000 { "-".to_owned() } else { String::new() };
    text.push_str(if whole.is_empty() { "0" } else { whole });
    let scale = usize::try_from(*scale).unwrap_or(0);
    if scale > 0 {
        let fraction: String = (0..scale.div_ceil(4) as i32)
            .map(|it| format!("{:04}", digit(weight + 1 + it)))
            .collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Ok(text)
}
