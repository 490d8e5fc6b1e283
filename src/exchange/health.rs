//! The health of targets as exchanges see it: the breakers behind a lock, providers whose credential is
//! refused, and the last error of each.

use crate::clock::Clock;
use crate::ids::{ProviderId, TargetId};
use crate::observe::{BreakerStatus, LastError};
use crate::routing::{BreakerPolicy, Breakers, Outcome, SavedBreakers, Transition, Verdict};
use crate::units::Moment;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long a provider that has refused the key or wants money is left out while another can serve.
/// Long, because only a person can mend it; not for ever, because that person will not restart us.
const CREDENTIAL_REST: Duration = Duration::from_secs(30 * 60);

/// The health of all targets.
#[derive(Debug)]
pub(super) struct Health {
    clock: Clock,
    /// Guards all that follows. Held for single steps, never over an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breakers: Breakers,
    resting: HashMap<ProviderId, Moment>,
    last_errors: HashMap<ProviderId, (Moment, &'static str, Option<u16>)>,
}

impl Health {
    pub(super) fn new(clock: Clock, policies: Vec<(ProviderId, BreakerPolicy)>) -> Health {
        let state =
            State { breakers: Breakers::new(policies), resting: HashMap::new(), last_errors: HashMap::new() };
        Health { clock, state: Mutex::new(state) }
    }

    /// The targets that may be tried, in their order; if there is none, when the first may be. Providers
    /// whose credential rests are left out only while another can serve.
    pub(super) fn well(&self, targets: &[TargetId], now: Moment) -> Result<Vec<TargetId>, Moment> {
        let state = self.state.lock();
        let admitted = targets.iter().filter(|target| state.breakers.would_admit(target, now));
        let (awake, resting): (Vec<TargetId>, Vec<TargetId>) = admitted
            .cloned()
            .partition(|target| state.resting.get(&target.provider).is_none_or(|until| *until <= now));
        if !awake.is_empty() {
            return Ok(awake);
        }
        if !resting.is_empty() {
            return Ok(resting);
        }
        let next = targets.iter().filter_map(|target| state.breakers.next_admission(target, now)).min();
        Err(next.unwrap_or(now))
    }

    /// An attempt begins; `None` if its target has fallen sick since it was planned.
    pub(super) fn begin(&self, target: &TargetId) -> Option<Trial<'_>> {
        self.state.lock().breakers.begin(target, self.clock.now()).ok()?;
        Some(Trial { health: self, target: target.clone(), ended: false })
    }

    /// An answer that had begun has broken off.
    pub(super) fn broke_off(&self, target: &TargetId) {
        let transition = self.state.lock().breakers.cut(target, self.clock.now());
        log(target, transition);
        self.remember(&target.provider, "broke_off", None);
    }

    /// An answer has come to its end.
    pub(super) fn completed(&self, target: &TargetId) {
        self.state.lock().breakers.completed(target);
    }

    /// Takes over new policies, and gives every credential another chance.
    pub(super) fn set_policies(&self, policies: Vec<(ProviderId, BreakerPolicy)>) {
        let mut state = self.state.lock();
        state.last_errors.retain(|known, _| policies.iter().any(|(provider, _)| provider == known));
        state.breakers.set_policies(policies);
        state.resting.clear();
    }

    pub(super) fn save(&self) -> SavedBreakers {
        self.state.lock().breakers.save(self.clock.now())
    }

    pub(super) fn restore(&self, saved: &SavedBreakers, elapsed: Duration) {
        self.state.lock().breakers.restore(saved, elapsed, self.clock.now());
    }

    /// Every breaker that has something to tell.
    pub(super) fn breakers(&self) -> Vec<(TargetId, BreakerStatus)> {
        let now = self.clock.now();
        let state = self.state.lock();
        let show = |(target, breaker): (&TargetId, &crate::routing::Breaker)| {
            let admits_in = breaker.next_admission(now).map_or(Duration::ZERO, |moment| moment.since(now));
            let admits_in_ms = u64::try_from(admits_in.as_millis()).unwrap_or(u64::MAX);
            (target.clone(), BreakerStatus { state: breaker.state_name(), admits_in_ms })
        };
        state.breakers.iter().map(show).collect()
    }

    /// What went wrong last at each provider.
    pub(super) fn last_errors(&self) -> BTreeMap<ProviderId, LastError> {
        let now = self.clock.now();
        let show = |(provider, (at, kind, status)): (&ProviderId, &(Moment, &'static str, Option<u16>))| {
            (provider.clone(), LastError { kind, status: *status, seconds_ago: now.since(*at).as_secs() })
        };
        self.state.lock().last_errors.iter().map(show).collect()
    }

    fn tell(&self, target: &TargetId, verdict: Verdict) {
        let transition = self.state.lock().breakers.on(target, verdict, self.clock.now());
        log(target, transition);
    }

    fn remember(&self, provider: &ProviderId, kind: &'static str, status: Option<u16>) {
        self.state.lock().last_errors.insert(provider.clone(), (self.clock.now(), kind, status));
    }
}

fn log(target: &TargetId, transition: Option<Transition>) {
    if let Some(transition) = transition {
        tracing::warn!(provider = %target.provider, model = %target.model, breaker = ?transition, "breaker");
    }
}

/// An attempt that has begun. Dropped without an end, it gives a probe back.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    health: &'a Health,
    target: TargetId,
    ended: bool,
}

impl Trial<'_> {
    /// How it ended.
    pub(super) fn end(mut self, outcome: &Outcome, status: Option<u16>) {
        self.ended = true;
        self.health.tell(&self.target, outcome.verdict());
        let provider = &self.target.provider;
        if matches!(outcome, Outcome::CredentialRefused | Outcome::OutOfMoney) {
            let until = self.health.clock.now() + CREDENTIAL_REST;
            self.health.state.lock().resting.insert(provider.clone(), until);
            tracing::error!(%provider, kind = outcome.name(), status, "the provider refuses the credential");
        }
        match outcome {
            Outcome::Served => drop(self.health.state.lock().resting.remove(provider)),
            Outcome::Rejected => {}
            _ => self.health.remember(provider, outcome.name(), status),
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.health.tell(&self.target, Verdict::Neutral);
        }
    }
}
