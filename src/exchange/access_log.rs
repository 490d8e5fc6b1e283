//! The access log: one line for every exchange that has ended, and what such a line says when it is read again.
//!
//! Written and read in one place, so that a replay of a log knows what was written. Invariant: names, numbers and
//! hashes only; nothing of a body, a key or a user's name.

use super::bill::{Bill, Ending};
use super::client::{Client, USUAL_WEIGHT};
use super::{Fault, Request, Trace};
use crate::admission::{Cost, Priority};
use crate::units::{Moment, Tokens, WallTime, parse_rfc3339};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// An exchange whose answer had begun. Of `[truth, settled]` the second is what the provider charges for it.
pub(super) fn served(bill: &Bill, ending: Ending, [truth, settled]: [Cost; 2], counted_there: bool) {
    let now = bill.gateway.clock.now();
    let client = bill.client.as_ref();
    tracing::info!(
        request_id = %bill.id,
        dialect = bill.dialect.name(),
        provider = %bill.target.provider,
        model = %bill.target.model,
        client = client.map(tracing::field::display),
        client_key = client.and_then(Client::key),
        client_weight = client.and_then(Client::unusual_weight),
        priority = bill.priority.name(),
        status = bill.status,
        ending = ending.name(),
        stream = bill.stream,
        attempts = bill.attempts,
        queue_ms = millis(bill.waited),
        ttft_ms = bill.first_byte.map(|first| millis(first.since(bill.sent))),
        total_ms = millis(now.since(bill.arrived)),
        tokens_estimated = bill.estimate.total().0,
        tokens_estimated_in = bill.estimate.input.0,
        tokens_reserved = bill.held.total().0,
        output_guessed = bill.held.output_is_guess,
        tokens_in = truth.input.0,
        tokens_out = truth.output.0,
        tokens_charged_in = settled.input.0,
        tokens_charged_out = settled.output.0,
        counted_by = if counted_there { "provider" } else { "tidegate" },
        "exchange"
    );
}

/// An exchange that ends with the provider's own refusal.
pub(super) fn gave_back(request: &Request, status: u16, trace: &Trace, now: Moment) {
    let client = trace.client.as_ref();
    let asked = trace.target.as_ref();
    tracing::info!(
        request_id = %request.id,
        dialect = request.asked.dialect.name(),
        provider = asked.map_or("none", |target| target.provider.as_str()),
        model = asked.map(|target| target.model.as_str()),
        client = client.map(tracing::field::display),
        client_key = client.and_then(Client::key),
        client_weight = client.and_then(Client::unusual_weight),
        priority = trace.priority.name(),
        status,
        reason = trace.last_failure.as_ref().map(|(outcome, _)| outcome.name()),
        attempts = trace.attempts,
        queue_ms = millis(trace.waited),
        total_ms = millis(now.since(request.arrived)),
        tokens_estimated = trace.estimated.map(|cost| cost.total().0),
        tokens_estimated_in = trace.estimated.map(|cost| cost.input.0),
        "exchange refused by the provider"
    );
}

/// An exchange that tidegate itself has refused. Its provider is the one that it would have liked best.
pub(super) fn refused(request: &Request, status: u16, fault: &Fault, trace: &Trace, now: Moment) {
    let client = trace.client.as_ref();
    let asked = trace.target.as_ref().or(trace.wanted.as_ref());
    tracing::info!(
        request_id = %request.id,
        dialect = request.asked.dialect.name(),
        provider = asked.map(|target| target.provider.as_str()),
        model = asked.map(|target| target.model.as_str()),
        client = client.map(tracing::field::display),
        client_key = client.and_then(Client::key),
        client_weight = client.and_then(Client::unusual_weight),
        priority = trace.priority.name(),
        status,
        reason = fault.name(),
        attempts = trace.attempts,
        queue_ms = millis(trace.waited),
        total_ms = millis(now.since(request.arrived)),
        tokens_estimated = trace.estimated.map(|cost| cost.total().0),
        tokens_estimated_in = trace.estimated.map(|cost| cost.input.0),
        output_guessed = trace.estimated.map(|cost| cost.output_is_guess),
        "exchange refused"
    );
}

/// What one line of a log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An exchange that reached the desk, or would have.
    Exchange(Box<Logged>),
    /// Something else.
    Other,
}

