//! The desk, the breakers and the plan together, in virtual time: many exchanges with random costs and fates,
//! against providers that refuse, fail and hang. Every run is told by its seed.
//!
//! `SIMULATION_SEED=7 cargo test --test simulation` replays one; `SIMULATION_SEEDS=10000` widens the sweep.
//! What must hold in every run:
//! - no more is granted than the rate gives in that time, and the burst;
//! - nothing leaks: in the end nobody is open, nobody waits, and every exchange has ended;
//! - nobody is forgotten: while somebody waits the desk names a moment, and looking then moves it on;
//! - every refusal says when, unless it is for ever.

#[path = "simulation/limits.rs"]
mod limits;

use limits::{draws, of_budgets, random_limits, sixth, target};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;
use tidegate::admission::{
    Ask, Choice, Cost, Desk, Effect, Grant, Limits, Meaning, Priority, QueueSettings, Share, Shortage,
    Ticket, Turn, Why,
};
use tidegate::ids::{ProviderId, TargetId};
use tidegate::routing::{BreakerPolicy, Breakers, Next, Outcome, Plan, RetryPolicy, Window};
use tidegate::units::{Moment, Tokens, WallTime};

const EXCHANGES: usize = 120;
const PROVIDERS: [&str; 3] = ["a", "b", "c"];

#[test]
#[expect(clippy::disallowed_methods, reason = "a person chooses the seeds by variables")]
fn nothing_leaks_and_nobody_is_forgotten_in_any_seed() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(256),
    };
    let mut fates = BTreeMap::new();
    for seed in seeds.clone() {
        let told = std::panic::catch_unwind(|| World::new(seed).run());
        for fate in told.unwrap_or_else(|_| panic!("seed {seed} has failed")) {
            *fates.entry(fate).or_insert(0) += 1;
        }
    }
    if seeds.end - seeds.start >= 256 {
        // A sweep that never meets one of these tests less than it says.
        for fate in ["served", "refused", "given up", "left", "exhausted", "all sick"] {
            assert!(fates.contains_key(fate), "no exchange was ever {fate}: {fates:?}");
        }
    }
}

/// What happens next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Retries(usize),
    Answers(usize),
    Leaves(usize),
    Polls,
    Reloads,
}

struct Exchange {
    plan: Plan,
    cost: Cost,
    priority: Priority,
    share: Share,
    entered: Moment,
    turn: Option<Turn>,
    ticket: Option<Ticket>,
    grant: Option<Grant>,
    fate: Option<&'static str>,
}

