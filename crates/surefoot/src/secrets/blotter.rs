//! Blots secrets out of whatever attempts give back: as they are, and in the forms that programs
//! and protocols bring them into.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::kinds::TaskError;

/// What stands where a secret stood.
const BLOT: &str = "«secret»";
/// Shorter values are not blotted out: they would blot out half of every log.
const BLOTTED_LEN_MIN: usize = 4;
/// Shorter encoded forms are not blotted out, for they may be anything.
const FORM_LEN_MIN: usize = 8;
/// Bytes of the beginning of a secret that are blotted out where a text was cut off.
const BEGINNING_LEN_MIN: usize = 8;

/// Blots the secrets of one attempt out of texts and values.
#[derive(Clone, Default)]
pub(crate) struct Blotter {
    /// Longer ones first, in case one contains another.
    forms: Vec<String>,
}

impl Blotter {
    pub fn new(secrets: &[String]) -> Blotter {
        let secrets = secrets.iter().filter(|it| it.len() >= BLOTTED_LEN_MIN);
        let mut forms: Vec<String> = secrets.flat_map(|it| forms(it)).collect();
        forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Blotter { forms }
    }

    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), BLOT);
            }
        }
        if let Some(length) = self.cut_off(&text) {
            text.truncate(text.len() - length);
            text.push_str(BLOT);
        }
        text
    }

    /// Returns the length of a secret's beginning at the end of a text, where a limit cut it off. A
    /// few letters are no secret, and may be anything.
    fn cut_off(&self, text: &str) -> Option<usize> {
        let beginning = |form: &String| {
            let least = BEGINNING_LEN_MIN.max(form.len() / 2);
            let most = form.len().min(text.len() + 1);
            (least..most)
                .rev()
                .find(|length| form.get(..*length).is_some_and(|it| text.ends_with(it)))
        };
        self.forms.iter().filter_map(beginning).max()
    }

    pub fn value(&self, value: Value) -> Value {
        if self.forms.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|it| self.value(it)).collect(),
            Value::Object(entries) => Value::Object(
                entries.into_iter().map(|(key, it)| (self.text(&key), self.value(it))).collect(),
            ),
            // A secret of digits alone may come back as a number.
            Value::Number(number) if self.is_secret(&number.to_string()) => BLOT.into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Whether a number is a secret. A short one is more often a count than a code.
    fn is_secret(&self, number: &str) -> bool {
        number.len() >= FORM_LEN_MIN && self.forms.iter().any(|it| it == number)
    }

    pub fn error(&self, error: TaskError) -> TaskError {
        if self.forms.is_empty() {
            return error;
        }
        let details = self.value(error.details);
        TaskError { message: self.text(&error.message), details, ..error }
    }
}

/// Returns a secret as it may be written: as it is, inside of JSON, in a URL or form; and each of
/// these wherever it lies in something that is base64 or hexadecimal.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let mut encoded = Vec::new();
    for text in [secret, &json, &in_url(secret, "%20"), &in_url(secret, "+")] {
        encoded.extend([
            text.to_owned(),
            in_hexadecimal(text),
            in_hexadecimal(text).to_uppercase(),
        ]);
        for before in 0..3 {
            encoded.push(in_base64(text, before, &STANDARD_NO_PAD));
            encoded.push(in_base64(text, before, &URL_SAFE_NO_PAD));
        }
    }
    encoded.retain(|it| it.len() >= FORM_LEN_MIN);
    encoded.push(secret.to_owned());
    encoded
}

fn in_url(secret: &str, space: &str) -> String {
    let byte = |it: u8| match it {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(it).to_string()
        }
        b' ' => space.to_owned(),
        other => format!("%{other:02X}"),
    };
    secret.bytes().map(byte).collect()
}

fn in_hexadecimal(secret: &str) -> String {
    HEXLOWER.encode(secret.as_bytes())
}

/// Returns the letters that a secret makes in base64 whatever stands around it, if so many bytes
/// (of each three) stand before it.
fn in_base64(secret: &str, before: usize, alphabet: &base64::engine::GeneralPurpose) -> String {
    let text = alphabet.encode([&vec![0; before][..], secret.as_bytes()].concat());
    // The letter that shares bits with what stands before, and the one with what comes after.
    let first = (before * 8).div_ceil(6);
    let last = (before + secret.len()) * 8 / 6;
    text[first..last].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2/ä & \"more\"";

    fn blotter() -> Blotter {
        Blotter::new(&[SECRET.to_owned()])
    }

    #[test]
    fn a_secret_is_blotted_out_in_every_form() {
        let blotter = blotter();
        for around in ["", "a", "ab", "abc", "user:"] {
            let whole = format!("{around}{SECRET}{around}");
            let texts = [
                whole.clone(),
                json!({"k": whole}).to_string(),
                base64::engine::general_purpose::STANDARD.encode(&whole),
                base64::engine::general_purpose::URL_SAFE.encode(&whole),
                in_url(&whole, "%20"),
                in_url(&whole, "+"),
                in_hexadecimal(&whole),
                in_hexadecimal(&whole).to_uppercase(),
                in_hexadecimal(&in_url(&whole, "+")),
                base64::engine::general_purpose::STANDARD.encode(json!([whole]).to_string()),
            ];
            for text in texts {
                let found = blotter.text(&text);
                assert!(found.contains(BLOT), "{text}: {found}");
                let rest: String = found.split(BLOT).collect();
                assert!(!rest.contains("hunter") && !rest.contains("68756e"), "{text}: {found}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_secret_is_blotted_out_where_a_text_was_cut() {
        let blotter = blotter();
        assert_eq!(blotter.text("it is hunter2/ä & \"m"), format!("it is {BLOT}"));
        assert_eq!(blotter.text("it is hunter"), "it is hunter", "a few letters may be anything");
    }

    #[test]
    fn values_are_blotted_out_everywhere_and_others_stay() {
        let blotter = Blotter::new(&["31415926".to_owned(), "1000".to_owned(), "abc".to_owned()]);
        let value = json!({"31415926": [31415926, "x31415926y"], "b": [1000, "abc", null]});
        let expected = json!({BLOT: [BLOT, format!("x{BLOT}y")], "b": [1000, "abc", null]});
        assert_eq!(blotter.value(value), expected);
        assert_eq!(Blotter::default().text("abcd"), "abcd");
    }
}
