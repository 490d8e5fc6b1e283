//! The bill of one exchange whose answer has begun: what it holds, what was counted, how it ended.
//!
//! Invariant: closed exactly once; the first ending counts.

use super::client::Client;
use super::learned::Lesson;
use super::story::Telling;
use super::turnstile::Reservation;
use super::{Gateway, access_log};
use crate::admission::{Cost, Counting, Priority};
use crate::dialect::Dialect;
use crate::ids::{RequestId, TargetId};
use crate::observe::{StatusStep, StatusTokens, seconds};
use crate::units::{Moment, Tokens};
use crate::wire::Usage;
use std::sync::Arc;
use std::time::Duration;

/// The most tokens of one kind that an exchange adds to the metrics. Where nobody counts, the client's own
/// cap is settled, and one that cannot be meant would carry the counter past its end.
const MEASURED_MAX: u64 = 1 << 32;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As the provider meant it.
    Complete,
    /// The provider failed after it had begun.
    BrokeOff,
    /// The client went away.
    ClientLeft,
}

impl Ending {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Ending::Complete => "complete",
            Ending::BrokeOff => "broke_off",
            Ending::ClientLeft => "client_left",
        }
    }
}

/// An open bill.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) gateway: Arc<Gateway>,
    pub(super) telling: Telling,
    pub(super) id: RequestId,
    pub(super) dialect: Dialect,
    /// Whether the answer comes as events, which is not always what was asked for.
    pub(super) stream: bool,
    pub(super) status: u16,
    pub(super) target: TargetId,
    pub(super) estimate: Cost,
    /// What its usage will teach.
    pub(super) lesson: Lesson,
    pub(super) client: Option<Client>,
    pub(super) priority: Priority,
    /// What the provider charges against its limits.
    pub(super) counting: Counting,
    pub(super) attempts: u32,
    /// In all, for room.
    pub(super) waited: Duration,
    pub(super) arrived: Moment,
    pub(super) sent: Moment,
    pub(super) first_byte: Option<Moment>,
    pub(super) counted: Tokens,
    /// What was held when the request was sent. The reservation may hold more by now, for output that came beyond
    /// it, and that was never charged ahead.
    pub(super) held: Cost,
    /// The truth, once the bill is closed.
    pub(super) used: Option<Cost>,
    /// Taken when the bill is closed.
    pub(super) reservation: Option<Reservation>,
}

impl Bill {
    /// The first byte of the body has come.
    pub(super) fn first_byte(&mut self) {
        if self.first_byte.is_none() {
            let now = self.gateway.clock.now();
            self.first_byte = Some(now);
            self.telling.tell(StatusStep::FirstByte);
            let labels = [("provider", self.target.provider.to_string())];
            let wait = seconds(now.since(self.sent));
            self.gateway.metrics.time_to_first_token.get_or_create(&labels).observe(wait);
        }
    }

    /// This much output has come so far.
    pub(super) fn counted(&mut self, output: Tokens) {
        self.counted = output;
        if let Some(reservation) = &mut self.reservation {
            let used = Cost { input: self.estimate.input, output, output_is_guess: false };
            reservation.note(self.counting.settled(self.held, used, Tokens::ZERO));
        }
    }

    /// Settles on the provider's count, or on ours if it gave none.
    pub(super) fn close(&mut self, ending: Ending, usage: Option<Usage>) {
        let Some(reservation) = self.reservation.take() else { return };
        let held = self.held;
        let truth = self.truth(ending, usage);
        let cached = usage.unwrap_or_default().cached_input;
        // Before the desk hears of it, because that is what makes a checkpoint due.
        if let Some(usage) = usage {
            let is_complete = ending == Ending::Complete;
            self.gateway.learned.teach(&self.target, self.lesson, usage, is_complete);
        }
        let settled = self.counting.settled(held, truth, cached);
        reservation.settle(settled);
        self.used = Some(truth);
        self.measure(ending, usage, truth);
        let counted_by = if usage.is_some() { "provider" } else { "tidegate" };
        self.telling.tell(StatusStep::Settled {
            used: StatusTokens { input: truth.input.0, output: truth.output.0 },
            cached: cached.0,
            counted_by: counted_by.into(),
            ending: ending.name().into(),
        });
        match ending {
            Ending::Complete => self.gateway.health.completed(&self.target),
            Ending::BrokeOff => self.gateway.health.broke_off(&self.target),
            // How it would have ended, nobody knows.
            Ending::ClientLeft => {}
        }
        access_log::served(self, ending, [truth, settled], usage.is_some());
    }

    /// The provider's usage is the truth. Without it a stream is worth its tally; a plain answer was
    /// generated whole or in unknown part, so what is held stays: giving it back blindly would forgive
    /// real use. A usage that came before the end of a stream that has none may be older than the tally.
    fn truth(&self, ending: Ending, usage: Option<Usage>) -> Cost {
        let (input, output) = match usage {
            Some(usage) if ending == Ending::Complete => (usage.input, usage.output),
            Some(usage) => (usage.input, usage.output.max(self.counted)),
            None if self.stream => (self.estimate.input, self.counted),
            None => (self.held.input, self.held.output),
        };
        Cost { input, output, output_is_guess: false }
    }

    fn measure(&self, ending: Ending, usage: Option<Usage>, truth: Cost) {
        let metrics = &self.gateway.metrics;
        let provider = || ("provider", self.target.provider.to_string());
        let dialect = || ("dialect", self.dialect.name().to_owned());
        self.gateway.count_answer(self.dialect, self.target.provider.as_str(), self.status);
        let total = seconds(self.gateway.clock.now().since(self.arrived));
        metrics.request_duration.get_or_create(&[dialect(), provider()]).observe(total);
        let tokens = [
            ("input", truth.input),
            ("output", truth.output),
            ("cached_input", usage.unwrap_or_default().cached_input),
            ("reasoning", usage.unwrap_or_default().reasoning),
        ];
        for (kind, amount) in tokens {
            let counter = metrics.tokens.get_or_create(&[provider(), ("type", kind.to_owned())]);
            counter.inc_by(amount.0.min(MEASURED_MAX));
        }
        if let Some(usage) = usage
            && self.estimate.input.0 > 0
        {
            #[expect(clippy::cast_precision_loss, reason = "a ratio for a histogram")]
            let ratio = usage.input.0 as f64 / self.estimate.input.0 as f64;
            metrics.token_estimate_error.get_or_create(&[provider()]).observe(ratio);
        }
        match ending {
            Ending::Complete => {}
            Ending::BrokeOff => {
                metrics.streams_broken.get_or_create(&[provider()]).inc();
            }
            Ending::ClientLeft => {
                metrics.cancelled.get_or_create(&[("stage", "answer".to_owned())]).inc();
            }
        }
    }
}
