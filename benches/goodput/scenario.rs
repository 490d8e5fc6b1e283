//! What is tried: who asks for how much, what the provider counts and says, what the gateway knows, what happens.
//!
//! Plain values, the same for virtual and for real time. The matrix is chosen to stay readable: the full cross of counts,
//! headers and knowledge only where clients are equal, and of every other scenario what can go wrong in it.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;
use tidegate::admission::Priority;
use tidegate::simulator::{LimitHeaders, SimulatedCounting, SimulatedLimits};

/// What the account allows.
pub(crate) const TOKENS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not 0");

/// What the gateway lets through at once after a rest, where it knows the limit.
pub(crate) const BURST: u32 = TOKENS_PER_MINUTE.get() / 6;

/// Until the first token of an answer, and for each.
pub(crate) const FIRST_TOKEN: Duration = Duration::from_millis(50);
pub(crate) const TOKEN: Duration = Duration::from_millis(2);

/// Clients that ask alike.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) clients: usize,
    /// Calls at a time of each.
    pub(crate) agents: usize,
    pub(crate) prompt_bytes: Range<usize>,
    pub(crate) priority: Priority,
    /// How long it rests between two calls.
    pub(crate) rest: Duration,
}

/// Whether the gateway is told the limit or has to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// Clients go straight to the provider.
    NoGateway,
    Configured,
    Learned,
}

/// What happens in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Nothing,
    /// Another program takes a third of the limit all along, past the gateway.
    SecondProgram,
    /// The limit is halved.
    Halved,
    /// The gateway is killed and started again.
    Killed,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) groups: Vec<Group>,
    pub(crate) turn: Turn,
    pub(crate) knowledge: Knowledge,
    pub(crate) factor: f64,
    pub(crate) headers: LimitHeaders,
}

impl Scenario {
    /// Its name with what tells it from its neighbours: `equal, learned, x1.3, no headers`.
    pub(crate) fn title(&self) -> String {
        let knowledge = match self.knowledge {
            Knowledge::NoGateway => "no gateway",
            Knowledge::Configured => "configured",
            Knowledge::Learned => "learned",
        };
        let headers = match self.headers {
            LimitHeaders::Own | LimitHeaders::OpenAi => "OpenAI",
            LimitHeaders::Anthropic => "Anthropic",
            LimitHeaders::None => "no",
        };
        format!("{}, {knowledge}, x{:.1}, {headers} headers", self.name, self.factor)
    }

    /// How the provider counts: as OpenAI, prompt and cap at admission, of which nothing is given back.
    pub(crate) fn counting(&self) -> SimulatedCounting {
        SimulatedCounting {
            limit_headers: self.headers,
            count_factor: self.factor,
            ..SimulatedCounting::default()
        }
    }

    /// What the provider allows, and after the limit was halved.
    pub(crate) fn limits(&self, halved: bool) -> SimulatedLimits {
        let limit = u64::from(TOKENS_PER_MINUTE.get()) / if halved { 2 } else { 1 };
        SimulatedLimits { tokens_per_minute: Some(limit), ..SimulatedLimits::default() }
    }

    /// What is left in the account when the clients begin: what the gateway lets through at once, so that no unused room
    /// of the past hides a call that comes too early. A second program finds some more, or it would never be let in
    /// beside a gateway that takes all there is.
    pub(crate) fn left_at_first(&self) -> u32 {
        if self.turn == Turn::SecondProgram { 2 * BURST } else { BURST }
    }

    /// Until what could be spent at once is spent, and everybody waits; then what is measured.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(if self.turn == Turn::SecondProgram { 60 } else { 20 })
    }

    /// The tokens that may be used in a time of which the turn comes after `before`.
    pub(crate) fn allowed(&self, before: Duration, whole: Duration) -> f64 {
        let rate = f64::from(TOKENS_PER_MINUTE.get()) / 60.0;
        let after = whole.saturating_sub(before).as_secs_f64();
        match self.turn {
            Turn::Halved => rate * (whole.as_secs_f64() - after / 2.0),
            Turn::Nothing | Turn::SecondProgram | Turn::Killed => rate * whole.as_secs_f64(),
        }
    }
}

fn group(name: &'static str, clients: usize) -> Group {
    Group {
        name,
        clients,
        agents: 1,
        prompt_bytes: 200..1_000,
        priority: Priority::Normal,
        rest: Duration::ZERO,
    }
}

fn equal() -> Vec<Group> {
    vec![group("light", 32)]
}

fn heavy_and_light() -> Vec<Group> {
    vec![Group { agents: 8, prompt_bytes: 800..4_000, ..group("heavy", 4) }, group("light", 28)]
}

fn interactive_and_batch() -> Vec<Group> {
    let rest = Duration::from_secs(2);
    vec![
        Group { priority: Priority::Interactive, rest, ..group("interactive", 8) },
        Group { priority: Priority::Batch, ..group("batch", 24) },
    ]
}

/// All that is tried, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    use Knowledge::{Configured, Learned, NoGateway};
    use LimitHeaders::{Anthropic, None, OpenAi};
    let of = |name, groups: fn() -> Vec<Group>, turn, (knowledge, factor, headers)| Scenario {
        name,
        groups: groups(),
        turn,
        knowledge,
        factor,
        headers,
    };
    let mut all = vec![of("equal", equal, Turn::Nothing, (NoGateway, 1.0, OpenAi))];
    for knowledge in [Configured, Learned] {
        for factor in [1.0, 1.3] {
            for headers in [OpenAi, Anthropic, None] {
                all.push(of("equal", equal, Turn::Nothing, (knowledge, factor, headers)));
            }
        }
    }
    let told = [(Configured, 1.0, OpenAi), (Configured, 1.3, None), (Learned, 1.3, Anthropic)];
    let found = [(Configured, 1.0, OpenAi), (Learned, 1.3, Anthropic), (Learned, 1.0, None)];
    all.extend(told.map(|case| of("heavy", heavy_and_light, Turn::Nothing, case)));
    all.extend(told.map(|case| of("interactive", interactive_and_batch, Turn::Nothing, case)));
    all.extend(found.map(|case| of("second", equal, Turn::SecondProgram, case)));
    all.extend(found.map(|case| of("halved", equal, Turn::Halved, case)));
    all.extend(told.map(|case| of("killed", equal, Turn::Killed, case)));
    all
}