/// An exchange as its line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it ended.
    pub ended: WallTime,
    /// How long it took in all.
    pub total: Duration,
    /// How much of that it waited for room.
    pub queued: Duration,
    /// Who served it, or would have.
    pub provider: String,
    /// Whether it came to the provider.
    pub served: bool,
    /// What was held for it.
    pub held: Cost,
    /// What it was charged; of one that was not served, as estimated.
    pub charged: Cost,
    /// Its class.
    pub priority: Priority,
    /// Who asked, as logs say it.
    pub client: String,
    /// With which credential.
    pub client_key: String,
    /// The weight of the client, in thousandths.
    pub weight: u32,
}

/// A line as it is written. Numbers that older versions did not write are optional.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    provider: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    priority: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    client_key: Option<Cow<'a, str>>,
    client_weight: Option<u32>,
    queue_ms: Option<u64>,
    total_ms: Option<u64>,
    tokens_estimated: Option<u64>,
    tokens_estimated_in: Option<u64>,
    tokens_reserved: Option<u64>,
    tokens_in: Option<u64>,
    tokens_out: Option<u64>,
    tokens_charged_in: Option<u64>,
    tokens_charged_out: Option<u64>,
    output_guessed: Option<bool>,
}

/// Reads one line of a log that was written as JSON.
///
/// # Errors
/// It is of an exchange, and does not say what it must.
pub fn read_line(line: &[u8]) -> Result<Line, &'static str> {
    // Most lines of a busy log are of exchanges; of the others no word is read.
    if !line.starts_with(b"{") || memchr::memmem::find(line, b"\"exchange").is_none() {
        return Ok(Line::Other);
    }
    let Ok(written) = serde_json::from_slice::<Written<'_>>(line) else {
        return Err("it is not JSON, or has a value of another kind");
    };
    let is_exchange =
        matches!(&*written.message, "exchange" | "exchange refused" | "exchange refused by the provider");
    if !is_exchange {
        return Ok(Line::Other);
    }
    written.meant()
}

