//! What a translation could not carry, by name.
//!
//! Invariant: bounded, and fit for a header, whatever keys a client makes up.

use std::collections::BTreeSet;

/// The most names that are kept; a client may write any number of unknown keys.
const NAMES_MAX: usize = 16;
/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// Names of what got lost, each once, such as `logit_bias` or `tools.web_search`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(BTreeSet<String>);

impl Losses {
    /// Notes a loss. A name that is too long, or holds more than letters, digits and `_-.`, is noted as `other`.
    pub fn add(&mut self, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let fit = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain);
        if self.0.len() < NAMES_MAX {
            self.0.insert(if fit { name.to_owned() } else { "other".to_owned() });
        } else {
            self.0.insert("other".to_owned());
        }
    }

    /// Notes what another translation lost.
    pub fn extend(&mut self, others: &Losses) {
        others.0.iter().for_each(|name| self.add(name));
    }

    /// The names in order, separated by commas; `None` if nothing got lost.
    pub fn show(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_in_order_and_within_bounds() {
        let mut losses = Losses::default();
        assert_eq!(losses.show(), None);
        for name in ["seed", "logit_bias", "seed", "a\r\nb", ""] {
            losses.add(name);
        }
        assert_eq!(losses.show().as_deref(), Some("logit_bias, other, seed"));
        (0..1_000).for_each(|n| losses.add(&format!("key{n}")));
        assert_eq!(losses.0.len(), NAMES_MAX);
    }
}
