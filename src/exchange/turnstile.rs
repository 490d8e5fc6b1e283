//! The async door to the desk.
//!
//! The desk decides; the turnstile reads the clock, holds the lock, wakes those who got room, and looks
//! again at the moments that the desk names. Invariant: a [`Reservation`] is settled exactly once, by its
//! owner or by its drop, so that a cancelled client, a panic or a dead upstream cannot leak budget.

use crate::admission::{
    Ask, BudgetView, Choice, Cost, Desk, Effect, Grant, Limits, Priority, QueueSettings, Reading, Reason,
    Refusal, SavedDesk, Shortage, Strain, Ticket, Turn,
};
use crate::clock::Clock;
use crate::ids::{BudgetId, TargetId};
use crate::units::{Moment, Tokens};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// Output beyond a reservation is taken in steps of this, so that not every event of a long stream goes to
/// the desk.
const TRUE_UP_STEP: Tokens = Tokens(32);

/// The door. Shared by all exchanges of a gateway.
#[derive(Debug)]
pub struct Turnstile {
    clock: Clock,
    /// Guards the desk and those who wait at it. Held for the length of one call to the desk, never over
    /// an await, hence a plain lock.
    counter: Mutex<Counter>,
    /// The desk has named another moment to look again.
    rescheduled: Notify,
}

#[derive(Debug)]
struct Counter {
    desk: Desk,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    /// Counts calls that may have changed what is saved.
    changes: u64,
}

/// What the desk has decided for one who waits, and when.
type Answer = (Result<Grant, Refusal>, Moment);

impl Turnstile {
    /// A door to this desk.
    pub fn new(clock: Clock, desk: Desk) -> Turnstile {
        let counter = Counter { desk, waiting: HashMap::new(), changes: 0 };
        Turnstile { clock, counter: Mutex::new(counter), rescheduled: Notify::new() }
    }

    /// Waits for room. Dropping the future gives the place up. Who has to wait is told what for.
    ///
    /// # Errors
    /// Why there is no room, and when there will be.
    pub async fn enter(
        self: &Arc<Self>,
        ask: Ask,
        waits: impl FnOnce(&Reason),
    ) -> Result<Reservation, Refusal> {
        let (sender, answer) = oneshot::channel();
        let (ticket, asked, reason) = self.with_desk(|counter, now| {
            let ticket = counter.desk.enter(ask, now);
            counter.waiting.insert(ticket, sender);
            (ticket, now, counter.desk.reason(ticket).cloned())
        });
        if let Some(reason) = reason {
            waits(&reason);
        }
        let mut place = Place { turnstile: self, ticket, given_up: true };
        let (answer, decided) =
            answer.await.expect("a sender is kept until its ticket is granted or refused");
        place.given_up = false;
        let (grant, waited) = (answer?, decided.since(asked));
        Ok(Reservation { turnstile: Arc::clone(self), grant, waited, used: None, settled: false })
    }

