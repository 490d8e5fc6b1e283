//! Why an exchange waits, told from the budgets as they stand at the moment that it has to.
//!
//! The desk decides and this looks on: it reads what anybody may read of a budget, and takes the first target for the
//! one that matters. Refuses to know the queue.

use super::live::Live;
use crate::admission::{Ask, BudgetView, Cost, Dimension};
use crate::observe::StatusReason;

/// What is missing for the first target of `ask`; others that came first, if nothing is.
pub(super) fn reason(live: &Live, ask: &Ask, budgets: &[BudgetView]) -> StatusReason {
    let Some(choice) = ask.choices.first() else { return StatusReason::Queue };
    let provider = &choice.target.provider;
    let Some(view) = budgets.iter().find(|view| view.provider == *provider) else {
        return StatusReason::Queue;
    };
    let budget = provider.clone();
    if !view.paused.is_zero() {
        let ms = u64::try_from(view.paused.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        return StatusReason::Paused { budget, ms };
    }
    let concurrent = live.provider(provider).and_then(|provider| provider.limits.concurrent);
    if concurrent.is_some_and(|limit| view.open >= limit.get()) {
        return StatusReason::Concurrent { budget };
    }
    let missing = |(dimension, limit, available): &(Dimension, u64, i64)| {
        let wanted = i128::from(weight(*dimension, choice.cost)) - i128::from(*available);
        // Of several, the one that takes the longest to fill.
        let minutes = if is_daily(*dimension) { 24 * 60 } else { 1 };
        (wanted > 0).then(|| (wanted * minutes * 1_000 / i128::from((*limit).max(1)), *dimension))
    };
    match view.levels.iter().filter_map(missing).max_by_key(|(time, _)| *time) {
        Some((_, dimension)) => StatusReason::Limit { budget, limit: dimension.name().into() },
        None => StatusReason::Queue,
    }
}

const fn is_daily(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::RequestsPerDay | Dimension::TokensPerDay)
}

fn weight(dimension: Dimension, cost: Cost) -> u64 {
    match dimension {
        Dimension::InputTokensPerMinute => cost.input.0,
        Dimension::OutputTokensPerMinute => cost.output.0,
        other if other.counts_requests() => 1,
        _ => cost.total().0,
    }
}
