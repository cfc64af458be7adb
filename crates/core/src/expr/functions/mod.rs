//! The functions of the language: one table says how each is called, what it takes and gives;
//! the checker reads it before a run, the evaluator relies on it during one.

mod collection;
mod convert;

mod number;
mod text;
mod time;

pub(super) use convert::plain_text;
pub(super) use text::compile;

use std::ops::RangeInclusive;

use super::ast::Call;
use super::budget::Meter;
use super::error::{EvalError, EvalErrorKind, Fault};
use super::eval::Outcome;
use super::types::{Mask, Type};
use super::value::Value;
use crate::limits::EXPRESSION_BYTES_MAX;

/// How a function may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(x)`
    Plain,
    /// `x.f()`
    Method,
    Both,
}

/// What a function gives, as far as it is known without the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returns {
    Any,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type,
    List,
    ListOfStrings,
    Map,
    /// Whatever the first argument is.
    Same,
}

pub(super) struct Signature {
    pub function: Function,
    pub name: &'static str,
    pub style: Style,
    /// What each argument may be, the target of a method first. The last one repeats.
    pub takes: &'static [Mask],
    pub count: RangeInclusive<usize>,
    pub returns: Returns,
}

macro_rules! functions {
    ($($function:ident $name:literal $style:ident ($($takes:expr),+) $count:expr, $returns:ident;)+) => {
        /// A function that an expression can call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function { $($function),+ }

        static SIGNATURES: &[Signature] = &[$(Signature {
            function: Function::$function,
            name: $name,
            style: Style::$style,
            takes: &[$($takes),+],
            count: $count,
            returns: Returns::$returns,
        }),+];
    };
}

/// Arguments of a function that takes any number of them; the source is too short for more.
const MANY: usize = EXPRESSION_BYTES_MAX;

const ANY: Mask = Mask::ANY;
const STR: Mask = Mask::STRING;
const NUM: Mask = Mask::NUMBER;
const LIST: Mask = Mask::LIST;
const MAP: Mask = Mask::MAP;
const SIZED: Mask = STR.or(Mask::BYTES).or(LIST).or(MAP);
const TIME: Mask = Mask::TIMESTAMP.or(Mask::DURATION);

