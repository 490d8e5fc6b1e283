//! The breakers of all targets.
//!
//! A target without a breaker is well: an entry exists only while there is something to remember, so that
//! names made up by clients fill nothing. Invariant: never more than [`BREAKERS_MAX`] entries.

use super::breaker::{Breaker, StillOpen, Transition, Verdict};
use super::policy::BreakerPolicy;
use crate::ids::{ProviderId, TargetId};
use crate::units::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most targets whose failures are remembered. Far above any real number of models in use; a bound,
/// because a client may invent model names that its provider answers with a 500.
pub const BREAKERS_MAX: usize = 512;

/// More doublings than this differ in nothing, because the wait has long reached its maximum.
const SAVED_TRIPS_MAX: u32 = 32;

/// The health of every target that is not simply well.
#[derive(Clone, Debug, Default)]
pub struct Breakers {
    policies: BTreeMap<ProviderId, BreakerPolicy>,
    breakers: BTreeMap<TargetId, Breaker>,
}

/// The open breakers in a form that outlives the process. Failures short of opening are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBreakers {
    /// One for each target that was open.
    pub open: Vec<SavedBreaker>,
}

/// One open breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBreaker {
    /// The target's account.
    pub provider: String,
    /// The target's model.
    pub model: String,
    /// What was left of its open time.
    pub remaining_ms: u64,
    /// How many times in a row it had opened.
    pub trips: u32,
}

impl Breakers {
    /// All targets well; providers that are not named judge by the default policy.
    pub fn new(policies: impl IntoIterator<Item = (ProviderId, BreakerPolicy)>) -> Breakers {
        Breakers { policies: policies.into_iter().collect(), breakers: BTreeMap::new() }
    }

    /// Whether an attempt at the target would be let through. Changes nothing.
    pub fn would_admit(&self, target: &TargetId, now: Moment) -> bool {
        self.next_admission(target, now).is_none()
    }

    /// When an attempt at the target would be let through; `None` if it would be now.
    pub fn next_admission(&self, target: &TargetId, now: Moment) -> Option<Moment> {
        self.breakers.get(target).and_then(|breaker| breaker.next_admission(now))
    }

    /// Whether the target is in use, however often it has failed lately.
    pub fn is_closed(&self, target: &TargetId) -> bool {
        self.breakers.get(target).is_none_or(|breaker| breaker.trips() == 0)
    }

    /// An attempt at the target starts; may take its probe.
    ///
    /// # Errors
    /// The target is still open, or somebody else is probing it.
    pub fn begin(&mut self, target: &TargetId, now: Moment) -> Result<(), StillOpen> {
        self.breakers.get_mut(target).map_or(Ok(()), |breaker| breaker.begin(now))
    }

    /// An attempt at the target has ended. Every [`Breakers::begin`] must be followed by one call, with
    /// [`Verdict::Neutral`] if the attempt was given up, or the target waits for its probe's deadline.
    pub fn on(&mut self, target: &TargetId, verdict: Verdict, now: Moment) -> Option<Transition> {
        if !self.breakers.contains_key(target) {
            if verdict != Verdict::Sick {
                return None;
            }
            self.make_room(now);
            self.breakers.insert(target.clone(), Breaker::new(self.policy(&target.provider)));
        }
        let breaker = self.breakers.get_mut(target)?;
        let transition = breaker.on(verdict, now);
        if breaker.is_spotless() {
            self.breakers.remove(target);
        }
        transition
    }

