//! A key that cannot be printed by accident.
//!
//! No `Display`, no `Serialize`, a redacting `Debug`, zeroed when dropped.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A provider's key or a client's token.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Secret {
        Secret(SecretString::from(text))
    }

    /// The text itself. Call it only where the key goes on the wire or is compared.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    /// Tells a rotated key from an unchanged one on reload; not for checking what a client sent,
    /// because its time depends on the text.
    fn eq(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_print_shows_no_part_of_the_key() {
        let secret = Secret::new("sk-canary".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
        assert_eq!(secret.expose(), "sk-canary");
    }
}
