//! `tidegate check`: says what is wrong with a configuration.

use super::terminal::{config_error, say};
use crate::config::{self, Env};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// The configuration; without it, the one that `tidegate run` would read.
    file: Option<PathBuf>,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let env = Env::of_process();
    let loaded = match config::read(arguments.file.as_deref(), &env) {
        Ok(loaded) => loaded,
        Err(error) => return config_error(&error, &env),
    };
    for note in &loaded.notes {
        say(&format!("note: {note}"));
    }
    let exchange = &loaded.settings.exchange;
    say(&format!(
        "{}: ok, {} providers, {} routes",
        loaded.origin(),
        exchange.providers.len(),
        exchange.routes.len()
    ));
    ExitCode::SUCCESS
}
