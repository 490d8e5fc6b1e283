//! Errors as OpenAI writes them, for what tidegate itself has to say.
//!
//! Knows the shape only; what is said, with which status, is decided where the fault is known.

use bytes::Bytes;
use serde::Serialize;

/// The inside of an error. Clients expect all four keys, so what is absent is written as `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// What happened, in a sentence for a person.
    pub message: &'a str,
    /// The class, which clients match on, for example `rate_limit_error`; written as `type`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The key of the request that is wrong.
    pub param: Option<&'a str>,
    /// The exact reason, which clients match on, for example `rate_limit_exceeded`.
    pub code: Option<&'a str>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: ErrorBody<'a>,
}

impl ErrorBody<'_> {
    /// The body of an answer: `{"error":{...}}`.
    pub fn to_json(self) -> Vec<u8> {
        serde_json::to_vec(&Envelope { error: self }).expect("strings always become JSON")
    }

    /// The event that ends a stream which has already begun. Clients raise it as an error; a stream that
    /// merely ended would look complete to them.
    pub fn to_event(self) -> Bytes {
        let mut event = b"data: ".to_vec();
        event.extend(self.to_json());
        event.extend_from_slice(b"\n\n");
        event.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: ErrorBody<'_> = ErrorBody {
        message: "wait\n\"3s\"",
        kind: "requests",
        param: None,
        code: Some("rate_limit_exceeded"),
    };

    #[test]
    fn all_four_keys_are_there() {
        let wanted = concat!(
            r#"{"error":{"message":"wait\n\"3s\"","type":"requests","#,
            r#""param":null,"code":"rate_limit_exceeded"}}"#
        );
        assert_eq!(String::from_utf8(BODY.to_json()).unwrap(), wanted);
    }

    #[test]
    fn an_event_is_one_line_of_data() {
        let event = BODY.to_event();
        let text = std::str::from_utf8(&event).unwrap();
        assert!(text.starts_with("data: {\"error\":{") && text.ends_with("}}\n\n"));
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 1);
    }
}
