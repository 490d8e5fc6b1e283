//! The log: on standard error, as text for a person or as JSON for a machine.
//!
//! What is logged is chosen where it is logged; nothing here sees a key, a prompt or an answer.

use super::settings::{LogFormat, LogSettings};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Begins to log. The first caller in a process wins; later calls change nothing.
///
/// # Errors
/// The filter, if it cannot be read.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&settings.level).map_err(|error| format!("{}: {error}", settings.level))?;
    let json = match settings.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if json {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        log.try_init()
    };
    // Tests start several daemons in one process; the first has set up the log for all.
    drop(started);
    Ok(())
}
