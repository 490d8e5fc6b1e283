//! Talking to systemd: ready, reloading, stopping, alive, and the sockets it hands over.
//!
//! Everything here does nothing where there is no systemd.

use super::Daemon;
use crate::server::{Bound, inherit};
use crate::tasks::Tasks;
use sd_notify::NotifyState;
use std::io;
use std::sync::Arc;

/// The sockets that the service manager has opened for us. Call once, before anything is opened.
///
/// # Errors
/// One of them is no listening socket.
pub fn inherited_sockets() -> io::Result<Vec<Bound>> {
    inherit(sd_notify::listen_fds()?)
}

/// The daemon serves.
pub(super) fn ready(daemon: &Daemon) {
    tell(&[NotifyState::Ready, NotifyState::Status(&status(daemon))]);
}

/// The configuration is being read anew.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon finishes what runs.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what runs")]);
}

/// Tells the watchdog, twice in its interval, that the runtime turns and the desk answers. A desk that
/// hangs stops the telling.
pub(super) fn watch(daemon: &Daemon, tasks: &Tasks) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let gateway = Arc::clone(&daemon.gateway);
    let stopping = tasks.stopping();
    tasks.spawn("watchdog", async move {
        let mut ticks = tokio::time::interval(interval / 2);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let depth = gateway.queue_depth();
            tracing::trace!(?depth, "alive");
            tell(&[NotifyState::Watchdog]);
        }
    });
}

fn status(daemon: &Daemon) -> String {
    match daemon.settings.exchange.providers.as_slice() {
        [only] => format!("serving provider {}", only.id),
        several => format!("serving {} providers", several.len()),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
