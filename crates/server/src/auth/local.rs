//! Where there are no tokens, whoever is on this machine may do everything. A browser on it is not:
//! it sends what pages of others tell it to send.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// Refuses a request that a page of somebody else made the browser send: one that comes from another
/// origin, or that was led here by a name that is not this machine's (DNS rebinding).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let host = headers.get(header::HOST).map(|_| text(header::HOST).unwrap_or_default());
    if host.is_some_and(|it| !is_this_machine(it)) {
        return Err(foreign("it was sent to a name that is not this machine's"));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|it| it.split_once("://")).map(|it| it.1);
    match origin {
        Some(origin) if host.is_none_or(|it| it.eq_ignore_ascii_case(origin)) => Ok(()),
        _ => Err(foreign("a page of another origin sent it")),
    }
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

fn foreign(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "SF4011", "this is not for pages of others")
        .detail(detail)
        .hint("Without tokens only programs on this machine are served; `surefoot token create` makes one.")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_this_machine_is_let_in_and_not_the_pages_that_it_shows() {
        let table = [
            (Some("127.0.0.1:7070"), None, true),
            (Some("localhost:7070"), None, true),
            (Some("[::1]:7070"), None, true),
            (None, None, true),
            (Some("127.0.0.1:7070"), Some("http://127.0.0.1:7070"), true),
            (Some("127.0.0.1:7070"), Some("http://evil.example"), false),
            (Some("127.0.0.1:7070"), Some("http://127.0.0.1:8080"), false),
            (Some("127.0.0.1:7070"), Some("null"), false),
            (Some("evil.example:7070"), None, false),
            (Some("evil.example:7070"), Some("http://evil.example:7070"), false),
            (Some("127.0.0.1.evil.example"), None, false),
            (Some("\u{e9}"), None, false),
        ];
        for (host, origin, allowed) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                if let Some(value) =
                    value.and_then(|it| HeaderValue::from_bytes(it.as_bytes()).ok())
                {
                    headers.insert(name, value);
                }
            }
            assert_eq!(check(&headers).is_ok(), allowed, "{host:?} {origin:?}");
        }
    }
}
