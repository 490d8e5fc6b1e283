//! The story of an exchange as text for a person: one line an event, the time since it came at the left.

use super::terminal::grouped;
use crate::observe::{StatusExchange, StatusNext, StatusStep, StatusStory, StatusTokens};
use std::time::{Duration, UNIX_EPOCH};

/// The story. `now_us` is the time now, in the measure of the events.
pub(super) fn story(story: &StatusStory, now_us: u64, earlier: u64) -> String {
    let mut lines = head(story, earlier);
    lines.push(String::new());
    let mut target = None;
    let mut begun_us = None;
    let gap_at = story.events.len() / 2;
    for (at, event) in story.events.iter().enumerate() {
        if at == gap_at && story.left_out > 0 {
            lines.push(format!("{:>10}  ({} events are left out here)", "", story.left_out));
        }
        if let StatusStep::Granted { target: granted, .. } = &event.step {
            target = Some(granted.to_string());
        }
        match &event.step {
            StatusStep::Begun { .. } => begun_us = Some(event.at_us),
            // It mostly comes with the head, and says nothing more then.
            StatusStep::FirstByte if begun_us.is_some_and(|begun| event.at_us < begun + 1_000) => continue,
            _ => {}
        }
        let told = step(&event.step, target.as_deref().unwrap_or("nobody"));
        lines.push(format!("{:>10}  {told}", time(event.at_us)));
    }
    lines.push(String::new());
    lines.push(ending(story, now_us));
    lines.join("\n") + "\n"
}

/// The last exchanges, one line each.
pub(super) fn list(exchanges: &[StatusExchange]) -> String {
    if exchanges.is_empty() {
        return "no exchange yet\n".to_owned();
    }
    let ids = exchanges.iter().map(|exchange| exchange.id.as_str().len());
    let ids = ids.fold("request id".len(), usize::max);
    let mut text = format!(
        "{:<ids$}  {:<11}  {:>9}  {:>9}  {:>8}  {:>9}  target\n",
        "request id", "state", "waited", "took", "attempts", "tokens"
    );
    for exchange in exchanges {
        let target = match (&exchange.target, &exchange.model) {
            (Some(target), _) => target.to_string(),
            (None, Some(model)) => format!("({model})"),
            (None, None) => "-".to_owned(),
        };
        let used = exchange.used.map_or("-".to_owned(), |used| grouped(used.total()));
        text.push_str(&format!(
            "{:<ids$}  {:<11}  {:>9}  {:>9}  {:>8}  {used:>9}  {target}\n",
            exchange.id,
            exchange.state,
            time(exchange.waited_us),
            time(exchange.last_us),
            exchange.attempts
        ));
    }
    text
}

fn head(story: &StatusStory, earlier: u64) -> Vec<String> {
    let mut lines = vec![story.id.to_string()];
    let came = UNIX_EPOCH + Duration::from_secs(story.arrived_ms / 1_000);
    lines.push(format!("  came       {}", httpdate::fmt_http_date(came)));
    let mut asked = story.dialect.to_string();
    if let Some(model) = &story.model {
        asked.push_str(&format!(", model {model}"));
    }
    if story.stream {
        asked.push_str(", streamed");
    }
    if let Some(priority) = &story.priority {
        asked.push_str(&format!(", priority {priority}"));
    }
    if let Some(client) = &story.client {
        asked.push_str(&format!(", of {client}"));
    }
    lines.push(format!("  asked      {asked}"));
    if let Some(estimated) = story.estimated {
        lines.push(format!("  estimate   {}", tokens(estimated)));
    }
    if !story.targets.is_empty() {
        let targets: Vec<_> = story.targets.iter().map(ToString::to_string).collect();
        lines.push(format!("  plan       {}", targets.join(", then ")));
    }
    if earlier > 0 {
        lines.push(format!("  note       the newest of this id; {earlier} earlier are kept too"));
    }
    lines
}