impl Written<'_> {
    fn meant(self) -> Result<Line, &'static str> {
        // What no limit would have served differently.
        let hopeless = ["bad_request", "unknown_model", "unfit", "client_body", "no_provider", "broken"];
        let reason = self.reason.as_deref().unwrap_or_default();
        let provider = self.provider.as_deref().filter(|name| !matches!(*name, "" | "none"));
        let Some(provider) = provider.filter(|_| !hopeless.contains(&reason)) else {
            return match self.message == "exchange" {
                true => Err("it has no provider"),
                false => Ok(Line::Other),
            };
        };
        let ended = parse_rfc3339(&self.timestamp).ok_or("its timestamp cannot be read")?;
        let total = self.total_ms.ok_or("it has no total_ms")?;
        let estimated = self.tokens_estimated.ok_or("it has no tokens_estimated")?;
        let input = self.tokens_estimated_in.or(self.tokens_in).unwrap_or(estimated).min(estimated);
        let cost =
            |input, output| Cost { input: Tokens(input), output: Tokens(output), output_is_guess: false };
        let held = Cost {
            output_is_guess: self.output_guessed.unwrap_or(false),
            ..cost(input, self.tokens_reserved.unwrap_or(estimated).saturating_sub(input))
        };
        let charged =
            match (self.tokens_charged_in.or(self.tokens_in), self.tokens_charged_out.or(self.tokens_out)) {
                (Some(input), Some(output)) => cost(input, output),
                // The provider has refused it for what it is, and counts the request.
                _ if self.message == "exchange refused by the provider"
                    && !reason.ends_with("_limit")
                    && reason != "rate_limited" =>
                {
                    Cost::default()
                }
                _ => Cost { output_is_guess: false, ..held },
            };
        Ok(Line::Exchange(Box::new(Logged {
            ended,
            total: Duration::from_millis(total),
            queued: Duration::from_millis(self.queue_ms.unwrap_or(0).min(total)),
            provider: provider.to_owned(),
            served: self.message == "exchange",
            held,
            charged,
            priority: self.priority.as_deref().and_then(Priority::from_name).unwrap_or_default(),
            client: self.client.map(Cow::into_owned).unwrap_or_default(),
            client_key: self.client_key.map(Cow::into_owned).unwrap_or_default(),
            weight: self.client_weight.unwrap_or(USUAL_WEIGHT),
        })))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exchange(line: &str) -> Logged {
        match read_line(line.as_bytes()) {
            Ok(Line::Exchange(logged)) => *logged,
            other => panic!("{other:?}"),
        }
    }

    fn cost(input: u64, output: u64) -> Cost {
        Cost { input: Tokens(input), output: Tokens(output), output_is_guess: false }
    }

    const SERVED: &str = r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"INFO","message":"exchange",
        "request_id":"r","dialect":"chat","provider":"openai","model":"m","client":"session:1","client_key":"key:2",
        "priority":"batch","status":200,"ending":"complete","stream":true,"attempts":1,"queue_ms":1500,"ttft_ms":9,
        "total_ms":2500,"tokens_estimated":1100,"tokens_estimated_in":100,"tokens_reserved":600,"output_guessed":true,
        "tokens_in":90,"tokens_out":40,"tokens_charged_in":50,"tokens_charged_out":40,"counted_by":"provider"}"#;

    #[test]
    fn a_line_says_what_was_held_and_charged() {
        let logged = exchange(SERVED);
        assert_eq!(logged.ended, WallTime(1_767_323_045_678));
        assert_eq!((logged.total.as_millis(), logged.queued.as_millis()), (2_500, 1_500));
        assert_eq!(logged.held, Cost { output_is_guess: true, ..cost(100, 500) });
        assert_eq!(logged.charged, cost(50, 40));
        assert_eq!((logged.client.as_str(), logged.client_key.as_str()), ("session:1", "key:2"));
        assert_eq!((logged.priority, logged.weight), (Priority::Batch, 1_000));
        assert!(logged.served);
    }

    #[test]
    fn a_line_of_an_older_version_is_read_as_far_as_it_goes() {
        let line = r#"{"timestamp":"2026-01-02T03:04:05Z","message":"exchange","provider":"a","total_ms":5,
            "tokens_estimated":100,"tokens_reserved":80,"tokens_in":60,"tokens_out":3}"#;
        let logged = exchange(line);
        assert_eq!((logged.held, logged.charged), (cost(60, 20), cost(60, 3)));
    }

    #[test]
    fn one_that_limits_have_refused_counts_as_estimated_and_one_that_was_wrong_as_a_request() {
        let refused = |message: &str, reason: &str| {
            format!(
                r#"{{"timestamp":"2026-01-02T03:04:05Z","message":"{message}","provider":"a","reason":"{reason}",
                "total_ms":5,"tokens_estimated":100,"tokens_estimated_in":60}}"#
            )
        };
        for (message, reason) in [
            ("exchange refused", "deadline"),
            ("exchange refused", "queue_full"),
            ("exchange refused by the provider", "rate_limited"),
            ("exchange refused by the provider", "daily_limit"),
        ] {
            let logged = exchange(&refused(message, reason));
            assert_eq!((logged.held, logged.charged, logged.served), (cost(60, 40), cost(60, 40), false));
        }
        let wrong = exchange(&refused("exchange refused by the provider", "rejected"));
        assert_eq!((wrong.held, wrong.charged), (cost(60, 40), Cost::default()));
        for reason in ["bad_request", "unknown_model"] {
            assert_eq!(read_line(refused("exchange refused", reason).as_bytes()), Ok(Line::Other));
        }
    }

    #[test]
    fn what_is_no_exchange_is_left_out_and_what_is_a_broken_one_is_told() {
        for other in [
            "",
            "tidegate 0.1.0 (\"exchange\")",
            r#"{"timestamp":"x","message":"stopping"}"#,
            r#"{"timestamp":"x","message":"says \"exchange\" somewhere"}"#,
            r#"{"timestamp":"2026-01-02T03:04:05Z","message":"exchange refused","reason":"deadline"}"#,
        ] {
            assert_eq!(read_line(other.as_bytes()), Ok(Line::Other), "{other}");
        }
        for (from, to) in [
            ("2026-01-02T", "yesterday "),
            ("\"total_ms\":2500,", ""),
            ("\"total_ms\":2500", "\"total_ms\":-1"),
            ("\"provider\":\"openai\",", ""),
            ("\"tokens_estimated\":1100,", ""),
            ("\"counted_by\"", ""),
        ] {
            assert!(read_line(SERVED.replace(from, to).as_bytes()).is_err(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(
            cut in 0..SERVED.len(),
            number in any::<u64>(),
            junk in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = read_line(&SERVED.as_bytes()[..cut]);
            let _ = read_line(&[b"{\"exchange".as_slice(), &junk].concat());
            for field in ["2500", "1500", "1100", "600", "100,", "90", "50"] {
                let _ = read_line(SERVED.replace(field, &format!("{number},").replace(",,", ",")).as_bytes());
            }
        }
    }
}
