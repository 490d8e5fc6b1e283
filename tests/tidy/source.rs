//! Rust text as tokens, each with its line, comments and string contents kept apart from code.
//!
//! Knows nothing of rules. It understands just enough of Rust that a brace in a string, a quote in a
//! comment or a path in a raw string never misleads a rule; what it does not understand it passes on
//! as single marks.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword; `r#` is taken off.
    Word,
    /// One character of punctuation, or `::`.
    Mark,
    /// The inside of a string literal of any kind.
    Text,
    /// A number, character or lifetime.
    Other,
    /// A comment with its slashes.
    Comment,
}

/// A token and the line that it begins on, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
}

impl Token {
    /// Whether this is the given mark or word.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Word | Kind::Mark)
    }
}

/// A file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The path from the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// Everything but comments.
    pub code: Vec<Token>,
    pub comments: Vec<Token>,
    /// For each token of `code`, whether it stands in an item under `#[cfg(test)]`.
    pub in_test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let (comments, code): (Vec<_>, Vec<_>) =
            tokens(text).into_iter().partition(|token| token.kind == Kind::Comment);
        let in_test = mark_tests(&code);
        Source { path: path.to_owned(), text: text.to_owned(), code, comments, in_test }
    }

    /// The text of the token at `at`, or nothing behind the end.
    pub(crate) fn at(&self, at: usize) -> &str {
        self.code
            .get(at)
            .filter(|token| matches!(token.kind, Kind::Word | Kind::Mark))
            .map_or("", |t| &t.text)
    }
}

/// The index just behind the group that opens at `open`; the end if it never closes.
pub(crate) fn group_end(code: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in code.iter().enumerate().skip(open) {
        if token.kind == Kind::Mark {
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
    }
    code.len()
}

/// The index behind the item that begins at `start`: behind its `;`, or behind its braces.
pub(crate) fn item_end(code: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < code.len() {
        if code[at].is("(") || code[at].is("[") {
            at = group_end(code, at);
        } else if code[at].is("{") {
            let end = group_end(code, at);
            // `use a::{b, c};` goes on behind its braces.
            return if code.get(end).is_some_and(|next| next.is(";")) { end + 1 } else { end };
        } else if code[at].is(";") {
            return at + 1;
        } else {
            at += 1;
        }
    }
    at
}

fn mark_tests(code: &[Token]) -> Vec<bool> {
    let mut marks = vec![false; code.len()];
    for at in 0..code.len() {
        let wanted = ["#", "[", "cfg", "(", "test", ")", "]"];
        if wanted.iter().enumerate().all(|(i, text)| code.get(at + i).is_some_and(|token| token.is(text))) {
            let mut start = at + wanted.len();
            while code.get(start).is_some_and(|token| token.is("#")) {
                start = group_end(code, start + 1);
            }
            marks[at..item_end(code, start)].fill(true);
        }
    }
    marks
}

/// Cuts Rust text into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, line: 1, found: Vec::new() };
    while let Some(first) = lexer.rest.chars().next() {
        lexer.step(first);
    }
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self, first: char) {
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(Kind::Comment, 0, end, 0);
        } else if self.rest.starts_with("/*") {
            let end = block_comment_end(self.rest);
            self.take(Kind::Comment, 0, end, 0);
        } else if let Some((open, close)) = string_quotes(self.rest) {
            let raw = close.len() > 1 || self.rest[..open].contains('r');
            let end = open + string_end(&self.rest[open..], &close, raw);
            self.take(Kind::Text, open, end, close.len());
        } else if first == '\'' || self.rest.starts_with("b'") {
            self.quote(usize::from(first == 'b'));
        } else if first.is_alphabetic() || first == '_' {
            let prefix = if self.rest.starts_with("r#") { 2 } else { 0 };
            let word = self.rest[prefix..].find(|c: char| !c.is_alphanumeric() && c != '_');
            self.take(Kind::Word, prefix, word.map_or(self.rest.len(), |end| end + prefix), 0);
        } else if first.is_ascii_digit() {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
            self.take(Kind::Other, 0, end, 0);
        } else {
            let len = if self.rest.starts_with("::") { 2 } else { first.len_utf8() };
            self.take(Kind::Mark, 0, len, 0);
        }
    }

    /// A character literal, or a lifetime where no quote closes it.
    fn quote(&mut self, prefix: usize) {
        let inside = &self.rest[prefix + 1..];
        let first = inside.chars().next().unwrap_or('\'');
        let end = if first == '\\' {
            // Behind the escaped character, which may itself be a quote.
            inside[2.min(inside.len())..].find('\'').map(|at| at + 3)
        } else if inside[first.len_utf8().min(inside.len())..].starts_with('\'') {
            Some(first.len_utf8() + 1)
        } else {
            inside.find(|c: char| !c.is_alphanumeric() && c != '_')
        };
        let end = end.map_or(self.rest.len(), |end| prefix + 1 + end);
        self.take(Kind::Other, 0, end.min(self.rest.len()), 0);
    }

    /// Takes `end` bytes and keeps them without the first `from` and the last `cut`.
    fn take(&mut self, kind: Kind, from: usize, end: usize, cut: usize) {
        let text = self.rest[from..end.saturating_sub(cut).max(from)].to_owned();
        self.found.push(Token { kind, text, line: self.line });
        self.skip(end);
    }

    fn skip(&mut self, len: usize) {
        self.line += self.rest[..len].matches('\n').count();
        self.rest = &self.rest[len..];
    }
}