    /// Looks again whenever the desk has said to, until told to stop. Without it nobody who waits for
    /// time to pass gets room.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            let next = self.counter.lock().desk.next_wakeup();
            let look_again = async {
                match next {
                    Some(moment) => self.clock.sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.rescheduled.notified() => {}
                () = look_again => self.with_desk(|counter, now| counter.desk.poll(now)),
            }
        }
    }

    /// Takes over new settings.
    pub fn retune(&self, settings: QueueSettings, limits: Vec<(BudgetId, Limits)>) {
        self.with_desk(|counter, now| counter.desk.retune(settings, limits, now));
    }

    /// A day's limits of these budgets come back then; where that has passed, they have.
    pub fn days_end(&self, ends: &[(BudgetId, Moment)]) {
        self.with_desk(|counter, now| {
            for (budget, at) in ends {
                counter.desk.day_ends(budget, *at, now);
            }
        });
    }

    /// Refuses everybody who waits, and whoever would have to: the daemon is about to end.
    pub fn close(&self) {
        self.with_desk(|counter, now| counter.desk.close(now));
    }

    /// Every budget as it stands.
    pub fn view(&self) -> Vec<BudgetView> {
        self.counter.lock().desk.view(self.clock.now())
    }

    /// How much is used of what each of these draws on.
    pub fn strains(&self, choices: &[Choice]) -> Vec<Strain> {
        let counter = self.counter.lock();
        let now = self.clock.now();
        choices.iter().map(|choice| counter.desk.strain(&choice.draws, now)).collect()
    }

    /// How many wait in each class.
    pub fn depths(&self) -> [(Priority, usize); 3] {
        self.counter.lock().desk.depths()
    }

    /// The state that outlives the process, with a number that changes when it does.
    pub fn save(&self) -> (u64, SavedDesk) {
        let counter = self.counter.lock();
        (counter.changes, counter.desk.save(self.clock.now(), self.clock.wall()))
    }

    /// The number of [`Turnstile::save`], without the state.
    pub fn changes(&self) -> u64 {
        self.counter.lock().changes
    }

    /// Takes over what an earlier process saved.
    pub fn restore(&self, saved: &SavedDesk) {
        self.with_desk(|counter, now| counter.desk.restore(saved, now, self.clock.wall()));
    }

    /// Calls the desk, and hands out what follows.
    fn with_desk<T>(&self, call: impl FnOnce(&mut Counter, Moment) -> T) -> T {
        let mut counter = self.counter.lock();
        let before = counter.desk.next_wakeup();
        let now = self.clock.now();
        let result = call(&mut counter, now);
        counter.changes += 1;
        for effect in counter.desk.take_effects() {
            let (ticket, answer) = match effect {
                Effect::Granted(grant) => (grant.ticket, Ok(grant)),
                Effect::Refused(ticket, refusal) => (ticket, Err(refusal)),
            };
            if let Some(waiting) = counter.waiting.remove(&ticket) {
                // If nobody listens any more, the drop of its place gives the room back.
                let _ = waiting.send((answer, now));
            }
        }
        if counter.desk.next_wakeup() != before {
            self.rescheduled.notify_one();
        }
        result
    }
}

/// A place in the queue, given up unless it was answered.
struct Place<'a> {
    turnstile: &'a Turnstile,
    ticket: Ticket,
    given_up: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.given_up {
            self.turnstile.with_desk(|counter, now| {
                counter.waiting.remove(&self.ticket);
                counter.desk.leave(self.ticket, now);
            });
        }
    }
}

/// What an exchange holds in a budget. Travels from the turnstile to the attempt to the relay; dropping
/// it settles it with what was last noted as used. Before anything is noted nothing has been sent, and
/// all of it is given back, the request too.
#[derive(Debug)]
pub struct Reservation {
    turnstile: Arc<Turnstile>,
    grant: Grant,
    waited: Duration,
    used: Option<Cost>,
    settled: bool,
}

impl Reservation {
    /// Where there is room.
    pub fn target(&self) -> &TargetId {
        &self.grant.target
    }

    /// What was reserved.
    pub fn held(&self) -> Cost {
        self.grant.held
    }

    /// Its place in the order of service, for an exchange that asks again.
    pub fn turn(&self) -> Turn {
        self.grant.turn
    }

    /// What it had to wait for.
    pub fn reason(&self) -> Option<&Reason> {
        self.grant.reason.as_ref()
    }

    /// How long it took until there was room.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Notes what has been used so far. Output beyond what is held is taken while it flows.
    pub fn note(&mut self, used: Cost) {
        self.used = Some(used);
        if used.output > self.grant.held.output + TRUE_UP_STEP {
            self.turnstile.with_desk(|counter, now| {
                counter.desk.true_up(self.grant.ticket, used.output, now);
            });
            self.grant.held.output = used.output;
        }
    }

    /// Replaces what is held by the truth.
    pub fn settle(mut self, truth: Cost) {
        self.used = Some(truth);
    }

    /// The provider never heard of the exchange: gives everything back, the request too.
    pub fn give_back(mut self) {
        self.used = None;
    }

    /// The provider has told of its limits, with the answer to the call that holds this.
    pub fn hear(&self, readings: &[Reading]) {
        if !readings.is_empty() {
            self.turnstile.with_desk(|counter, now| counter.desk.hear(self.grant.ticket, readings, now));
        }
    }