fn step(step: &StatusStep, target: &str) -> String {
    match step {
        StatusStep::Skipped { target, why } => format!("left out {target}: {why}"),
        StatusStep::Waiting { reason, before } => {
            let others = match before {
                0 => String::new(),
                1 => ", behind 1 other".to_owned(),
                more => format!(", behind {more} others"),
            };
            format!("no room: waits for {reason}{others}")
        }
        StatusStep::Granted { target, held, waited_us: 0..1_000 } => {
            format!("room at {target}: {} tokens held", grouped(*held))
        }
        StatusStep::Granted { target, held, waited_us } => {
            format!("room at {target} after {}: {} tokens held", time(*waited_us), grouped(*held))
        }
        StatusStep::Sent { attempt } => format!("sent to {target} (attempt {attempt})"),
        StatusStep::NotSent { why } => format!("not sent to {target}: {why}"),
        StatusStep::Judged { status, outcome, told_wait_ms, next } => {
            let answered = match status {
                Some(status) => format!("{target} answered {status}"),
                None => format!("{target} gave no answer"),
            };
            let said =
                told_wait_ms.map(|ms| format!(", \"come back in {}\"", time(ms.saturating_mul(1_000))));
            let outcome = outcome.replace('_', " ");
            format!("{answered}: {outcome}{}; {}", said.unwrap_or_default(), follows(*next))
        }
        StatusStep::Heard { what } => format!("its headers: {what}"),
        StatusStep::Begun { status } => format!("the answer begins: {status}"),
        StatusStep::Translated { from, to, dropped: None } => format!("translated: {from} to {to}"),
        StatusStep::Translated { from, to, dropped: Some(dropped) } => {
            format!("translated: {from} to {to}, which has no words for {dropped}")
        }
        StatusStep::FirstByte => "first byte".to_owned(),
        StatusStep::Settled { used, cached, counted_by, ending } => {
            let how = match ending.as_ref() {
                "complete" => "the answer is complete",
                "broke_off" => "the provider broke the answer off",
                _ => "the client went away",
            };
            let cached = match cached {
                0 => String::new(),
                cached => format!(", {} of the input from the provider's cache", grouped(*cached)),
            };
            let who = if counted_by == "provider" { "the provider" } else { "tidegate" };
            format!("{how}: {}{cached}, as {who} counts", tokens(*used))
        }
        StatusStep::GivenBack { status } => format!("the client gets the provider's own answer: {status}"),
        StatusStep::Refused { reason, status, detail } => {
            format!("refused with {status} ({}): {detail}", reason.replace('_', " "))
        }
        StatusStep::Left => "the client went away before there was an answer".to_owned(),
    }
}

fn follows(next: StatusNext) -> String {
    match next {
        StatusNext::PausedMs(ms) => {
            format!("it is left in peace for {}", time(ms.saturating_mul(1_000)))
        }
        StatusNext::RetryInMs(ms) => format!("tries again in {}", time(ms.saturating_mul(1_000))),
        StatusNext::MoveOn => "moves on".to_owned(),
        StatusNext::GiveBack => "that is the answer".to_owned(),
        StatusNext::Exhausted => "nobody is left to ask".to_owned(),
    }
}

/// How it ended, or where it stands, and what it took in all.
fn ending(story: &StatusStory, now_us: u64) -> String {
    let brief = story.brief();
    let (state, took) = match story.has_ended() {
        true => (brief.state.replace('_', " "), format!("after {}", time(brief.last_us))),
        false => (format!("{} now", brief.state), format!("{} after it came", time(now_us))),
    };
    let mut parts = vec![format!("{state}, {took}")];
    let still = match story.events.last().map(|event| &event.step) {
        Some(StatusStep::Waiting { .. }) => now_us.saturating_sub(brief.last_us),
        _ => 0,
    };
    match brief.waited_us.saturating_add(still) {
        0..1_000 => {}
        waited => parts.push(format!("{} of it waiting for room", time(waited))),
    }
    match brief.attempts {
        0 => parts.push("nobody was asked".to_owned()),
        1 => parts.push("1 attempt".to_owned()),
        attempts => parts.push(format!("{attempts} attempts")),
    }
    if let (Some(used), Some(estimated)) = (brief.used, story.estimated) {
        parts.push(format!(
            "{} tokens used of {} estimated",
            grouped(used.total()),
            grouped(estimated.total())
        ));
    }
    parts.join("; ")
}

fn tokens(tokens: StatusTokens) -> String {
    let (total, input, output) = (tokens.total(), tokens.input, tokens.output);
    format!("{} tokens ({} in, {} out)", grouped(total), grouped(input), grouped(output))
}

/// A time as a person reads it: `0.4 ms`, `12.3 s`, `2 m 05 s`.
fn time(us: u64) -> String {
    let (ms, seconds) = (us / 1_000, us / 1_000_000);
    if us < 10_000 {
        format!("{ms}.{} ms", us % 1_000 / 100)
    } else if ms < 1_000 {
        format!("{ms} ms")
    } else if seconds < 60 {
        format!("{seconds}.{} s", us % 1_000_000 / 100_000)
    } else if seconds < 3_600 {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        let times = [0, 340, 9_999, 10_000, 999_999, 1_000_000, 59_999_999, 125_000_000, 3_700_000_000];
        let shown =
            ["0.0 ms", "0.3 ms", "9.9 ms", "10 ms", "999 ms", "1.0 s", "59.9 s", "2 m 05 s", "1 h 01 m"];
        assert_eq!(times.map(time), shown);
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
