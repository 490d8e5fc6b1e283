//! The state that every request and every control shares: faults, limits, the account, who is held, what was counted.
//!
//! Two locks, neither ever held over an await: `state` guards what requests take and change, the watch channel guards
//! the counts. Counts change after the state, so whoever sees a count also sees the state behind it.

use super::account::{Account, Charge, Demand};
use super::counting::SimulatedCounting;
use super::faults::Faults;
use super::files::StoredFile;
use super::hash::mix;
use super::hold::{Hold, Holds};
use super::limit_headers::limit_headers;
use super::refusal::Refusal;
use super::seen::Seen;
use super::settings::{SimulatedLimits, SimulatorSettings};
use super::stats::Stats;
use super::stored::Stored;
use super::usage::{Meter, Used};
use crate::clock::Clock;
use crate::dialect::Family;
use http::HeaderMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// The files that a listing remembers; older ones are forgotten.
const FILES_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: SimulatorSettings,
    pub(super) clock: Clock,
    state: Mutex<State>,
    stats: watch::Sender<Stats>,
}

#[derive(Debug)]
struct State {
    faults: Arc<Faults>,
    account: Account,
    holds: Holds,
    chance: fastrand::Rng,
    arrivals: u64,
    files: VecDeque<StoredFile>,
    seen: Seen,
    stored: Stored,
}

impl Shared {
    pub(super) fn new(settings: SimulatorSettings) -> Shared {
        let clock = Clock::start();
        let state = State {
            faults: Arc::new(settings.faults.clone()),
            account: Account::open(settings.limits.clone(), settings.counting.clone(), clock.now()),
            holds: Holds::default(),
            chance: fastrand::Rng::with_seed(settings.seed),
            arrivals: 0,
            files: VecDeque::new(),
            seen: Seen::default(),
            stored: Stored::default(),
        };
        Shared { settings, clock, state: Mutex::new(state), stats: watch::Sender::new(Stats::default()) }
    }

