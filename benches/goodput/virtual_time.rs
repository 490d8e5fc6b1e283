//! A run in virtual time: clients, gate and provider as values, and one event after the other.
//!
//! The provider's account is the simulator's own. A message takes no time; an answer takes as long as it does over sockets. The
//! same scenario and seed come out the same.

use crate::client::{Call, REST_AFTER_ERROR, retry_after};
use crate::gate::{Decided, Gate, Kept, Who};
use crate::measure::{Counts, Measured, Seen, float};
use crate::scenario::{Knowledge, Scenario, TOKENS_PER_MINUTE, Turn};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;
use tidegate::admission::{Cost, Ticket};
use tidegate::dialect::Family;
use tidegate::simulator::{Account, Charge, Demand, Kind, Standing};
use tidegate::units::Moment;

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(120);

/// How often the gate's state is kept, and how long a killed one is away.
const CHECKPOINT: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_millis(500);

/// What the second program asks for at a time: little, so that it finds room where others wait for more. It takes a third of the limit, evenly, and never asks again.
const SECOND_CALL: Demand = Demand { input: 40, cached: 0, cap: Some(60), output: 60 };
const SECOND_PAUSE: Duration =
    Duration::from_nanos(100 * 3 * 60 * 1_000_000_000 / TOKENS_PER_MINUTE.get() as u64);

/// What happens next. Of an agent only where it is still at the same step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Sends(usize, u64),
    Answers(usize, u64),
    Polls,
    SecondSends,
    Halves,
    Kills,
    Starts,
    Keeps,
    Begins,
}

/// One that calls, one call after the other.
struct Agent {
    client: usize,
    group: usize,
    random: fastrand::Rng,
    call: Call,
    first_sent: Moment,
    retries: u32,
    at: At,
    /// Counts what it has gone through.
    step: u64,
}

/// Where an agent's call is.
enum At {
    Home,
    Gate,
    Provider { ticket: Option<Ticket>, held: Cost, charge: Charge, told: Vec<Standing> },
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Moment,
    begin: Moment,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    scheduled: u64,
    next_poll: Option<Moment>,
    account: Account,
    gate: Option<Gate>,
    kept: Kept,
    agents: Vec<Agent>,
    waiting: HashMap<Ticket, usize>,
    counts: Counts,
    /// Left in the account when the measured time began.
    left: u64,
    before: Counts,
    seen: Vec<Seen>,
}

