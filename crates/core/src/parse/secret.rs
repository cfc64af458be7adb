//! Recognises keys and passwords that stand in a definition, where everybody can read them.

use std::sync::LazyLock;

use regex::Regex;

/// Nothing shorter is a key.
const SECRET_LEN_MIN: usize = 16;

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(?:(?P<aws>A[KS]IA[0-9A-Z]{16})\b",
        r"|(?P<github>gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})",
        r"|(?P<stripe>[sr]k_live_[0-9A-Za-z]{16,})",
        r"|(?P<slack>xox[abeoprs]-[0-9A-Za-z-]{10,})",
        r"|(?P<google>AIza[0-9A-Za-z_-]{35})",
        r"|(?P<gitlab>glpat-[0-9A-Za-z_-]{20,}))",
        r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY)",
    ))
    .expect("the pattern is a constant that a test compiles")
});

/// Returns what kind of secret the text holds, in words.
pub(super) fn find(text: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 7] = [
        ("aws", "an AWS access key"),
        ("github", "a GitHub token"),
        ("stripe", "a live Stripe key"),
        ("slack", "a Slack token"),
        ("google", "a Google API key"),
        ("gitlab", "a GitLab token"),
        ("pem", "a private key"),
    ];
    if text.len() < SECRET_LEN_MIN {
        return None;
    }
    let found = SECRET.captures(text)?;
    KINDS.iter().find(|(name, _)| found.name(name).is_some()).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognised_and_text_is_not() {
        // Put together here, so that this file does not trip over its own kind.
        for (text, kind) in [
            (format!("{}{}", "AKIA", "ABCDEFGHIJKLMNOP"), "an AWS access key"),
            (format!("Bearer {}{}", "ghp_", "a".repeat(36)), "a GitHub token"),
            (format!("{}{}", "sk_live_", "0123456789abcdef"), "a live Stripe key"),
            (format!("{} RSA PRIVATE KEY-----", "-----BEGIN"), "a private key"),
        ] {
            assert_eq!(find(&text), Some(kind), "{text}");
        }
        for text in ["AKIA", "sk_test_0123456789abcdef", "a long sentence without any secret", ""] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
