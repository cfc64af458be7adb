//! The cryptography behind every TLS connection of the task kinds.

use std::sync::Once;

/// Makes ring the provider of this process, unless the embedding program chose one already.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a provider is installed, which is all that is needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
