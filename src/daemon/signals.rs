//! What the operating system asks for.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A wish that came as a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals that the daemon listens to.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Begins to listen. From here on SIGHUP no longer ends the process.
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// The next wish.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.term.recv() => Wish::Stop,
            _ = self.int.recv() => Wish::Stop,
            _ = self.hup.recv() => Wish::Reload,
        }
    }

    /// The next wish to stop. A reload that is asked for meanwhile stays to be heard.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
