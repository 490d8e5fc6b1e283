//! What kind of content a call has, as far as it tells how far a count may be off.
//!
//! A cheap look at samples: vocabularies differ by less within a kind than between kinds. Refuses to read the
//! whole, and to be right about mixtures: the same conversation must only be taken for the same kind each time.

use crate::units::Tokens;
use crate::wire::Content;

/// The kinds whose counts go wrong each in its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Written language in an alphabet, and whatever is nothing else.
    #[default]
    Prose,
    /// Programs.
    Code,
    /// JSON and what looks like it, definitions of tools included.
    Json,
    /// Chinese, Japanese, Korean.
    Cjk,
    /// Mostly pictures or sound.
    Media,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Prose, Kind::Code, Kind::Json, Kind::Cjk, Kind::Media];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Prose => "prose",
            Kind::Code => "code",
            Kind::Json => "json",
            Kind::Cjk => "cjk",
            Kind::Media => "media",
        }
    }
}

/// Samples that are looked at, spread over all texts, and the bytes of each.
const SAMPLES: usize = 64;
const SAMPLE_BYTES: usize = 64;

/// Of the characters looked at, in hundredths: so many of East Asian writing, of JSON's marks, of a program's marks
/// make it that kind. English prose has 2 to 4 of any mark, JSON 20 to 40, programs 10 to 20; Japanese and Korean
/// mixed with English terms keep above a fifth.
const CJK_PERCENT: usize = 20;
const JSON_PERCENT: usize = 14;
const CODE_PERCENT: usize = 6;

/// The kind of `content`, whose texts and pictures cost so many tokens.
pub(super) fn kind_of(content: &Content<'_>, written: Tokens, media: Tokens) -> Kind {
    if media > written {
        return Kind::Media;
    }
    let texts: usize = content.texts.iter().map(|text| text.len()).sum();
    let schemas: usize = content.schemas.iter().map(|schema| schema.len()).sum();
    if schemas > texts {
        return Kind::Json;
    }
    let mut seen = Seen::default();
    // Strides are whole bytes of all texts laid end to end, so that each text is looked at by its share.
    let stride = (texts / SAMPLES).max(SAMPLE_BYTES);
    let (mut next, mut before) = (0, 0);
    for text in &content.texts {
        while next < before + text.len() {
            seen.look(text, next - before);
            next += stride;
        }
        before += text.len();
    }
    seen.kind()
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    chars: usize,
    cjk: usize,
    json: usize,
    code: usize,
}

impl Seen {
    fn look(&mut self, text: &str, at: usize) {
        let start = text.floor_char_boundary(at);
        let end = text.floor_char_boundary(at + SAMPLE_BYTES);
        for c in text[start..end].chars() {
            self.chars += 1;
            match c {
                '"' | ':' => self.json += 1,
                '{' | '}' | '[' | ']' => {
                    self.json += 1;
                    self.code += 1;
                }
                ';' | '=' | '(' | ')' | '<' | '>' | '&' | '|' | '_' | '/' | '*' | '#' | '$' | '\\' => {
                    self.code += 1;
                }
                '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' => self.cjk += 1,
                '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}' => self.cjk += 1,
                _ => {}
            }
        }
    }

    fn kind(self) -> Kind {
        let reaches = |part: usize, percent: usize| part * 100 > self.chars * percent;
        if reaches(self.cjk, CJK_PERCENT) {
            Kind::Cjk
        } else if reaches(self.json, JSON_PERCENT) && self.json > self.code {
            Kind::Json
        } else if reaches(self.code, CODE_PERCENT) {
            Kind::Code
        } else {
            Kind::Prose
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(texts: &[&str]) -> Kind {
        let texts = texts.iter().map(|text| (*text).into()).collect();
        kind_of(&Content { texts, ..Content::default() }, Tokens(1), Tokens::ZERO)
    }

    #[test]
    fn each_kind_is_told_from_the_others() {
        let code = "fn main() {\n    let x = items.iter().map(|i| i * 2).collect::<Vec<_>>();\n}\n";
        let python = "def load(path):\n    with open(path) as f:\n        return json.load(f)\n";
        let json = r#"{"id": 17, "name": "a", "tags": ["b", "c"], "on": true, "at": {"x": 1.5, "y": null}}"#;
        let prose = "It waits until there is room, and then (as a rule) sends the request: nothing is lost.";
        for (kind, texts) in [
            (Kind::Prose, vec![prose, "Grüße aus Köln, wo es \"heute\" regnet."]),
            (Kind::Prose, vec![]),
            (Kind::Prose, vec!["", "hello"]),
            (Kind::Code, vec![code, code]),
            (Kind::Code, vec![python]),
            (Kind::Json, vec![json]),
            (
                Kind::Cjk,
                vec!["今天天气很好，我们去公园吧。", "それは HTTP のリクエストです。", "한국어 문장입니다."],
            ),
        ] {
            assert_eq!(check(&texts), kind, "{texts:?}");
        }
    }

    #[test]
    fn most_of_the_text_decides_wherever_it_stands() {
        let prose = "It waits until there is room and nothing is lost on the way. ".repeat(400);
        let code = "if (a[i] == b->c) { x += f(y); } /* why */ ".repeat(20);
        assert_eq!(check(&[&code, &prose]), Kind::Prose);
        assert_eq!(check(&[&prose, &code]), Kind::Prose);
        assert_eq!(check(&["short", &code.repeat(40), "short"]), Kind::Code);
    }

    #[test]
    fn tools_are_json_and_pictures_are_media() {
        let content = Content { texts: vec!["hi".into()], schemas: vec!["{\"a\":1}"], ..Content::default() };
        assert_eq!(kind_of(&content, Tokens(10), Tokens::ZERO), Kind::Json);
        assert_eq!(kind_of(&content, Tokens(10), Tokens(11)), Kind::Media);
    }

    proptest! {
        #[test]
        fn any_text_has_a_kind(texts in prop::collection::vec("\\PC{0,300}", 0..6)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert!(Kind::ALL.contains(&check(&texts)));
        }
    }
}
