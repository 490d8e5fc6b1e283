//! Reads TOML values into the raw sections, remembering where each stood and going on after a mistake.
//!
//! serde stops at the first error; a person wants all of them. Refuses to know which sections and keys
//! there are (that is `raw`) and what values mean together (that is `resolve`).

use super::env::Env;
use super::expand::{BadExpansion, expand};
use super::mistake::{Mistake, named, nearest};
use super::raw;
use crate::secret::Secret;
use crate::units::parse_duration;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What reading needs besides the value: the environment, and a place for mistakes.
pub(super) struct Reader<'a> {
    pub(super) env: &'a Env,
    pub(super) mistakes: Vec<Mistake>,
}

/// A value of the file before anyone knows what it is.
pub(super) type Unread<'i> = Spanned<DeValue<'i>>;

/// A type that a key can have.
pub(super) trait Value: Sized {
    /// Reads the value of the key `at`. `None` after the mistake was written down.
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A table whose keys are known.
pub(super) trait Section: Default {
    /// Every key, as written.
    const KEYS: &'static [&'static str];
    /// Reads one value. `false` if there is no such key.
    fn set(&mut self, key: &str, value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> bool;
}

/// A table `[provider.NAME]` or `[route."NAME"]` and the name it was given.
#[derive(Debug)]
pub(super) struct Named<T> {
    pub(super) name: Spanned<String>,
    pub(super) section: T,
}

/// A string that is taken as it stands: commands, in which `$` is the shell's.
#[derive(Debug)]
pub(super) struct Verbatim(pub(super) String);

/// A table whose keys are names of other people's, such as headers: each with its text.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(Spanned<String>, Spanned<String>)>);

/// A table whose keys are names of other people's: each with its number.
#[derive(Debug, Default)]
pub(super) struct Numbers(pub(super) Vec<(Spanned<String>, Spanned<f64>)>);

/// A number of bytes, written as such or as `"32MiB"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

impl Reader<'_> {
    /// Writes a mistake down.
    pub(super) fn mistake(
        &mut self,
        span: Range<usize>,
        key: &str,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            span,
            key: key.to_owned(),
            wrong: wrong.into(),
            instead: instead.into(),
        });
    }

    /// Reads a table into its section; every key that the section does not have is a mistake.
    pub(super) fn section<T: Section>(&mut self, table: &DeTable<'_>, at: &str) -> T {
        let mut section = T::default();
        for (key, value) in table {
            let path = join(at, key.get_ref());
            if !section.set(key.get_ref(), value, &path, self) {
                let (wrong, instead) = unknown(key.get_ref(), at, T::KEYS);
                self.mistake(key.span(), &path, wrong, instead);
            }
        }
        section
    }

    /// The table that a section is read from.
    pub(super) fn table<'v, 'i>(&mut self, value: &'v Unread<'i>, at: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, at, "a table");
        }
        table
    }

    fn wrong_type(&mut self, value: &Unread<'_>, at: &str, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.mistake(
            value.span(),
            at,
            format!("{} must be {wanted}, not {found}", quoted(at)),
            format!("write {wanted}"),
        );
    }

    fn expanded(&mut self, text: &str, span: Range<usize>, at: &str) -> Option<String> {
        let (wrong, instead) = match expand(text, self.env) {
            Ok(expanded) => return Some(expanded),
            Err(BadExpansion::Unset(name)) => (
                format!("the environment variable {} is not set", named(&name)),
                format!(
                    "set it, or write `${{{0}:-}}` for nothing or `${{{0}:-value}}` for a default",
                    named(&name)
                ),
            ),
            Err(BadExpansion::Open) => (
                "`${` has no closing brace".to_owned(),
                "write `${NAME}`, or `$${` for the signs themselves".into(),
            ),
            Err(BadExpansion::BadName) => (
                "this is not the name of an environment variable".to_owned(),
                "write `${NAME}`, with letters, digits and underscores, or `$${` for the signs themselves"
                    .into(),
            ),
            Err(BadExpansion::TooLong) => {
                ("the variables make this string too long".to_owned(), "write at most 64 KiB".into())
            }
        };
        self.mistake(span, at, wrong, instead);
        None
    }
}

impl Value for String {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) => reader.expanded(text, value.span(), at),
            _ => {
                reader.wrong_type(value, at, "a string");
                None
            }
        }
    }
}

impl Value for Secret {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Secret> {
        String::read(value, at, reader).map(Secret::new)
    }
}

impl Value for Verbatim {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Verbatim> {
        match value.get_ref() {
            DeValue::String(text) => Some(Verbatim(text.clone().into_owned())),
            _ => {
                reader.wrong_type(value, at, "a string");
                None
            }
        }
    }
}

impl Value for bool {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<bool> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            reader.wrong_type(value, at, "true or false");
        }
        read
    }
}

impl Value for u64 {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<u64> {
        let Some(integer) = value.get_ref().as_integer() else {
            reader.wrong_type(value, at, "a whole number");
            return None;
        };
        let read = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        match read.map(u64::try_from) {
            Some(Ok(number)) => Some(number),
            Some(Err(_)) if read < Some(0) => {
                let wrong = format!("{} must not be negative", quoted(at));
                reader.mistake(value.span(), at, wrong, "write a number from 0 up");
                None
            }
            _ => {
                let wrong = format!("{} is larger than any limit can be", quoted(at));
                reader.mistake(value.span(), at, wrong, "write a smaller number");
                None
            }
        }
    }
}

