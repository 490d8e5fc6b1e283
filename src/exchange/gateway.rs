//! What all exchanges share.
//!
//! Built once by the daemon. A reload swaps the live settings; the desk, the breakers and the metrics stay,
//! because what they have learned is worth keeping.

use super::affinity::Affinity;
use super::client::{Client, Salt, Signs};
use super::days::Days;
use super::health::Health;
use super::learned::{Learned, SavedLearned};
use super::live::{Live, Unusable};
use super::relay::GATHERED_MAX;
use super::story::{Chronicle, Telling};
use super::{ExchangeSettings, LiveSettings, Request, Turnstile};
use crate::admission::{Desk, SavedDesk};
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::observe::{Metrics, StatusStep, status_class};
use crate::routing::SavedBreakers;
use crate::units::WallTime;
use crate::upstream::Hop;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Semaphore;

/// The parts that serve exchanges.
#[derive(Debug)]
pub struct Gateway {
    pub(super) clock: Clock,
    pub(super) live: LiveSettings,
    pub(super) turnstile: Arc<Turnstile>,
    pub(super) health: Health,
    pub(super) learned: Arc<Learned>,
    /// Which account has read what.
    pub(super) affinity: Affinity,
    /// How often accounts were chosen among: each time begins with another, so that those that are equal take turns.
    pub(super) turns: AtomicUsize,
    pub(super) metrics: Arc<Metrics>,
    pub(super) chronicle: Chronicle,
    /// For answers that are held back until they are whole.
    pub(super) gathering: Arc<Semaphore>,
    /// Tells our own requests from others', so that a provider that leads back here is noticed.
    pub(super) hop: Hop,
    /// Guards the salt of the clients' ids, which changes once, when the state of an earlier process is restored.
    salt: Mutex<Salt>,
    /// When the desk was told that days end.
    pub(super) days: Days,
}

/// What outlives the process: the budgets, the breakers, what estimates have learned, and the ids of clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedState {
    /// The budgets, with the time at which both were saved.
    pub desk: SavedDesk,
    /// The breakers that were open.
    #[serde(default)]
    pub breakers: SavedBreakers,
    /// What estimates have learned.
    #[serde(default, deserialize_with = "SavedLearned::leniently")]
    pub learned: SavedLearned,
    /// Under which the ids of clients were made.
    #[serde(default)]
    pub salt: Option<Salt>,
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
            chronicle: Chronicle::new(live.settings.exchanges_kept),
            gathering: Arc::new(Semaphore::new(GATHERED_MAX)),
            learned: Arc::new(Learned::new(live.settings.learning)),
            affinity: Affinity::default(),
            turns: AtomicUsize::new(0),
            hop: Hop::new(&uuid::Uuid::now_v7().simple().to_string()).expect("a UUID is plain text"),
            live: LiveSettings::from_pointee(live),
            clock,
            metrics,
            salt: Mutex::new(Salt::random()),
            days: Days::default(),
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
        self.chronicle.keep(live.settings.exchanges_kept);
        self.learned.retune(live.settings.learning);
        self.live.store(Arc::new(live));
        self.tell_days();
        Ok(())
    }

    /// The door to the desk.
    pub fn turnstile(&self) -> &Arc<Turnstile> {
        &self.turnstile
    }

    /// The stories of the last exchanges.
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
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
        SavedState {
            desk: self.turnstile.save().1,
            breakers: self.health.save(),
            learned: self.learned.save(),
            salt: Some(*self.salt.lock()),
        }
    }

    /// Takes over what an earlier process saved.
    pub fn restore(&self, saved: &SavedState) {
        self.turnstile.restore(&saved.desk);
        self.learned.restore(&saved.learned);
        let elapsed = self.clock.wall().since(WallTime(saved.desk.wall_ms));
        self.health.restore(&saved.breakers, elapsed);
        if let Some(salt) = saved.salt {
            *self.salt.lock() = salt;
        }
    }

    /// Whose request this is, and for whom its body says that it asks.
    pub(super) fn client(&self, live: &Live, request: &Request, user: Option<&str>) -> Client {
        let signs =
            Signs { headers: &request.headers, query: request.query.as_deref(), user, peer: request.peer };
        let salt = *self.salt.lock();
        Client::of(signs, salt, &live.settings.weights)
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
    pub(super) fn watch_client(&self, telling: Telling) -> ClientWatch<'_> {
        ClientWatch { metrics: &self.metrics, telling, answered: false }
    }
}

/// Notices, by its drop, that the client has gone.
pub(super) struct ClientWatch<'a> {
    metrics: &'a Metrics,
    telling: Telling,
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
            self.telling.tell(StatusStep::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;
    use crate::units::Moment;
    use crate::wire::Asked;

    fn gateway() -> Gateway {
        Gateway::new(ExchangeSettings::default(), Clock::start(), Arc::new(Metrics::new()))
            .expect("without providers nothing is unreachable")
    }

    #[tokio::test]
    async fn a_client_is_the_same_after_a_restart_and_another_elsewhere() {
        let request = Request {
            id: RequestId::from("r"),
            asked: Asked::in_body(Dialect::Chat),
            query: None,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
            peer: None,
            arrived: Moment::START,
        };
        let client = |gateway: &Gateway| gateway.client(&gateway.live.load(), &request, Some("ann"));
        let (before, after, elsewhere) = (gateway(), gateway(), gateway());
        let saved = serde_json::to_vec(&before.save()).expect("plain values");
        after.restore(&serde_json::from_slice(&saved).expect("as written"));
        assert_eq!(client(&after), client(&before));
        assert_ne!(client(&elsewhere), client(&before));
        // What an earlier version has saved holds no salt.
        elsewhere.restore(&SavedState::default());
        assert_ne!(client(&elsewhere), client(&before));
    }
}
