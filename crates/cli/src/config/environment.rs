//! SUREFOOT_* variables: `SUREFOOT_STORE`, `SUREFOOT_LIMITS_SLOTS`; and those of OpenTelemetry that
//! say where traces go.

use std::collections::BTreeMap;

use super::Origin;
use crate::input::parse_or_text;

const PREFIX: &str = "SUREFOOT_";
/// Every program that talks to a server reads this one; `server` itself is a table here.
const SERVER: &str = "SUREFOOT_SERVER";

/// Takes the variables of OpenTelemetry: what is said of traces alone holds over what is said of
/// everything.
pub fn telemetry(variables: &BTreeMap<String, String>) -> BTreeMap<String, Origin> {
    let mut values = BTreeMap::new();
    let text = |name: &str| variables.get(name).map(|it| it.trim()).filter(|it| !it.is_empty());
    let mut set = |key: &str, name: &str, value: &str| {
        let source = format!("the variable {name}");
        values.insert(key.to_owned(), Origin { source, value: value.into() });
    };
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        let pairs = text(name).into_iter().flat_map(|it| it.split(','));
        for (header, value) in pairs.filter_map(|it| it.split_once('=')) {
            set(&format!("traces.headers.{}", header.trim()), name, &percent_decoded(value.trim()));
        }
    }
    if let Some(base) = text("OTEL_EXPORTER_OTLP_ENDPOINT") {
        let url = format!("{}/v1/traces", base.trim_end_matches('/'));
        set("traces.endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    }
    if let Some(url) = text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        set("traces.endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url);
    }
    if let Some(name) = text("OTEL_SERVICE_NAME") {
        set("traces.service_name", "OTEL_SERVICE_NAME", name);
    }
    let is_off =
        |name: &str, word: &str| text(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
    for (name, word) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        if is_off(name, word) {
            set("traces.endpoint", name, "");
        }
    }
    values
}

/// Values of headers are written as in W3C Baggage: with percent signs.
fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        let digits = others.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes the variables that name a known key. Others belong to somebody else, such as the secrets
/// of tasks.
pub fn layer(variables: &BTreeMap<String, String>, known: &[String]) -> BTreeMap<String, Origin> {
    let mut values = BTreeMap::new();
    if let Some(url) = variables.get(SERVER) {
        let source = format!("the variable {SERVER}");
        values.insert("server_url".to_owned(), Origin { source, value: url.as_str().into() });
    }
    for key in known {
        let name = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        if let Some(text) = variables.get(&name) {
            let own = super::OWN.contains(&key.as_str());
            let value = if own { text.as_str().into() } else { parse_or_text(text) };
            values.insert(key.clone(), Origin { source: format!("the variable {name}"), value });
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let variables =
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let text = |it: Origin| it.value.as_str().unwrap_or_default().to_owned();
        telemetry(&variables).into_iter().map(|(key, it)| (key, text(it))).collect()
    }

    #[test]
    fn the_variables_of_open_telemetry_say_where_traces_go() {
        const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        for (variables, expected) in [
            (&[][..], None),
            (&[(BASE, "")], None),
            (&[(BASE, "http://collector:4318")], Some("http://collector:4318/v1/traces")),
            (&[(BASE, "http://collector/otlp/")], Some("http://collector/otlp/v1/traces")),
            (&[(BASE, "http://a"), (OWN, "http://b/in")], Some("http://b/in")),
            (&[(BASE, "http://a"), ("OTEL_SDK_DISABLED", "TRUE")], Some("")),
            (&[(BASE, "http://a"), ("OTEL_TRACES_EXPORTER", "none")], Some("")),
        ] {
            let endpoint = told(variables).remove("traces.endpoint");
            assert_eq!(endpoint.as_deref(), expected, "{variables:?}");
        }
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b, authorization=Basic 100%");
        let told = told(&[headers, ("OTEL_SERVICE_NAME", "shop")]);
        assert_eq!(told["traces.headers.x-key"], "a b");
        assert_eq!(told["traces.headers.authorization"], "Basic 100%");
        assert_eq!(told["traces.service_name"], "shop");
    }
}
