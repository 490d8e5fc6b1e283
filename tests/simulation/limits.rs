//! Limits, and the budgets that they make.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use tidegate::admission::{Draws, Limits};
use tidegate::ids::{BudgetId, ModelName, ProviderId, TargetId};

pub(crate) fn random_limits(random: &mut fastrand::Rng) -> Limits {
    let mut some = |from: u32, to: u32| {
        let number = random.u32(from..to);
        (random.u8(0..4) > 0).then(|| NonZeroU32::new(number)).flatten()
    };
    let tokens_per_minute = some(1_000, 60_000);
    Limits {
        requests_per_minute: some(10, 120),
        tokens_per_minute,
        input_tokens_per_minute: some(1_000, 60_000),
        burst_tokens: tokens_per_minute.and_then(|limit| NonZeroU32::new(limit.get() / 7)),
        concurrent: some(1, 12),
        ..Limits::default()
    }
}

pub(crate) fn sixth(limit: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(limit.get().div_ceil(6)).unwrap_or(NonZeroU32::MIN)
}

pub(crate) fn of_budgets(limits: &HashMap<ProviderId, Limits>) -> Vec<(BudgetId, Limits)> {
    limits.iter().map(|(provider, limits)| (BudgetId::from(provider.as_str()), *limits)).collect()
}

pub(crate) fn draws(target: &TargetId) -> Arc<Draws> {
    let own = BudgetId::from(target.provider.as_str());
    Arc::new(Draws { configured: vec![own], pool: Some(BudgetId::from(target.to_string())) })
}

pub(crate) fn target(provider: &str) -> TargetId {
    TargetId { provider: ProviderId::from(provider), model: ModelName::from("m") }
}
