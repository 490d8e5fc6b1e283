//! The gateway as far as admission goes: the one file here that knows how the desk is spoken to.
//!
//! What the exchange does around the desk in a daemon is done here without time or sockets: estimate, enter, wait for
//! room after a refusal, settle on the truth.

use crate::scenario::{BURST, Knowledge, Scenario, TOKENS_PER_MINUTE};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tidegate::admission::{
    Ask, Choice, Cost, Counting, Desk, Dimension, Draws, Effect, Limits, Meaning, OutputCounts, Priority,
    QueueSettings, Reading, SavedDesk, Share, Shortage, Ticket, Turn,
};
use tidegate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use tidegate::simulator::{self, Standing};
use tidegate::tokens::{Corrections, Kind, SavedLevel};
use tidegate::units::{Moment, Tokens, WallTime};

/// What is waited after a refusal that does not say.
const UNTOLD_WAIT: Duration = Duration::from_secs(1);

/// How the simulated provider counts, as a gateway that knows OpenAI has it.
const COUNTING: Counting =
    Counting { output: OutputCounts::AtAdmission, gives_back: false, ..Counting::USUAL };

/// The desk with one provider.
pub(crate) struct Gate {
    desk: Desk,
    queue: QueueSettings,
    draws: Arc<Draws>,
    /// Of those that were granted room, in case they have to come back.
    turns: HashMap<(usize, Moment), Turn>,
    asked: HashMap<Ticket, (usize, Moment)>,
    /// What the provider counts of what is estimated, and what was estimated for calls that are there.
    corrections: Corrections,
    estimated: HashMap<Ticket, Tokens>,
}

/// What outlives a gate.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    desk: SavedDesk,
    corrections: Vec<SavedLevel>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// The number of the client; all its agents are one client.
    pub(crate) client: usize,
    pub(crate) priority: Priority,
    /// When it came, however often it was refused since.
    pub(crate) entered: Moment,
}

/// What the gate has decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decided {
    Granted(Ticket, Cost),
    Refused(Ticket, Option<Duration>),
}

impl Gate {
    pub(crate) fn new(scenario: &Scenario) -> Gate {
        let limits = match scenario.knowledge {
            Knowledge::Configured => Limits {
                tokens_per_minute: Some(TOKENS_PER_MINUTE),
                burst_tokens: NonZeroU32::new(BURST),
                ..Limits::default()
            },
            Knowledge::NoGateway | Knowledge::Learned => Limits::default(),
        };
        let queue = QueueSettings::default();
        let own = BudgetId::from("sim");
        let pool = Some(BudgetId::from("sim/sim"));
        Gate {
            desk: Desk::new(queue, [(own.clone(), limits)]),
            queue,
            draws: Arc::new(Draws { configured: vec![own], pool }),
            turns: HashMap::new(),
            asked: HashMap::new(),
            corrections: Corrections::default(),
            estimated: HashMap::new(),
        }
    }

    /// Asks for room for a call of so many input tokens, as the gateway counts them, and this cap.
    pub(crate) fn enter(&mut self, who: Who, input: u64, cap: u64, now: Moment) -> Ticket {
        let Who { client, priority, entered } = who;
        let correction = self.corrections.of(&provider(), &model(), Kind::Prose);
        let corrected = correction.mean(Tokens(input));
        let estimate = Cost { input: corrected, output: Tokens(cap), output_is_guess: false };
        let target = TargetId { provider: provider(), model: model() };
        let ask = Ask {
            choices: vec![Choice {
                target,
                draws: Arc::clone(&self.draws),
                cost: COUNTING.reserved(estimate, Tokens(cap)),
                open_from: entered,
            }],
            priority,
            share: Share { payer: client as u64, ..Share::default() },
            entered,
            turn: self.turns.remove(&(client, entered)),
            deadline: entered + self.queue.max_wait,
        };
        let ticket = self.desk.enter(ask, now);
        self.asked.insert(ticket, (client, entered));
        self.estimated.insert(ticket, Tokens(input));
        ticket
    }

    /// What was decided since the last call.
    pub(crate) fn decided(&mut self, now: Moment) -> Vec<Decided> {
        let effects = self.desk.take_effects().into_iter();
        let decided = effects.map(|effect| match effect {
            Effect::Granted(grant) => {
                if let Some(asked) = self.asked.remove(&grant.ticket) {
                    self.turns.insert(asked, grant.turn);
                }
                Decided::Granted(grant.ticket, grant.held)
            }
            Effect::Refused(ticket, refusal) => {
                Decided::Refused(ticket, refusal.until.map(|until| until.since(now)))
            }
        });
        decided.collect()
    }

    /// A call has been answered: what it used, and what the provider said of its limits when it let it in.
    pub(crate) fn answered(
        &mut self,
        ticket: Ticket,
        held: Cost,
        used: (u64, u64),
        told: &[Standing],
        now: Moment,
    ) {
        self.hear(ticket, told, now);
        if let Some(estimated) = self.estimated.remove(&ticket) {
            self.corrections.teach(&provider(), &model(), Kind::Prose, estimated, Tokens(used.0));
        }
        let truth = Cost { input: Tokens(used.0), output: Tokens(used.1), output_is_guess: false };
        self.desk.settle(ticket, COUNTING.settled(held, truth, Tokens::ZERO), now);
    }

    /// The provider has refused a call. It is to enter again, with its first time.
    pub(crate) fn limited(&mut self, ticket: Ticket, wait: Option<Duration>, told: &[Standing], now: Moment) {
        self.hear(ticket, told, now);
        let until = now + wait.unwrap_or(UNTOLD_WAIT);
        let shortage = Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None };
        self.desk.penalise(ticket, &shortage, now);
    }

    fn hear(&mut self, ticket: Ticket, told: &[Standing], now: Moment) {
        let readings: Vec<Reading> = told.iter().map(reading).collect();
        self.desk.hear(ticket, &readings, now);
    }

    pub(crate) fn poll(&mut self, now: Moment) {
        self.desk.poll(now);
    }

    pub(crate) fn next_wakeup(&self) -> Option<Moment> {
        self.desk.next_wakeup()
    }

    /// What a checkpoint keeps.
    pub(crate) fn save(&self, now: Moment) -> Kept {
        Kept { desk: self.desk.save(now, wall(now)), corrections: self.corrections.save() }
    }

    /// What a start takes over.
    pub(crate) fn restore(&mut self, kept: &Kept, now: Moment) {
        self.desk.restore(&kept.desk, now, wall(now));
        self.corrections.restore(&kept.corrections);
    }
}

fn model() -> ModelName {
    ModelName::from("sim")
}

fn provider() -> ProviderId {
    ProviderId::from("sim")
}

/// Both clocks go alike here.
fn wall(now: Moment) -> WallTime {
    WallTime(now.as_nanos() / 1_000_000)
}

/// What is told as the desk hears it.
fn reading(told: &Standing) -> Reading {
    Reading {
        dimension: match told.kind {
            simulator::Kind::Requests => Dimension::RequestsPerMinute,
            simulator::Kind::DailyRequests => Dimension::RequestsPerDay,
            simulator::Kind::Tokens => Dimension::TokensPerMinute,
            simulator::Kind::DailyTokens => Dimension::TokensPerDay,
            simulator::Kind::Input => Dimension::InputTokensPerMinute,
            simulator::Kind::Output => Dimension::OutputTokensPerMinute,
        },
        limit: Some(told.limit),
        remaining: Some(told.remaining),
        full_in: Some(told.full_in),
        grain: told.grain,
    }
}