    /// The faults as they are now.
    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.state.lock().faults)
    }

    /// The limits as they are now.
    pub(super) fn limits(&self) -> SimulatedLimits {
        self.state.lock().account.limits().clone()
    }

    /// Changes the faults; who is held for a reason that is no more goes on.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Faults) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(Arc::make_mut(&mut state.faults));
        let faults = Arc::clone(&state.faults);
        state.holds.keep(|why| faults.holds(why));
        result
    }

    /// How it counts now.
    pub(super) fn counting(&self) -> SimulatedCounting {
        self.state.lock().account.counting().clone()
    }

    /// Sets other limits, with full buckets or each as full as it was.
    pub(super) fn retune(&self, limits: SimulatedLimits, keeps_fill: bool) {
        let now = self.clock.now();
        let account = &mut self.state.lock().account;
        if keeps_fill { account.retune(limits, now) } else { account.renew(limits, now) }
    }

    /// Counts otherwise from now on.
    pub(super) fn recount(&self, counting: SimulatedCounting) {
        self.state.lock().account.recount(counting, self.clock.now());
    }

    /// What tells the usage of a call.
    pub(super) fn meter(&self, used: Used, faults: &Faults) -> Meter {
        Meter::new(used, faults, self.counting())
    }

    /// Everything as at the start; held requests go on, counts of what runs stay.
    pub(super) fn reset(&self) {
        self.recount(self.settings.counting.clone());
        self.retune(self.settings.limits.clone(), false);
        self.change(|faults| *faults = self.settings.faults.clone());
        let mut state = self.state.lock();
        state.chance = fastrand::Rng::with_seed(self.settings.seed);
        state.files.clear();
        state.seen = Seen::default();
        state.stored = Stored::default();
        state.holds.release(usize::MAX);
        drop(state);
        self.count(|stats| {
            let (in_flight, held) = (stats.in_flight, stats.held);
            *stats = Stats { in_flight, held, ..Stats::default() };
        });
    }

    /// Changes the counts and wakes who waits on them.
    pub(super) fn count(&self, change: impl FnOnce(&mut Stats)) {
        self.stats.send_modify(change);
    }

    /// The counts, to read or to wait on.
    pub(super) fn stats(&self) -> watch::Receiver<Stats> {
        self.stats.subscribe()
    }

    /// A number for every request, from 1.
    pub(super) fn number(&self) -> u64 {
        let mut state = self.state.lock();
        state.arrivals += 1;
        state.arrivals
    }

    /// An id that looks like a provider's: the same for the same seed and number.
    pub(super) fn id(&self, prefix: &str, number: u64) -> String {
        let mut mixed = self.settings.seed ^ number.rotate_left(32);
        format!("{prefix}{:016x}{:08x}", mix(&mut mixed), number & 0xffff_ffff)
    }

    /// Charges one call, or says why not; with the headers that tell what is left, either way.
    pub(super) fn admit(
        &self,
        family: Family,
        model: &str,
        demand: Demand,
    ) -> Result<(HeaderMap, Charge), Refusal> {
        let now = self.clock.now();
        let account = &mut self.state.lock().account;
        let admitted = account.admit(demand, family, now);
        let style = account.counting().limit_headers.style(family);
        let headers = match style {
            Some(style) => limit_headers(style, &account.told(family, now), self.clock.wall()),
            None => HeaderMap::new(),
        };
        match admitted {
            Ok(charge) => Ok((headers, charge)),
            Err(denial) => Err(denial.refusal(model, account.counting().tells_wait).with_headers(headers)),
        }
    }

    /// So much has been written for this charge; tells how much more that costs.
    pub(super) fn wrote(&self, charge: &mut Charge, written: u64) -> u64 {
        self.state.lock().account.wrote(charge, written, self.clock.now())
    }

    /// Gives back the place that an admitted call held, and tells how many tokens with it.
    pub(super) fn leave(&self, charge: &Charge, written: u64) -> u64 {
        self.state.lock().account.leave(charge, written, self.clock.now())
    }

    /// Whether the call at hand is one of those that shall fail.
    pub(super) fn draw_failure(&self) -> Option<Refusal> {
        let mut state = self.state.lock();
        let faults = Arc::make_mut(&mut state.faults);
        let html = faults.html_errors;
        if let Some(next) = &mut faults.fail_next {
            let failure = (next.times > 0).then(|| Refusal {
                body: next.body.clone().map(Box::new),
                ..Refusal::failure(next.status, next.headers.clone(), html)
            });
            next.times = next.times.saturating_sub(1);
            if next.times == 0 {
                faults.fail_next = None;
            }
            if failure.is_some() {
                return failure;
            }
        }
        let (rate, status) = (faults.error_rate, faults.error_status);
        (rate > 0.0 && state.chance.f64() < rate).then(|| Refusal::failure(status, HeaderMap::new(), html))
    }

    /// Waits until released, if requests are held for this reason now.
    pub(super) async fn hold(&self, why: Hold) {
        let (number, wait) = {
            let mut state = self.state.lock();
            if !state.faults.holds(why) {
                return;
            }
            state.holds.join(why)
        };
        self.count(|stats| stats.held += 1);
        let _held = Held { shared: self, number };
        // A release and the end of the reason both end the wait.
        let _ = wait.await;
    }

    /// Lets the first `count` of the held go on; tells how many there were.
    pub(super) fn release(&self, count: usize) -> usize {
        self.state.lock().holds.release(count)
    }

    /// Remembers an uploaded file.
    pub(super) fn remember(&self, file: StoredFile) {
        let mut state = self.state.lock();
        if state.files.len() == FILES_MAX {
            state.files.pop_front();
        }
        state.files.push_back(file);
    }

    /// The files it remembers, oldest first.
    pub(super) fn files(&self) -> Vec<StoredFile> {
        self.state.lock().files.iter().cloned().collect()
    }

    /// Works with the prefixes of prompts that it has cached.
    pub(super) fn with_seen<R>(&self, work: impl FnOnce(&mut Seen) -> R) -> R {
        work(&mut self.state.lock().seen)
    }

    /// Works with the answers and batches that it remembers.
    pub(super) fn with_stored<R>(&self, work: impl FnOnce(&mut Stored) -> R) -> R {
        work(&mut self.state.lock().stored)
    }
}

/// A place in the row of the held; left when dropped, released or not.
struct Held<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().holds.leave(self.number);
        self.shared.count(|stats| stats.held -= 1);
    }
}