/// Plays a scenario through.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> Measured {
    let mut world = World::new(scenario, seed);
    let end = world.begin + MEASURED;
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        if at >= end {
            break;
        }
        world.now = at;
        world.on(event);
        world.hand_out();
        world.plan_poll();
    }
    Measured {
        scenario: scenario.clone(),
        allowed: scenario.allowed(MEASURED / 2, MEASURED),
        left: float(world.left),
        counts: world.counts.since(world.before),
        clients: world.seen,
    }
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> World<'a> {
        let now = Moment::START;
        let mut account = Account::open(scenario.limits(false), scenario.counting(), now);
        let spent = u64::from(TOKENS_PER_MINUTE.get() - scenario.left_at_first());
        let charge = account.admit(Demand { cap: Some(spent), ..Demand::default() }, Family::OpenAi, now);
        account.leave(&charge.expect("the account is full"), spent, now);
        let through = scenario.knowledge != Knowledge::NoGateway;
        let mut world = World {
            scenario,
            now,
            begin: now + scenario.warm_up(),
            events: BinaryHeap::new(),
            scheduled: 0,
            next_poll: None,
            account,
            gate: through.then(|| Gate::new(scenario)),
            kept: Kept::default(),
            agents: Vec::new(),
            waiting: HashMap::new(),
            counts: Counts::default(),
            before: Counts::default(),
            left: 0,
            seen: Vec::new(),
        };
        world.populate(seed);
        world.plan(world.begin, Event::Begins);
        let middle = world.begin + MEASURED / 2;
        match scenario.turn {
            Turn::Nothing => {}
            Turn::SecondProgram => world.plan(now, Event::SecondSends),
            Turn::Halved => world.plan(middle, Event::Halves),
            Turn::Killed => {
                world.plan(now, Event::Keeps);
                world.plan(middle, Event::Kills);
            }
        }
        world
    }

    fn populate(&mut self, seed: u64) {
        for (index, group) in self.scenario.groups.iter().enumerate() {
            for _ in 0..group.clients {
                let client = self.seen.len();
                self.seen.push(Seen { group: index, ..Seen::default() });
                for _ in 0..group.agents {
                    let number = self.agents.len();
                    self.agents.push(Agent {
                        client,
                        group: index,
                        random: fastrand::Rng::with_seed(seed ^ number as u64),
                        call: Call::default(),
                        first_sent: self.now,
                        retries: 0,
                        at: At::Home,
                        step: 0,
                    });
                    self.plan(self.now, Event::Sends(number, 0));
                }
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Sends(agent, step) if self.agents[agent].step == step => self.sends(agent),
            Event::Answers(agent, step) if self.agents[agent].step == step => self.answers(agent),
            Event::Sends(..) | Event::Answers(..) => {}
            Event::Polls => {
                self.next_poll = None;
                if let Some(gate) = &mut self.gate {
                    gate.poll(self.now);
                }
            }
            Event::SecondSends => {
                self.counts.second_received += 1;
                match self.account.admit(SECOND_CALL, Family::OpenAi, self.now) {
                    Ok(charge) => {
                        self.counts.charged += charge.tokens();
                        self.account.leave(&charge, SECOND_CALL.output, self.now);
                    }
                    Err(_) => self.counts.second_limited += 1,
                }
                self.plan(self.now + SECOND_PAUSE, Event::SecondSends);
            }
            Event::Halves => self.account.retune(self.scenario.limits(true), self.now),
            Event::Kills => self.kill(),
            Event::Starts => {
                let mut gate = Gate::new(self.scenario);
                gate.restore(&self.kept, self.now);
                self.gate = Some(gate);
            }
            Event::Keeps => {
                if let Some(gate) = &self.gate {
                    self.kept = gate.save(self.now);
                }
                self.plan(self.now + CHECKPOINT, Event::Keeps);
            }
            Event::Begins => {
                self.before = self.counts;
                self.left = self.account.remaining(Kind::Tokens, self.now).unwrap_or_default();
            }
        }
    }

    /// A new call, or the same once more.
    fn sends(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        if agent.retries == 0 {
            agent.call = Call::draw(&self.scenario.groups[agent.group], &mut agent.random);
            agent.first_sent = self.now;
        }
        if self.scenario.knowledge == Knowledge::NoGateway {
            self.arrives(number, None, Cost::default());
        } else {
            self.enters(number, self.now);
        }
    }

    fn enters(&mut self, number: usize, entered: Moment) {
        let agent = &mut self.agents[number];
        let priority = self.scenario.groups[agent.group].priority;
        let Some(gate) = &mut self.gate else { return self.fails(number, None) };
        let who = Who { client: agent.client, priority, entered };
        let ticket = gate.enter(who, agent.call.demand().input, agent.call.cap, self.now);
        agent.at = At::Gate;
        self.waiting.insert(ticket, number);
    }

    /// Carries out what the gate decides, until nothing more follows from it.
    fn hand_out(&mut self) {
        while let Some(gate) = &mut self.gate {
            let decided = gate.decided(self.now);
            if decided.is_empty() {
                return;
            }
            for decided in decided {
                let (Decided::Granted(ticket, _) | Decided::Refused(ticket, _)) = decided;
                let number = self.waiting.remove(&ticket).expect("a ticket that is answered was waiting");
                match decided {
                    Decided::Granted(ticket, held) => self.arrives(number, Some(ticket), held),
                    Decided::Refused(_, wait) => self.fails(number, wait),
                }
            }
        }
    }

    /// A call is at the provider.
    fn arrives(&mut self, number: usize, ticket: Option<Ticket>, held: Cost) {
        self.counts.received += 1;
        let call = self.agents[number].call;
        let admitted = self.account.admit(call.demand(), Family::OpenAi, self.now);
        let told = self.account.told(Family::OpenAi, self.now);
        match admitted {
            Ok(charge) => {
                self.counts.charged += charge.tokens();
                let agent = &mut self.agents[number];
                agent.at = At::Provider { ticket, held, charge, told };
                agent.step += 1;
                let step = agent.step;
                self.plan(self.now + call.takes(), Event::Answers(number, step));
            }
            Err(denial) => {
                self.counts.limited += 1;
                match (ticket, &mut self.gate) {
                    (Some(ticket), Some(gate)) => {
                        gate.limited(ticket, denial.wait(), &told, self.now);
                        // Refusals by the provider are waited for in the queue, and are no attempts.
                        self.enters(number, self.agents[number].first_sent);
                    }
                    _ => self.fails(number, denial.wait()),
                }
            }
        }
    }

    fn answers(&mut self, number: usize) {
        let now = self.now;
        let agent = &mut self.agents[number];
        let At::Provider { ticket, held, mut charge, told } = std::mem::replace(&mut agent.at, At::Home)
        else {
            return;
        };
        let call = agent.call;
        self.counts.charged += self.account.wrote(&mut charge, call.output, now);
        self.counts.charged -= self.account.leave(&charge, call.output, now);
        let counting = self.account.counting();
        let input = counting.counted(call.demand().input);
        let output = counting.counted(call.output).min(call.cap);
        if let (Some(ticket), Some(gate)) = (ticket, &mut self.gate) {
            gate.answered(ticket, held, (input, output), &told, now);
        }
        if now >= self.begin {
            let seen = &mut self.seen[agent.client];
            seen.tokens += input + call.cap;
            seen.waits.push(now.since(agent.first_sent).saturating_sub(call.takes()));
        }
        let rest = self.scenario.groups[agent.group].rest;
        self.comes_again(number, rest);
    }

    /// A call has failed for its client, who asks again or gives up.
    fn fails(&mut self, number: usize, told: Option<Duration>) {
        let agent = &mut self.agents[number];
        agent.at = At::Home;
        if let Some(wait) = retry_after(agent.retries, told, &mut agent.random) {
            agent.retries += 1;
            agent.step += 1;
            let step = agent.step;
            return self.plan(self.now + wait, Event::Sends(number, step));
        }
        if self.now >= self.begin {
            self.seen[agent.client].errors += 1;
        }
        self.comes_again(number, REST_AFTER_ERROR);
    }

    fn comes_again(&mut self, number: usize, rest: Duration) {
        let agent = &mut self.agents[number];
        agent.retries = 0;
        agent.step += 1;
        let step = agent.step;
        self.plan(self.now + rest, Event::Sends(number, step));
    }

    /// The gateway is gone, and with it every connection, those to the provider too. What was charged stays so.
    fn kill(&mut self) {
        self.gate = None;
        self.waiting.clear();
        for number in 0..self.agents.len() {
            match std::mem::replace(&mut self.agents[number].at, At::Home) {
                At::Home => {}
                At::Gate => self.fails(number, None),
                At::Provider { charge, .. } => {
                    self.account.leave(&charge, 0, self.now);
                    self.fails(number, None);
                }
            }
        }
        self.plan(self.now + AWAY, Event::Starts);
    }

    fn plan(&mut self, at: Moment, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn plan_poll(&mut self) {
        let next = self.gate.as_ref().and_then(Gate::next_wakeup);
        if let Some(next) = next.filter(|next| self.next_poll.is_none_or(|planned| *next < planned)) {
            self.next_poll = Some(next);
            self.plan(next, Event::Polls);
        }
    }
}
