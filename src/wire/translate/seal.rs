//! Seals of one dialect, carried in the place that another dialect has for its own.
//!
//! A provider wants to see its signatures and encrypted thoughts again with the next turn, and the client that
//! must bring them speaks another dialect. So they travel through the client in that dialect's own field, marked
//! with whose they are. Refuses to know what a seal says. Invariant: [`unwrapped`] takes what [`wrapped`] gave
//! back to the same seal, and any other text is a plain seal of the dialect that it came in.

use super::hub::Seal;
use crate::dialect::Dialect;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What marks a seal as another dialect's. No provider's own seal has a colon: all are base64.
const MARK: &str = "tidegate:";
/// What marks the thought itself, encrypted.
const REDACTED: &str = "redacted:";

/// The text that stands for a seal in a dialect: its plain data where the seal is that dialect's own, else
/// `tidegate:DIALECT:DATA` or `tidegate:DIALECT:redacted:DATA`. Gemini's is in base64, because Gemini's libraries
/// refuse a signature that is none.
pub(super) fn wrapped(seal: &Seal, to: Dialect) -> String {
    if seal.by == to {
        return seal.data.clone();
    }
    let marked = format!("{MARK}{}:{}{}", seal.by, if seal.redacted { REDACTED } else { "" }, seal.data);
    if to == Dialect::Gemini { STANDARD.encode(marked) } else { marked }
}

/// The seal that a text in a dialect stands for. Whether a plain one is redacted, its dialect's reader knows.
pub(super) fn unwrapped(by: Dialect, data: &str) -> Seal {
    let decoded = if by == Dialect::Gemini {
        // Google's library for Python gives bytes back in the alphabet for URLs.
        let bytes = STANDARD.decode(data).or_else(|_| URL_SAFE.decode(data));
        bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok())
    } else {
        None
    };
    let marked = decoded.as_deref().unwrap_or(data);
    foreign(marked).unwrap_or_else(|| Seal { by, data: data.to_owned(), redacted: false })
}

/// What stands where a dialect has a seal and a thought has none, so that it is known when it comes back: its own
/// provider has not made it.
pub(super) const UNSEALED: &str = "tidegate:chat:";

/// Whether a text in a dialect is another dialect's seal.
pub(super) fn is_foreign(by: Dialect, data: &str) -> bool {
    unwrapped(by, data).by != by
}

fn foreign(marked: &str) -> Option<Seal> {
    let (name, data) = marked.strip_prefix(MARK)?.split_once(':')?;
    let by = Dialect::CONVERSATIONS.into_iter().find(|dialect| dialect.name() == name)?;
    let (data, redacted) = data.strip_prefix(REDACTED).map_or((data, false), |data| (data, true));
    Some(Seal { by, data: data.to_owned(), redacted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(by: Dialect, redacted: bool) -> Seal {
        Seal { by, data: "Ab+/9==".to_owned(), redacted }
    }

    #[test]
    fn a_seal_comes_back_through_every_other_dialect() {
        for by in Dialect::CONVERSATIONS {
            for through in Dialect::CONVERSATIONS {
                for redacted in [false, true] {
                    let back = unwrapped(through, &wrapped(&seal(by, redacted), through));
                    assert_eq!(back, seal(by, redacted && by != through), "{by} through {through}");
                }
            }
        }
    }

    #[test]
    fn a_seal_comes_back_through_gemini_in_the_alphabet_for_urls() {
        let seal = Seal { by: Dialect::Responses, data: "gAAA~~~???>>>".to_owned(), redacted: false };
        let text = wrapped(&seal, Dialect::Gemini);
        assert!(text.contains(['+', '/']), "{text}");
        assert_eq!(unwrapped(Dialect::Gemini, &text.replace('+', "-").replace('/', "_")), seal);
    }

    #[test]
    fn the_text_says_whose_it_is() {
        let text = wrapped(&seal(Dialect::Messages, true), Dialect::Responses);
        assert_eq!(text, "tidegate:messages:redacted:Ab+/9==");
        assert_eq!(wrapped(&seal(Dialect::Messages, true), Dialect::Messages), "Ab+/9==");
        let text = wrapped(&seal(Dialect::Chat, false), Dialect::Gemini);
        assert_eq!(STANDARD.decode(text).unwrap(), b"tidegate:chat:Ab+/9==");
    }

    #[test]
    fn a_text_that_only_looks_marked_stays_what_it_is() {
        for odd in
            ["", "tidegate:", "tidegate:chat", "tidegate:nobody:x", "tidegate:embeddings:x", "dGlkZWdhdGU6"]
        {
            for by in Dialect::CONVERSATIONS {
                let plain = Seal { by, data: odd.to_owned(), redacted: false };
                assert_eq!(unwrapped(by, odd), plain);
            }
        }
    }
}
