//! Writing for people: numbers as they read them, and standard error, in colour where a terminal wants it.

use crate::config::{ConfigError, Env};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Writes a line to standard error. A closed standard error is no reason to fail.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether standard error wants colour: <https://no-color.org>.
pub(super) fn wants_colour(env: &Env) -> bool {
    env.get("NO_COLOR").is_none() && std::io::stderr().is_terminal()
}

/// Says why a configuration cannot be used, and gives the exit code.
pub(super) fn config_error(error: &ConfigError, env: &Env) -> ExitCode {
    match error {
        ConfigError::Mistakes(mistakes) => say(mistakes.render(wants_colour(env)).trim_end()),
        other => say(&format!("tidegate: {}", with_causes(other))),
    }
    ExitCode::from(error.exit_code())
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// `12345` as `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