functions! {
    // Types and conversions.
    Type        "type"        Plain  (ANY) 1..=1, Type;
    Dyn         "dyn"         Plain  (ANY) 1..=1, Any;
    Bool        "bool"        Plain  (Mask::BOOL.or(STR)) 1..=1, Bool;
    Int         "int"         Plain  (NUM.or(STR).or(Mask::TIMESTAMP).or(Mask::DURATION)) 1..=1, Int;
    Uint        "uint"        Plain  (NUM.or(STR)) 1..=1, Uint;
    Double      "double"      Plain  (NUM.or(STR)) 1..=1, Double;
    String      "string"      Plain  (Mask::SCALAR) 1..=1, String;
    Bytes       "bytes"       Plain  (STR.or(Mask::BYTES)) 1..=1, Bytes;
    Timestamp   "timestamp"   Plain  (STR.or(Mask::INT).or(Mask::TIMESTAMP)) 1..=1, Timestamp;
    Duration    "duration"    Plain  (STR.or(Mask::DURATION)) 1..=1, Duration;
    Json        "json"        Plain  (STR) 1..=1, Any;
    ToJson      "toJson"      Both   (ANY) 1..=1, String;
    Base64Encode "base64encode" Both (STR.or(Mask::BYTES)) 1..=1, String;
    Base64Decode "base64decode" Both (STR) 1..=1, Bytes;
    Hash        "hash"        Plain  (ANY) 1..=1, String;
    // Text.
    Size        "size"        Both   (SIZED) 1..=1, Int;
    Contains    "contains"    Method (STR, STR) 2..=2, Bool;
    StartsWith  "startsWith"  Method (STR, STR) 2..=2, Bool;
    EndsWith    "endsWith"    Method (STR, STR) 2..=2, Bool;
    Matches     "matches"     Both   (STR, STR) 2..=2, Bool;
    LowerAscii  "lowerAscii"  Method (STR) 1..=1, String;
    UpperAscii  "upperAscii"  Method (STR) 1..=1, String;
    Trim        "trim"        Method (STR) 1..=1, String;
    Split       "split"       Method (STR, STR) 2..=2, ListOfStrings;
    Join        "join"        Method (LIST, STR) 1..=2, String;
    Replace     "replace"     Method (STR, STR, STR) 3..=3, String;
    Substring   "substring"   Method (STR, NUM, NUM) 2..=3, String;
    IndexOf     "indexOf"     Method (STR.or(LIST), ANY) 2..=2, Int;
    // Numbers.
    Min         "min"         Plain  (ANY) 1..=MANY, Any;
    Max         "max"         Plain  (ANY) 1..=MANY, Any;
    Abs         "abs"         Plain  (NUM) 1..=1, Same;
    Round       "round"       Plain  (NUM) 1..=1, Same;
    Floor       "floor"       Plain  (NUM) 1..=1, Same;
    Ceil        "ceil"        Plain  (NUM) 1..=1, Same;
    // Lists and maps.
    Sum         "sum"         Method (LIST) 1..=1, Any;
    Sort        "sort"        Method (LIST) 1..=1, Same;
    Distinct    "distinct"    Method (LIST) 1..=1, Same;
    Flatten     "flatten"     Method (LIST) 1..=1, List;
    First       "first"       Method (LIST) 1..=1, Any;
    Last        "last"        Method (LIST) 1..=1, Any;
    Keys        "keys"        Method (MAP) 1..=1, List;
    Values      "values"      Method (MAP) 1..=1, List;
    Merge       "merge"       Method (MAP, MAP) 2..=2, Map;
    // Timestamps and durations.
    GetFullYear     "getFullYear"     Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetMonth        "getMonth"        Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetDate         "getDate"         Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetDayOfMonth   "getDayOfMonth"   Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetDayOfWeek    "getDayOfWeek"    Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetDayOfYear    "getDayOfYear"    Method (Mask::TIMESTAMP, STR) 1..=2, Int;
    GetHours        "getHours"        Method (TIME, STR) 1..=2, Int;
    GetMinutes      "getMinutes"      Method (TIME, STR) 1..=2, Int;
    GetSeconds      "getSeconds"      Method (TIME, STR) 1..=2, Int;
    GetMilliseconds "getMilliseconds" Method (TIME, STR) 1..=2, Int;
}

impl Function {
    pub(super) fn signature(self) -> &'static Signature {
        // The table is in the order of the enum: one macro makes both.
        &SIGNATURES[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.signature().name
    }
}

/// Finds the function that may be called `name`, written as a method or not.
pub(super) fn find(name: &str, is_method: bool) -> Option<Function> {
    let unfit = if is_method { Style::Plain } else { Style::Method };
    let found = SIGNATURES.iter().find(|it| it.name == name && it.style != unfit)?;
    Some(found.function)
}

/// Returns the names of all functions that can be written as a method, or not.
pub(super) fn names(is_method: bool) -> impl Iterator<Item = &'static str> {
    let unfit = if is_method { Style::Plain } else { Style::Method };
    SIGNATURES.iter().filter(move |it| it.style != unfit).map(|it| it.name)
}

impl Returns {
    pub(super) fn of(self, first: &Type) -> Type {
        match self {
            Returns::Any => Type::Any,
            Returns::Bool => Type::Bool,
            Returns::Int => Type::Int,
            Returns::Uint => Type::Uint,
            Returns::Double => Type::Double,
            Returns::String => Type::String,
            Returns::Bytes => Type::Bytes,
            Returns::Timestamp => Type::Timestamp,
            Returns::Duration => Type::Duration,
            Returns::Type => Type::Type,
            Returns::List => Type::list(Type::Any),
            Returns::ListOfStrings => Type::list(Type::String),
            Returns::Map => Type::map_of(Type::Any),
            Returns::Same => first.clone(),
        }
    }
}