impl Value for Bytes {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Bytes> {
        match value.get_ref() {
            DeValue::Integer(_) => u64::read(value, at, reader).map(Bytes),
            DeValue::String(text) => {
                let text = reader.expanded(text, value.span(), at)?;
                let bytes = parse_bytes(&text);
                if bytes.is_none() {
                    let wrong = format!("{} is not a size", quoted(at));
                    reader.mistake(
                        value.span(),
                        at,
                        wrong,
                        "write \"32MiB\", \"512KiB\", or a number of bytes",
                    );
                }
                bytes.map(Bytes)
            }
            _ => {
                reader.wrong_type(value, at, "a size such as \"32MiB\"");
                None
            }
        }
    }
}

impl Value for Duration {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Duration> {
        let DeValue::String(text) = value.get_ref() else {
            reader.wrong_type(value, at, "a duration such as \"30s\"");
            return None;
        };
        let text = reader.expanded(text, value.span(), at)?;
        let duration = parse_duration(&text);
        if duration.is_none() {
            let instead = "write a number and a unit: \"250ms\", \"30s\", \"2m\", \"1h30m\"";
            reader.mistake(value.span(), at, format!("{} is not a duration", quoted(at)), instead);
        }
        duration
    }
}

impl Value for Vec<Spanned<String>> {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(list) = value.get_ref().as_array() else {
            reader.wrong_type(value, at, "a list of strings");
            return None;
        };
        let mut read = |item: &Unread<'_>| match item.get_ref() {
            DeValue::String(text) => reader.expanded(text, item.span(), at),
            _ => {
                let wrong = format!("each item of {} must be a string", quoted(at));
                reader.mistake(item.span(), at, wrong, "put it in quotes");
                None
            }
        };
        let texts = list.iter().map(|item| Some(Spanned::new(item.span(), read(item)?)));
        // Every item is read, so that every mistake is found, before one bad item gives the list up.
        texts.collect::<Vec<_>>().into_iter().collect()
    }
}

impl Value for Pairs {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Pairs> {
        let mut pairs = Vec::new();
        for (name, value) in reader.table(value, at)? {
            let text = String::read(value, &join(at, name.get_ref()), reader);
            let name = Spanned::new(name.span(), name.get_ref().clone().into_owned());
            pairs.extend(text.map(|text| (name, Spanned::new(value.span(), text))));
        }
        Some(Pairs(pairs))
    }
}

impl Value for f64 {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<f64> {
        let read = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                number.map(|number| f64::from(i32::try_from(number).unwrap_or(i32::MAX)))
            }
            _ => None,
        };
        if read.is_none() {
            reader.wrong_type(value, at, "a number such as 1.5");
        }
        read
    }
}

impl Value for Numbers {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Numbers> {
        let mut numbers = Vec::new();
        for (name, value) in reader.table(value, at)? {
            let number = f64::read(value, &join(at, name.get_ref()), reader);
            let name = Spanned::new(name.span(), name.get_ref().clone().into_owned());
            numbers.extend(number.map(|number| (name, Spanned::new(value.span(), number))));
        }
        Some(Numbers(numbers))
    }
}

impl<T: Section> Value for Vec<Named<T>> {
    fn read(value: &Unread<'_>, at: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(value, at, &format!("tables such as [{at}.NAME]"));
            return None;
        };
        let mut sections = Vec::new();
        for (name, value) in table {
            let path = join(at, name.get_ref());
            let name = Spanned::new(name.span(), name.get_ref().clone().into_owned());
            match value.get_ref().as_table() {
                Some(table) => sections.push(Named { name, section: reader.section(table, &path) }),
                None => {
                    let wrong = format!("[{path}] must be a table");
                    reader.mistake(
                        name.span(),
                        &path,
                        wrong,
                        format!("write [{at}.NAME], with its keys below"),
                    );
                }
            }
        }
        Some(sections)
    }
}

/// The last part of a path, in backticks.
fn quoted(at: &str) -> String {
    format!("`{}`", at.rsplit('.').next().unwrap_or(at))
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { named(key) } else { format!("{at}.{}", named(key)) }
}

fn unknown(key: &str, at: &str, known: &[&'static str]) -> (String, String) {
    let place = if at.is_empty() { "the top of the file".to_owned() } else { format!("[{at}]") };
    let wrong = match at {
        "" => format!("there is no section [{}]", named(key)),
        _ => format!("{place} has no key `{}`", named(key)),
    };
    let instead = if let Some(near) = nearest(key, known.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if let Some(home) = raw::home_of(key) {
        format!("`{key}` belongs in [{home}]")
    } else {
        format!("{place} knows {}", known.join(", "))
    };
    (wrong, instead)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_and_without_units() {
        for (text, bytes) in
            [("32MiB", 33_554_432), ("1 kb", 1_000), ("7", 7), ("5B", 5), ("2GiB", 2_147_483_648)]
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1TiB", "99999999999GiB", "9é"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
