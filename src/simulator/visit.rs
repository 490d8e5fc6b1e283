//! One request from its arrival to its end, counted exactly once.
//!
//! A visit that is dropped before anyone said how it ended was left by its client; nothing else drops one early.

use super::account::Cost;
use super::family::family;
use super::refusal::Refusal;
use super::shared::Shared;
use super::stats::LastRequest;
use crate::dialect::Family;
use crate::units::Moment;
use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use parking_lot::Mutex;
use std::sync::Arc;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Served,
    Limited,
    Failed,
    Cut,
    Cancelled,
}

/// One request.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    /// Its number among all, from 1.
    pub(super) number: u64,
    /// Whose words its client reads.
    pub(super) family: Family,
    arrived: Moment,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    has_place: bool,
    ending: Option<Ending>,
}

impl Visit {
    /// A request has arrived.
    pub(super) fn begin(shared: &Arc<Shared>, parts: &Parts) -> Arc<Visit> {
        let visit = Visit {
            shared: Arc::clone(shared),
            number: shared.number(),
            family: family(parts),
            arrived: shared.clock.now(),
            progress: Mutex::default(),
        };
        let request = LastRequest::new(parts);
        shared.count(|stats| {
            stats.received += 1;
            stats.in_flight += 1;
            stats.last_request = Some(request);
        });
        Arc::new(visit)
    }

    /// Keeps the body for who looks at the last request.
    pub(super) fn keep_body(&self, body: &Bytes) {
        self.shared.count(|stats| {
            if let Some(last) = &mut stats.last_request {
                last.keep(body);
            }
        });
    }

    /// Charges a model call and takes its place; the headers tell what is left.
    pub(super) fn admit(&self, model: &str, cost: Cost) -> Result<HeaderMap, Refusal> {
        let admitted = self.shared.admit(self.family, model, cost);
        match admitted {
            Ok(_) => self.progress.lock().has_place = true,
            Err(_) => self.end(Ending::Limited),
        }
        admitted
    }

    /// The request has ended; only the first word counts. Its place is free before its client can know.
    pub(super) fn end(&self, ending: Ending) {
        let mut progress = self.progress.lock();
        if progress.ending.is_some() {
            return;
        }
        progress.ending = Some(ending);
        let had_place = std::mem::take(&mut progress.has_place);
        drop(progress);
        if had_place {
            self.shared.leave();
        }
        self.shared.count(|stats| {
            stats.in_flight -= 1;
            match ending {
                Ending::Served => stats.served += 1,
                Ending::Limited => stats.limited += 1,
                Ending::Failed => stats.failed += 1,
                Ending::Cut => stats.streams_cut += 1,
                Ending::Cancelled => stats.cancelled += 1,
            }
        });
    }

    /// Milliseconds since it arrived.
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.shared.clock.now().since(self.arrived).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.end(Ending::Cancelled);
    }
}
