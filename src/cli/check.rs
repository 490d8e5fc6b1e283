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
    let found = match loaded.place {
        None => "what the environment and this machine offer is taken at the start".to_owned(),
        Some(_) => format!(
            "{}, {}",
            counted(exchange.providers.len(), "provider"),
            counted(exchange.routes.len(), "route")
        ),
    };
    say(&format!("{}: ok, {found}", loaded.origin()));
    ExitCode::SUCCESS
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