pub(super) fn call<'e>(
    function: Function,
    call: &'e Call,
    arguments: &[Value<'e>],
    meter: &Meter,
) -> Outcome<'e> {
    let signature = function.signature();
    if !signature.count.contains(&arguments.len()) {
        return Err(wrong_count(signature, call.is_method, arguments.len()));
    }
    // Only these look into an object; all others see a map, or refuse it by its type.
    let materialized: Vec<Value<'e>>;
    let arguments = if arguments.iter().any(|it| matches!(it, Value::Object(_))) {
        let values = arguments.iter().map(|it| it.clone().materialize(meter));
        materialized = values.collect::<Result<_, _>>()?;
        &materialized[..]
    } else {
        arguments
    };
    let result = dispatch(function, call, arguments, meter)?;
    result.ok_or_else(|| no_overload(signature, arguments))
}

/// Calls the function. None means that it does not take values of these types.
type Called<'e> = Result<Option<Value<'e>>, Fault>;

fn dispatch<'e>(
    function: Function,
    call: &'e Call,
    arguments: &[Value<'e>],
    meter: &Meter,
) -> Called<'e> {
    use Function as F;
    match function {
        F::Type
        | F::Dyn
        | F::Bool
        | F::Int
        | F::Uint
        | F::Double
        | F::String
        | F::Bytes
        | F::Json
        | F::ToJson
        | F::Base64Encode
        | F::Base64Decode
        | F::Hash => convert::call(function, &arguments[0], meter),
        F::Matches => text::matches(call, arguments, meter),
        F::Contains
        | F::StartsWith
        | F::EndsWith
        | F::LowerAscii
        | F::UpperAscii
        | F::Trim
        | F::Split
        | F::Join
        | F::Replace
        | F::Substring => text::call(function, arguments, meter),
        F::Min | F::Max | F::Abs | F::Round | F::Floor | F::Ceil => {
            number::call(function, arguments, meter)
        }
        F::Size
        | F::IndexOf
        | F::Sum
        | F::Sort
        | F::Distinct
        | F::Flatten
        | F::First
        | F::Last
        | F::Keys
        | F::Values
        | F::Merge => collection::call(function, arguments, meter),
        F::Timestamp
        | F::Duration
        | F::GetFullYear
        | F::GetMonth
        | F::GetDate
        | F::GetDayOfMonth
        | F::GetDayOfWeek
        | F::GetDayOfYear
        | F::GetHours
        | F::GetMinutes
        | F::GetSeconds
        | F::GetMilliseconds => time::call(function, arguments),
    }
}

pub(super) fn wrong_count_message(signature: &Signature, is_method: bool, actual: usize) -> String {
    // The target of a method is not counted by the one who writes it.
    let hidden = usize::from(is_method);
    let (least, most) = (signature.count.start() - hidden, signature.count.end() - hidden);
    let wanted = match (least, most) {
        (least, most) if least == most => least.to_string(),
        (least, MANY) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    };
    let plural = if wanted == "1" { "" } else { "s" };
    let actual = actual - hidden;
    format!("`{}` takes {wanted} argument{plural}, here are {actual}", signature.name)
}

fn wrong_count(signature: &Signature, is_method: bool, actual: usize) -> Fault {
    let message = wrong_count_message(signature, is_method, actual);
    EvalError::fault(EvalErrorKind::NoSuchOverload, message)
}

fn no_overload(signature: &Signature, arguments: &[Value<'_>]) -> Fault {
    let types: Vec<String> = arguments.iter().map(|it| it.type_name().to_string()).collect();
    let message = format!("`{}` does not take {}", signature.name, types.join(" and "));
    EvalError::fault(EvalErrorKind::NoSuchOverload, message)
}

fn invalid(message: impl Into<String>) -> Fault {
    EvalError::fault(EvalErrorKind::InvalidArgument, message)
}
