//! The life of the daemon as a process: ready, reloads, drain, end.

use super::signals::{Signals, Wish};
use super::{Daemon, StartError, systemd};
use crate::config::{self, ConfigError, Env, Loaded};
use crate::server::{Bound, ListenAddress};
use std::error::Error;
use std::path::PathBuf;

/// Where the configuration comes from, at the start and at each reload.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file that the command line names.
    pub path: Option<PathBuf>,
    /// Addresses from the command line, in the place of the configured ones.
    pub listen: Vec<ListenAddress>,
    /// The environment.
    pub env: Env,
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that ran was finished.
    Drained,
    /// The time for it was over, and what still ran was broken off.
    BrokenOff,
    /// It was told twice to stop.
    Forced,
}

impl Source {
    /// Reads the configuration, with what the command line puts in its place. Blocks while it reads.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self) -> Result<Loaded, ConfigError> {
        let mut loaded = config::read(self.path.as_deref(), &self.env)?;
        if !self.listen.is_empty() {
            loaded.settings.server.listen.clone_from(&self.listen);
        }
        Ok(loaded)
    }

    /// Reads the configuration again, off the async threads.
    async fn reread(&self) -> Result<config::Settings, String> {
        let source = self.clone();
        let read = tokio::task::spawn_blocking(move || source.read()).await;
        let mut loaded = match read {
            Ok(read) => read.map_err(|error| match error {
                ConfigError::Mistakes(mistakes) => mistakes.render(false),
                other => match other.source() {
                    Some(cause) => format!("{other}: {cause}"),
                    None => other.to_string(),
                },
            })?,
            Err(_) => return Err("reading it panicked".to_owned()),
        };
        loaded.discover(&self.env).await;
        Ok(loaded.settings)
    }
}

/// Runs the daemon until it is told to stop. `started` is called once it serves.
///
/// # Errors
/// Why it cannot start.
pub async fn run(
    source: Source,
    loaded: Loaded,
    inherited: Vec<Bound>,
    started: impl FnOnce(&Daemon),
) -> Result<Ended, StartError> {
    // Listened to before anything else, so that an early SIGTERM is not lost.
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let mut daemon = Daemon::start(loaded.settings, inherited).await?;
    systemd::ready(&daemon);
    systemd::watch(&daemon, &daemon.tasks.clone());
    started(&daemon);
    while signals.next().await == Wish::Reload {
        systemd::reloading();
        tokio::select! {
            read = source.reread() => daemon.reload(read),
            // The command that prints a key may be slow, and a pipe in the place of a file may never end.
            () = signals.stop() => break,
        }
        systemd::ready(&daemon);
    }
    tracing::info!("stopping");
    systemd::stopping();
    tokio::select! {
        done = daemon.drain() => Ok(if done { Ended::Drained } else { Ended::BrokenOff }),
        () = signals.stop() => Ok(Ended::Forced),
    }
}