    /// The provider had no room after all: gives everything back, and sends nobody there while it is short.
    pub fn penalise(mut self, shortage: &Shortage) {
        self.settled = true;
        self.turnstile.with_desk(|counter, now| counter.desk.penalise(self.grant.ticket, shortage, now));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.turnstile.with_desk(|counter, now| match self.used {
                Some(used) => counter.desk.settle(self.grant.ticket, used, now),
                None => counter.desk.leave(self.grant.ticket, now),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{Draws, Meaning, Share};
    use crate::ids::{ModelName, ProviderId};
    use crate::tasks::Tasks;
    use std::num::NonZeroU32;

    fn turnstile(limits: Limits) -> Arc<Turnstile> {
        let desk = Desk::new(QueueSettings::default(), [(BudgetId::from("a"), limits)]);
        Arc::new(Turnstile::new(Clock::start(), desk))
    }

    fn one_token_a_second() -> Limits {
        Limits {
            tokens_per_minute: NonZeroU32::new(60),
            burst_tokens: NonZeroU32::new(10),
            ..Limits::default()
        }
    }

    fn ask(turnstile: &Turnstile, tokens: u64) -> Ask {
        let now = turnstile.clock.now();
        let target = TargetId { provider: ProviderId::from("a"), model: ModelName::from("m") };
        Ask {
            choices: vec![Choice {
                target,
                draws: Arc::new(Draws { configured: vec![BudgetId::from("a")], pool: None }),
                cost: input(tokens),
                open_from: now,
            }],
            priority: Priority::Normal,
            share: Share::default(),
            entered: now,
            turn: None,
            deadline: now + Duration::from_secs(120),
        }
    }

    fn input(tokens: u64) -> Cost {
        Cost { input: Tokens(tokens), ..Cost::default() }
    }

    fn available(turnstile: &Turnstile) -> i64 {
        turnstile.view()[0].levels[0].level
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_waits_until_there_is_room() {
        let turnstile = turnstile(one_token_a_second());
        let tasks = Tasks::new();
        tasks.spawn("turnstile", Arc::clone(&turnstile).run(tasks.stopping()));
        let first = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("the bucket is full");
        first.settle(input(10));
        let began = turnstile.clock.now();
        let second = turnstile.enter(ask(&turnstile, 5), |_| ()).await.expect("it may wait for two minutes");
        assert_eq!(turnstile.clock.now().since(began).as_secs(), 5);
        assert_eq!(second.waited().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_reservation_gives_back_what_was_not_used() {
        let turnstile = turnstile(one_token_a_second());
        drop(turnstile.enter(ask(&turnstile, 10), |_| ()).await);
        assert_eq!(available(&turnstile), 10);
        let mut reservation = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("it was given back");
        reservation.note(input(4));
        drop(reservation);
        assert_eq!(available(&turnstile), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_frees_the_place() {
        let turnstile = turnstile(one_token_a_second());
        let held = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("the bucket is full");
        {
            let mut waiting = Box::pin(turnstile.enter(ask(&turnstile, 10), |_| ()));
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            assert_eq!(turnstile.depths()[1], (Priority::Normal, 1));
        }
        assert_eq!(turnstile.depths()[1], (Priority::Normal, 0));
        drop(held);
        assert_eq!(available(&turnstile), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_was_granted_to_somebody_who_left_is_given_back() {
        let turnstile = turnstile(one_token_a_second());
        let held = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("the bucket is full");
        let mut waiting = Box::pin(turnstile.enter(ask(&turnstile, 10), |_| ()));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(held);
        assert_eq!(available(&turnstile), 0, "it was granted to the one who waits");
        drop(waiting);
        assert_eq!(available(&turnstile), 10);
        assert_eq!(turnstile.view()[0].open, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_penalty_holds_everybody_back() {
        let turnstile = turnstile(Limits::default());
        let tasks = Tasks::new();
        tasks.spawn("turnstile", Arc::clone(&turnstile).run(tasks.stopping()));
        let first = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("nothing is limited");
        let until = turnstile.clock.now() + Duration::from_secs(7);
        first.penalise(&Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None });
        let second = turnstile.enter(ask(&turnstile, 10), |_| ()).await.expect("it may wait for two minutes");
        assert_eq!(second.waited().as_secs(), 7);
    }
}
