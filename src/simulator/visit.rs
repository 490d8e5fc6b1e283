//! One request from its arrival to its end, counted exactly once.
//!
//! A visit that is dropped before anyone said how it ended was left by its client; nothing else drops one early.

use super::account::Charge;
use super::family::family;
use super::refusal::Refusal;
use super::shared::Shared;
use super::stats::{LastRequest, label};
use super::usage::Used;
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
    /// Whose share it counts in.
    label: Box<str>,
    arrived: Moment,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// What it holds at the account, once it is admitted.
    charge: Option<Charge>,
    /// What it has written, in tokens by the rule of `count`.
    written: u64,
    ending: Option<Ending>,
}

impl Visit {
    /// A request has arrived.
    pub(super) fn begin(shared: &Arc<Shared>, parts: &Parts) -> Arc<Visit> {
        let visit = Visit {
            shared: Arc::clone(shared),
            number: shared.number(),
            family: family(parts),
            label: label(&parts.headers).into(),
            arrived: shared.clock.now(),
            progress: Mutex::default(),
        };
        let request = LastRequest::new(parts);
        shared.count(|stats| {
            stats.received += 1;
            stats.in_flight += 1;
            stats.last_request = Some(request);
            stats.share(&visit.label).received += 1;
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
    pub(super) fn admit(&self, model: &str, used: Used) -> Result<HeaderMap, Refusal> {
        match self.shared.admit(self.family, model, used.demand()) {
            Ok((headers, charge)) => {
                self.charged(charge.tokens());
                self.progress.lock().charge = Some(charge);
                Ok(headers)
            }
            Err(refusal) => {
                self.end(Ending::Limited);
                Err(refusal)
            }
        }
    }

    /// So many more tokens of the answer have been written.
    pub(super) fn wrote(&self, tokens: u64) {
        let mut progress = self.progress.lock();
        progress.written = progress.written.saturating_add(tokens);
        let written = progress.written;
        let more = progress.charge.as_mut().map_or(0, |charge| self.shared.wrote(charge, written));
        drop(progress);
        if more > 0 {
            self.charged(more);
        }
    }

    fn charged(&self, tokens: u64) {
        self.shared.count(|stats| stats.charge(&self.label, tokens));
    }

    /// The request has ended; only the first word counts. Its place is free before its client can know.
    pub(super) fn end(&self, ending: Ending) {
        let mut progress = self.progress.lock();
        if progress.ending.is_some() {
            return;
        }
        progress.ending = Some(ending);
        let (charge, mut written) = (progress.charge.take(), progress.written);
        drop(progress);
        let (mut more, mut back) = (0, 0);
        if let Some(mut charge) = charge {
            // Whatever a dialect does not write token by token is there in a complete answer all the same.
            if ending == Ending::Served {
                written = written.max(charge.output());
            }
            more = self.shared.wrote(&mut charge, written);
            back = self.shared.leave(&charge, written);
        }
        self.shared.count(|stats| {
            stats.charge(&self.label, more);
            stats.give_back(&self.label, back);
            let share = stats.share(&self.label);
            share.served += u64::from(ending == Ending::Served);
            share.limited += u64::from(ending == Ending::Limited);
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
