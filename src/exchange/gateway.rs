//! What all exchanges share.
//!
//! Built once by the daemon. A reload swaps the live settings; the desk, the breakers and the metrics stay,
//! because what they have learned is worth keeping.

use super::affinity::Affinity;
use super::health::Health;
use super::live::{Live, Unusable};
use super::{ExchangeSettings, LiveSettings, Turnstile};
use crate::admission::{Desk, SavedDesk};
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::ids::BudgetId;
use crate::observe::{Metrics, status_class};
use crate::routing::SavedBreakers;
use crate::tokens::{Estimator, EstimatorSettings};
use crate::units::{Tokens, WallTime};
use crate::upstream::Hop;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The parts that serve exchanges.
#[derive(Debug)]
pub struct Gateway {
    pub(super) clock: Clock,
    pub(super) live: LiveSettings,
    pub(super) turnstile: Arc<Turnstile>,
    pub(super) health: Health,
    /// Which account has read what.
    pub(super) affinity: Affinity,
    /// How often accounts were chosen among: each time begins with another, so that those that are equal take turns.
    pub(super) turns: AtomicUsize,
    pub(super) metrics: Arc<Metrics>,
    /// Tells our own requests from others', so that a provider that leads back here is noticed.
    pub(super) hop: Hop,
}

/// What outlives the process: the budgets and the breakers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedState {
    /// The budgets, with the time at which both were saved.
    pub desk: SavedDesk,
    /// The breakers that were open.
    #[serde(default)]
    pub breakers: SavedBreakers,
}

impl Gateway {
    /// A gateway with full budgets and closed breakers. Its turnstile has yet to be run.
    ///
    /// # Errors
    /// A provider cannot be reached in the way its settings say.
    pub fn new(settings: ExchangeSettings, clock: Clock, metrics: Arc<Metrics>) -> Result<Gateway, Unusable> {
        let live = Live::new(settings, None)?;
        let desk = Desk::new(live.settings.queue, live.limits());
        Ok(Gateway {
            turnstile: Arc::new(Turnstile::new(clock, desk)),
            health: Health::new(clock, live.breakers()),
            affinity: Affinity::default(),
            turns: AtomicUsize::new(0),
            hop: Hop::new(&uuid::Uuid::now_v7().simple().to_string()).expect("a UUID is plain text"),
            live: LiveSettings::from_pointee(live),
            clock,
            metrics,
        })
    }

    /// Takes over new settings for exchanges to come. Those under way keep the ones they began with.
    ///
    /// # Errors
    /// A provider cannot be reached in the way its settings say; nothing has changed then.
    pub fn reload(&self, settings: ExchangeSettings) -> Result<(), Unusable> {
        let live = Live::new(settings, Some(&self.live.load()))?;
        self.turnstile.retune(live.settings.queue, live.limits());
        self.health.set_policies(live.breakers());
        self.live.store(Arc::new(live));
        Ok(())
    }

    /// The door to the desk.
    pub fn turnstile(&self) -> &Arc<Turnstile> {
        &self.turnstile
    }

    /// The metrics that the exchanges count into.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The clock that the exchanges read.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The name by which a request of this very gateway is known when it comes back.
    pub fn hop(&self) -> &Hop {
        &self.hop
    }

    /// What outlives the process.
    pub fn save(&self) -> SavedState {
        SavedState { desk: self.turnstile.save().1, breakers: self.health.save() }
    }

    /// Takes over what an earlier process saved.
    pub fn restore(&self, saved: &SavedState) {
        self.turnstile.restore(&saved.desk);
        let elapsed = self.clock.wall().since(WallTime(saved.desk.wall_ms));
        self.health.restore(&saved.breakers, elapsed);
    }

    /// When the limits over a day of this budget come back next, if they do so all at once.
    pub fn next_day(&self, budget: &BudgetId) -> Option<WallTime> {
        self.live.load().next_day(budget, self.clock.wall())
    }

    /// The estimator for these settings; it is nothing but them.
    pub(super) fn estimator(live: &Live) -> Estimator {
        Estimator::new(EstimatorSettings { output_guess: Tokens(u64::from(live.settings.output_guess)) })
    }

    pub(super) fn count_answer(&self, dialect: Dialect, provider: &str, status: u16) {
        let labels = [
            ("dialect", dialect.name().to_owned()),
            ("provider", provider.to_owned()),
            ("status", status_class(status)),
        ];
        self.metrics.requests.get_or_create(&labels).inc();
    }

    /// Counts an exchange whose client goes away before its answer has begun.
    pub(super) fn watch_client(&self) -> ClientWatch<'_> {
        ClientWatch { metrics: &self.metrics, answered: false }
    }
}

/// Notices, by its drop, that the client has gone.
pub(super) struct ClientWatch<'a> {
    metrics: &'a Metrics,
    answered: bool,
}

impl ClientWatch<'_> {
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for ClientWatch<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.cancelled.get_or_create(&[("stage", "waiting".to_owned())]).inc();
        }
    }
}