/// If a string literal begins here: the length of its opening and the text of its closing.
fn string_quotes(rest: &str) -> Option<(usize, String)> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let behind = rest.strip_prefix(prefix).unwrap_or("-");
        behind.starts_with('"') || (prefix.ends_with('r') && behind.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..].len() - rest[prefix.len()..].trim_start_matches('#').len();
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// The length up to and with the closing quotes; everything if they are missing.
fn string_end(inside: &str, close: &str, raw: bool) -> usize {
    let mut at = 0;
    while at < inside.len() {
        if inside[at..].starts_with(close) {
            return at + close.len();
        }
        let escaped = usize::from(!raw && inside[at..].starts_with('\\'));
        let mut next = inside[at..].chars();
        at += next.by_ref().take(1 + escaped).map(char::len_utf8).sum::<usize>();
    }
    inside.len()
}

fn block_comment_end(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let code = tokens(text).into_iter().filter(|t| t.kind != Kind::Comment);
        code.map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn strings_chars_lifetimes_and_comments_do_not_mislead() {
        assert_eq!(words(r#"a "b \" {" c"#), r#"a b \" { c"#);
        assert_eq!(words(r###"r##"x"# "## y"###), r##"x"#  y"##);
        assert_eq!(words("'{' b'\\'' '\\u{7d}' &'a str"), "'{' b'\\'' '\\u{7d}' & 'a str");
        assert_eq!(words("a /* { /* } */ { */ b // {\nc"), "a b c");
        assert_eq!(words("r#type b\"x\" 'é' 1.5"), "type x 'é' 1 . 5");
        assert_eq!(words("r\"\\\" x"), "\\ x");
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let found = tokens("\"a\nb\"\n/* c\n\n*/ d");
        assert_eq!(found.last().map(|token| token.line), Some(5));
    }

    #[test]
    fn text_that_never_closes_is_no_panic() {
        for text in ["\"a", "r#\"a", "/* a", "'", "b'", "'\\", "\"\\", "fn a(", "#[cfg(test)]", "r#"] {
            Source::new("src/a.rs", text);
        }
    }

    #[test]
    fn an_item_under_cfg_test_is_marked_to_its_end() {
        let source = Source::new(
            "src/a.rs",
            "a; #[cfg(test)] #[path = \"x\"] mod t { b } c; #[cfg(test)] use x::{d}; e",
        );
        let marked: Vec<_> = source.code.iter().zip(&source.in_test).filter(|(_, test)| **test).collect();
        let has = |word| marked.iter().any(|(token, _)| token.is(word));
        assert!(has("b") && has("d"));
        assert!(!has("a") && !has("c") && !has("e"));
    }
}
