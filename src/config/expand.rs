//! Variables inside the strings of a configuration: `${NAME}`, `${NAME:-default}`, and `$$` for one `$`.
//!
//! Works on strings that TOML has already read, so that a value can never bring syntax with it, and
//! never looks at what it has put in. Its errors name variables, never values.

use super::env::Env;

/// The longest string that an expansion may make. No key, path or name is anywhere near it; without a
/// bound, a short file could multiply one long variable into gigabytes.
const EXPANDED_MAX: usize = 64 * 1024;

/// Why a string could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadExpansion {
    /// The variable is not set and has no default.
    Unset(String),
    /// A `${` without its `}`.
    Open,
    /// What stands between the braces is no variable name.
    BadName,
    /// The result is longer than any setting can be.
    TooLong,
}

/// Puts the values of variables in their places. The default is taken where the variable is unset or
/// empty, as a shell does. A `$` before anything but `{` or `$` is itself.
pub(super) fn expand(text: &str, env: &Env) -> Result<String, BadExpansion> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (inside, after) = after.split_once('}').ok_or(BadExpansion::Open)?;
            expanded.push_str(variable(inside, env)?);
            rest = after;
        } else {
            expanded.push('$');
        }
        if expanded.len() > EXPANDED_MAX {
            return Err(BadExpansion::TooLong);
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn variable<'a>(inside: &'a str, env: &'a Env) -> Result<&'a str, BadExpansion> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(BadExpansion::BadName);
    }
    match default {
        Some(default) => Ok(env.get(name).unwrap_or(default)),
        None => env.get_even_empty(name).ok_or_else(|| BadExpansion::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, BadExpansion>) {
        let env = Env::from_pairs([("KEY", "sk-1"), ("EMPTY", ""), ("NESTED", "${KEY}\"\n[server]")]);
        assert_eq!(expand(text, &env), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn variables_and_defaults_take_their_places() {
        check("plain", Ok("plain"));
        check("${KEY}", Ok("sk-1"));
        check("a${KEY}b${KEY}c", Ok("ask-1bsk-1c"));
        check("${NONE:-x y}", Ok("x y"));
        check("${NONE:-}", Ok(""));
        check("${EMPTY:-x}", Ok("x"));
        check("${EMPTY}", Ok(""));
    }

    #[test]
    fn a_doubled_dollar_is_one_dollar() {
        check("$${KEY}", Ok("${KEY}"));
        check("$5 and $", Ok("$5 and $"));
        check("$$$$", Ok("$$"));
    }

    #[test]
    fn what_was_put_in_is_not_expanded_again() {
        check("${NESTED}", Ok("${KEY}\"\n[server]"));
    }

    #[test]
    fn mistakes_name_the_variable_and_nothing_else() {
        check("${NONE}", Err(BadExpansion::Unset("NONE".to_owned())));
        check("${KEY", Err(BadExpansion::Open));
        check("${}", Err(BadExpansion::BadName));
        check("${sk-canary}", Err(BadExpansion::BadName));
        check("${1A}", Err(BadExpansion::BadName));
    }

    #[test]
    fn a_long_variable_cannot_be_multiplied_without_end() {
        let env = Env::from_pairs([("LONG", "x".repeat(EXPANDED_MAX / 2))]);
        assert!(expand("${LONG}", &env).is_ok());
        assert_eq!(expand(&"${LONG}".repeat(1000), &env), Err(BadExpansion::TooLong));
    }
}