    /// Every target with something to remember, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&TargetId, &Breaker)> {
        self.breakers.iter()
    }

    /// Takes the target for well again, as a person asked.
    pub fn forget(&mut self, target: &TargetId) {
        self.breakers.remove(target);
    }

    /// Judges by these policies from now on, and forgets the targets of providers that are not among them.
    pub fn set_policies(&mut self, policies: impl IntoIterator<Item = (ProviderId, BreakerPolicy)>) {
        self.policies = policies.into_iter().collect();
        self.breakers.retain(|target, breaker| {
            let policy = self.policies.get(&target.provider);
            if let Some(policy) = policy {
                breaker.set_policy(*policy);
            }
            policy.is_some()
        });
    }

    /// What to restore after a restart.
    pub fn save(&self, now: Moment) -> SavedBreakers {
        let open = self.breakers.iter().filter_map(|(target, breaker)| {
            let remaining = breaker.remaining(now)?;
            Some(SavedBreaker {
                provider: target.provider.as_str().to_owned(),
                model: target.model.as_str().to_owned(),
                remaining_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
                trips: breaker.trips(),
            })
        });
        SavedBreakers { open: open.collect() }
    }

    /// Opens what was open, `elapsed` after it was saved. No open time is longer than the policy of
    /// today allows; providers without a policy are skipped.
    pub fn restore(&mut self, saved: &SavedBreakers, elapsed: Duration, now: Moment) {
        for breaker in saved.open.iter().take(BREAKERS_MAX) {
            let target =
                TargetId { provider: breaker.provider.as_str().into(), model: breaker.model.as_str().into() };
            let Some(policy) = self.policies.get(&target.provider) else { continue };
            let remaining = Duration::from_millis(breaker.remaining_ms).saturating_sub(elapsed);
            let reopened = Breaker::reopened(*policy, remaining, breaker.trips.min(SAVED_TRIPS_MAX), now);
            if !self.breakers.contains_key(&target) {
                self.make_room(now);
            }
            self.breakers.insert(target, reopened);
        }
    }

    fn policy(&self, provider: &ProviderId) -> BreakerPolicy {
        self.policies.get(provider).copied().unwrap_or_default()
    }

    /// Lets the entry go that says least: one that admits, or else the one that will admit first.
    fn make_room(&mut self, now: Moment) {
        if self.breakers.len() < BREAKERS_MAX {
            return;
        }
        let least = self.breakers.iter().min_by_key(|(_, breaker)| breaker.next_admission(now));
        if let Some(target) = least.map(|(target, _)| target.clone()) {
            self.breakers.remove(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn target(name: &str) -> TargetId {
        let (provider, model) = name.split_once('/').unwrap();
        TargetId { provider: provider.into(), model: model.into() }
    }

    fn breakers() -> Breakers {
        Breakers::new([("a".into(), BreakerPolicy::default()), ("b".into(), BreakerPolicy::default())])
    }

    fn trip(breakers: &mut Breakers, name: &str, now: Moment) {
        for _ in 0..3 {
            breakers.on(&target(name), Verdict::Sick, now);
        }
    }

    #[test]
    fn targets_do_not_share_a_breaker() {
        let mut breakers = breakers();
        trip(&mut breakers, "a/one", at(0));
        assert!(!breakers.would_admit(&target("a/one"), at(1)));
        assert!(breakers.would_admit(&target("a/two"), at(1)));
        assert_eq!(breakers.next_admission(&target("a/one"), at(1)), Some(at(30)));
        assert_eq!(breakers.begin(&target("a/one"), at(1)), Err(StillOpen { until: at(30) }));
        assert_eq!(breakers.begin(&target("a/two"), at(1)), Ok(()));
    }

    #[test]
    fn a_well_target_has_no_entry() {
        let mut breakers = breakers();
        breakers.on(&target("a/one"), Verdict::Well, at(0));
        breakers.on(&target("a/one"), Verdict::Neutral, at(0));
        assert_eq!(breakers.iter().count(), 0);
        trip(&mut breakers, "a/one", at(0));
        breakers.begin(&target("a/one"), at(30)).unwrap();
        assert_eq!(breakers.on(&target("a/one"), Verdict::Well, at(31)), Some(Transition::Closed));
        assert_eq!(breakers.iter().count(), 0);
    }

    #[test]
    fn invented_names_fill_no_memory_and_push_out_no_open_breaker() {
        let mut breakers = breakers();
        trip(&mut breakers, "a/real", at(0));
        for n in 0..3 * BREAKERS_MAX {
            breakers.on(&target(&format!("a/{n}")), Verdict::Sick, at(1));
        }
        assert_eq!(breakers.iter().count(), BREAKERS_MAX);
        assert!(!breakers.would_admit(&target("a/real"), at(1)));
    }

    #[test]
    fn an_open_breaker_survives_a_restart_less_the_time_that_passed() {
        let mut before = breakers();
        trip(&mut before, "a/open", at(100));
        trip(&mut before, "b/probing", at(0));
        before.begin(&target("b/probing"), at(100)).unwrap();
        before.on(&target("b/counting"), Verdict::Sick, at(100));

        let text = serde_json::to_string(&before.save(at(110))).unwrap();
        let saved: SavedBreakers = serde_json::from_str(&text).unwrap();
        let mut after = breakers();
        after.restore(&saved, Duration::from_secs(5), at(0));

        assert_eq!(after.next_admission(&target("a/open"), at(0)), Some(at(15)));
        assert!(after.would_admit(&target("b/probing"), at(0)));
        after.begin(&target("b/probing"), at(0)).unwrap();
        assert!(!after.would_admit(&target("b/probing"), at(1)), "the first one is a probe again");
        assert_eq!(after.iter().count(), 2);
    }

    #[test]
    fn a_saved_breaker_is_cut_to_what_its_policy_allows() {
        let open = |provider: &str| SavedBreaker {
            provider: provider.to_owned(),
            model: "m".to_owned(),
            remaining_ms: u64::MAX,
            trips: u32::MAX,
        };
        let mut breakers = breakers();
        breakers.restore(&SavedBreakers { open: vec![open("a"), open("gone")] }, Duration::ZERO, at(0));
        assert_eq!(breakers.next_admission(&target("a/m"), at(0)), Some(at(300)));
        assert_eq!(breakers.iter().count(), 1);
    }

    #[test]
    fn a_reload_keeps_what_was_learned_and_drops_removed_providers() {
        let mut breakers = breakers();
        trip(&mut breakers, "a/m", at(0));
        trip(&mut breakers, "b/m", at(0));
        breakers.set_policies([("a".into(), BreakerPolicy { failures: 1, ..BreakerPolicy::default() })]);
        assert!(!breakers.would_admit(&target("a/m"), at(1)));
        assert!(breakers.would_admit(&target("b/m"), at(1)));
        assert!(breakers.on(&target("a/new"), Verdict::Sick, at(1)).is_some(), "the new policy counts");
        breakers.forget(&target("a/m"));
        assert!(breakers.would_admit(&target("a/m"), at(1)));
    }
}