struct World {
    seed: u64,
    random: fastrand::Rng,
    now: Moment,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    scheduled: u64,
    next_poll: Option<Moment>,
    queue: QueueSettings,
    limits: HashMap<ProviderId, Limits>,
    desk: Desk,
    breakers: Breakers,
    exchanges: Vec<Exchange>,
    by_ticket: HashMap<Ticket, usize>,
    /// What each provider's tokens have been charged, less what was given back.
    charged: HashMap<ProviderId, i128>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let queue = QueueSettings {
            max_wait: Duration::from_secs(random.u64(20..200)),
            max_depth: random.usize(3..60),
            patience: Duration::from_secs(random.u64(0..20)),
            ageing: Duration::from_secs(random.u64(0..30)),
            reserve: random.u32(0..3) * 100,
        };
        let limits: HashMap<ProviderId, Limits> =
            PROVIDERS.iter().map(|name| (ProviderId::from(*name), random_limits(&mut random))).collect();
        let desk = Desk::new(queue, of_budgets(&limits));
        let policies = PROVIDERS.iter().map(|name| (ProviderId::from(*name), BreakerPolicy::default()));
        let mut world = World {
            seed,
            now: Moment::START,
            events: BinaryHeap::new(),
            scheduled: 0,
            next_poll: None,
            queue,
            limits,
            desk,
            breakers: Breakers::new(policies),
            exchanges: Vec::new(),
            by_ticket: HashMap::new(),
            charged: HashMap::new(),
            random,
        };
        world.plan_arrivals();
        world
    }

    fn plan_arrivals(&mut self) {
        for index in 0..EXCHANGES {
            let entered = Moment::START + Duration::from_millis(self.random.u64(0..90_000));
            let mut names = PROVIDERS.to_vec();
            self.random.shuffle(&mut names);
            names.truncate(self.random.usize(1..=names.len()));
            let targets = names.iter().map(|name| target(name)).collect();
            let policy = RetryPolicy { attempts_max: self.random.u32(1..6), ..RetryPolicy::default() };
            self.exchanges.push(Exchange {
                plan: Plan::new(targets, policy, entered + self.queue.max_wait),
                cost: Cost {
                    input: Tokens(self.random.u64(1..1_500)),
                    output: Tokens(self.random.u64(0..1_500)),
                    output_is_guess: self.random.bool(),
                },
                priority: Priority::ALL[self.random.usize(0..3)],
                share: Share {
                    payer: self.random.u64(0..3),
                    flow: self.random.u64(0..4),
                    weight: self.random.u32(0..3) * 1_000,
                },
                entered,
                turn: None,
                ticket: None,
                grant: None,
                fate: None,
            });
            self.schedule(entered, Event::Arrives(index));
            if self.random.u8(0..10) == 0 {
                let leaves = entered + Duration::from_millis(self.random.u64(0..30_000));
                self.schedule(leaves, Event::Leaves(index));
            }
        }
        if self.random.bool() {
            self.schedule(Moment::START + Duration::from_secs(45), Event::Reloads);
        }
    }

    fn run(mut self) -> Vec<&'static str> {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            assert!(at >= self.now, "time goes backwards");
            self.now = at;
            let polled = event == Event::Polls;
            match event {
                Event::Arrives(index) | Event::Retries(index) => self.enter(index),
                Event::Answers(index) => self.answer(index),
                Event::Leaves(index) => self.leave(index),
                Event::Polls => {
                    self.next_poll = None;
                    self.desk.poll(self.now);
                }
                Event::Reloads => self.reload(),
            }
            self.settle_effects();
            self.schedule_poll(polled);
        }
        self.check_the_end()
    }

    fn enter(&mut self, index: usize) {
        let exchange = &mut self.exchanges[index];
        if exchange.fate.is_some() {
            return;
        }
        let well = |target: &&TargetId| self.breakers.would_admit(target, self.now);
        let targets: Vec<TargetId> = exchange.plan.remaining().iter().filter(well).cloned().collect();
        if targets.is_empty() {
            exchange.fate = Some("all sick");
            return;
        }
        let patient_until = exchange.entered + self.queue.patience;
        let choice = |(rank, target): (usize, TargetId)| Choice {
            draws: draws(&target),
            target,
            cost: exchange.cost,
            open_from: if rank == 0 { exchange.entered } else { patient_until },
        };
        let choices = targets.into_iter().enumerate().map(choice).collect();
        let ask = Ask {
            choices,
            priority: exchange.priority,
            entered: exchange.entered,
            share: exchange.share,
            turn: exchange.turn,
            deadline: exchange.entered + self.queue.max_wait,
        };
        let ticket = self.desk.enter(ask, self.now);
        exchange.ticket = Some(ticket);
        self.by_ticket.insert(ticket, index);
    }

    /// Hands out what the desk has decided, until nothing more follows from it.
    fn settle_effects(&mut self) {
        loop {
            let effects = self.desk.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Granted(grant) => self.granted(grant),
                    Effect::Refused(ticket, refusal) => {
                        let for_ever = matches!(refusal.why, Why::TooLarge(_) | Why::NoProvider);
                        assert_eq!(refusal.until.is_none(), for_ever, "{refusal:?} does not say when");
                        let index = self.by_ticket.remove(&ticket).expect("a refused ticket was waiting");
                        self.exchanges[index].ticket = None;
                        self.exchanges[index].fate = Some("refused");
                    }
                }
            }
        }
    }

    fn granted(&mut self, grant: Grant) {
        let index = self.by_ticket[&grant.ticket];
        let provider = grant.target.provider.clone();
        self.check_rate(&provider, grant.held.total().0);
        self.charge(&provider, grant.held.total().0.into());
        let exchange = &mut self.exchanges[index];
        if self.breakers.begin(&grant.target, self.now).is_err() {
            // It fell sick while the exchange waited: nothing was sent.
            self.charge(&provider, -i128::from(grant.held.total().0));
            self.desk.settle(grant.ticket, Cost::default(), self.now);
            self.by_ticket.remove(&grant.ticket);
            self.exchanges[index].ticket = None;
            self.schedule(self.now, Event::Retries(index));
            return;
        }
        exchange.turn = Some(grant.turn);
        exchange.grant = Some(grant);
        let takes = Duration::from_millis(self.random.u64(1..20_000));
        self.schedule(self.now + takes, Event::Answers(index));
    }

    /// The provider has answered, one way or another.
    fn answer(&mut self, index: usize) {
        let Some(grant) = self.exchanges[index].grant.take() else { return };
        self.by_ticket.remove(&grant.ticket);
        self.exchanges[index].ticket = None;
        let provider = grant.target.provider.clone();
        let outcome = self.random_outcome(&provider);
        let held = grant.held.total().0;
        let truth = match outcome {
            Outcome::Served => self.served(&grant),
            Outcome::RateLimited { retry_after, .. } => {
                let until = self.now + retry_after.unwrap_or(Duration::from_secs(1));
                let shortage = Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None };
                self.desk.penalise(grant.ticket, &shortage, self.now);
                0
            }
            _ => {
                self.desk.settle(grant.ticket, Cost::default(), self.now);
                0
            }
        };
        self.charge(&provider, i128::from(truth) - i128::from(held));
        self.breakers.on(&grant.target, outcome.verdict(), self.now);
        let random = self.random.f64();
        let exchange = &mut self.exchanges[index];
        match exchange.plan.on(&grant.target, &outcome, self.now, random) {
            Next::Done => exchange.fate = Some("served"),
            Next::GiveBack => exchange.fate = Some("given up"),
            Next::Exhausted => exchange.fate = Some("exhausted"),
            Next::WaitForRoom | Next::MoveOn => self.schedule(self.now, Event::Retries(index)),
            Next::RetryAt(moment) => self.schedule(moment.max(self.now), Event::Retries(index)),
        }
    }

    /// Streams a while, sometimes beyond what is held, and settles on what it was.
    fn served(&mut self, grant: &Grant) -> u64 {
        let output = Tokens(self.random.u64(0..=grant.held.output.0 * 3 / 2));
        self.desk.true_up(grant.ticket, Tokens(output.0 / 2), self.now);
        let truth = Cost { input: grant.held.input, output, output_is_guess: false };
        self.desk.settle(grant.ticket, truth, self.now);
        truth.total().0
    }

    fn leave(&mut self, index: usize) {
        let exchange = &mut self.exchanges[index];
        if exchange.fate.is_some() {
            return;
        }
        exchange.fate = Some("left");
        let grant = exchange.grant.take();
        if let Some(ticket) = exchange.ticket.take() {
            self.by_ticket.remove(&ticket);
            self.desk.leave(ticket, self.now);
        }
        if let Some(grant) = grant {
            self.charge(&grant.target.provider, -i128::from(grant.held.total().0));
            self.breakers.on(&grant.target, tidegate::routing::Verdict::Neutral, self.now);
        }
    }

    /// A restart of the desk's knowledge and a change of nothing: what was saved means the same again.
    fn reload(&mut self) {
        let saved = self.desk.save(self.now, WallTime(1));
        self.desk.retune(self.queue, of_budgets(&self.limits), self.now);
        let again = self.desk.save(self.now, WallTime(1));
        for (provider, budget) in &saved.budgets {
            for (name, fill) in &budget.fill {
                let after = again.budgets[provider].fill[name];
                assert!((fill - after).abs() < 1e-6, "{provider} {name}: {fill} became {after}");
            }
        }
    }

    fn random_outcome(&mut self, provider: &ProviderId) -> Outcome {
        let retry_after = self.random.bool().then(|| Duration::from_millis(self.random.u64(0..8_000)));
        // One provider is bad in every seed, so that breakers have work.
        let bad = *provider == ProviderId::from(PROVIDERS[(self.seed % 3) as usize]);
        match self.random.u8(0..if bad { 20 } else { 60 }) {
            0..=3 => Outcome::RateLimited { retry_after, window: Window::Minute },
            4..=7 => Outcome::ServerError { retry_after },
            8..=10 => Outcome::Unreachable,
            11 => Outcome::TimedOut,
            12 => Outcome::Overloaded { retry_after },
            13 => Outcome::Rejected,
            14 => Outcome::TooLarge,
            15 => Outcome::RateLimited { retry_after, window: Window::Day },
            _ => Outcome::Served,
        }
    }

    /// Before a grant: what was charged so far and what is now taken at once may not exceed burst and rate.
    fn check_rate(&self, provider: &ProviderId, units: u64) {
        let Some(limit) = self.limits[provider].tokens_per_minute else { return };
        let burst = u64::from(self.limits[provider].burst_tokens.unwrap_or(sixth(limit)).get());
        let seconds = self.now.since(Moment::START).as_secs_f64();
        let allowed = burst as f64 + f64::from(limit.get()) / 60.0 * seconds;
        let charged = *self.charged.get(provider).unwrap_or(&0) + i128::from(units.min(burst));
        assert!(charged as f64 <= allowed + 1.0, "{provider}: {charged} of {allowed} at {seconds} s");
    }

    fn charge(&mut self, provider: &ProviderId, units: i128) {
        *self.charged.entry(provider.clone()).or_default() += units;
    }

    fn schedule(&mut self, at: Moment, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn schedule_poll(&mut self, polled: bool) {
        let waiting: usize = self.desk.depths().iter().map(|(_, depth)| depth).sum();
        assert!(waiting <= self.queue.max_depth, "the queue is deeper than its bound");
        match self.desk.next_wakeup() {
            Some(next) => {
                assert!(next >= self.now, "the desk names a moment that has passed");
                assert!(!polled || next > self.now, "looking again at once changes nothing");
                assert!(waiting > 0, "nobody waits, and still somebody is to be woken");
                if self.next_poll.is_none_or(|planned| next < planned) {
                    self.next_poll = Some(next);
                    self.schedule(next, Event::Polls);
                }
            }
            None => assert_eq!(waiting, 0, "somebody waits and is forgotten"),
        }
    }

    fn check_the_end(self) -> Vec<&'static str> {
        for view in self.desk.view(self.now) {
            assert_eq!(view.open, 0, "{} still counts an open reservation", view.budget);
        }
        assert!(self.by_ticket.is_empty(), "a ticket was never answered");
        let fate = |(index, exchange): (usize, &Exchange)| {
            exchange.fate.unwrap_or_else(|| panic!("exchange {index} never ended"))
        };
        self.exchanges.iter().enumerate().map(fate).collect()
    }
}
