//! `tidegate check`: says what is wrong with a configuration.

use super::terminal::{config_error, say};
use crate::config::{self, Env};
use std::collections::BTreeSet;
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
        Some(_) => {
            // Accounts of one provider are settings of their own, and one section of the file.
            let mut sections = BTreeSet::new();
            for provider in &exchange.providers {
                sections.insert(provider.name());
            }
            let (providers, accounts) = (sections.len(), exchange.providers.len());
            let mut found = vec![counted(providers, "provider")];
            found.extend((accounts > providers).then(|| counted(accounts, "account")));
            found.extend((!exchange.groups.is_empty()).then(|| counted(exchange.groups.len(), "group")));
            found.push(counted(exchange.routes.len(), "route"));
            found.join(", ")
        }
    };
    say(&format!("{}: ok, {found}", loaded.origin()));
    ExitCode::SUCCESS
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
