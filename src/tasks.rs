//! Every background task is spawned here, has a name, and is waited for at drain.
//!
//! A bare `tokio::spawn` would run on, unseen, after the daemon believes that it has finished.

use std::future::Future;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of one daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// None yet.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Runs `work` beside everything else, under `name` in the log.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(work.instrument(tracing::info_span!("task", name)))
    }

    /// Completes when the daemon wants its tasks to end. Tasks that would run for ever select on it.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to end, and waits until each has.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_waits_for_every_task() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        let done = tasks.spawn("test", async move {
            stopping.cancelled().await;
            7
        });
        tasks.stop().await;
        assert_eq!(done.await.ok(), Some(7));
    }
}
