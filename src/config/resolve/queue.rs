//! How exchanges wait, how they are kept alive meanwhile, and how much room each client gets beside others.
//!
//! Invariant: every weight is within its range, and there are not more than can be looked through.

use super::super::mistake::named;
use super::super::raw::RawQueue;
use super::super::reading::Numbers;
use super::{Resolver, as_u32, as_usize};
use crate::admission::QueueSettings;
use crate::exchange::KeepAlive;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// The most weights. Whoever has more clients than this to tell apart gives groups of them one name.
const WEIGHTS_MAX: usize = 1_000;

/// A client with less would wait for ever beside others; one with more would leave them nothing.
const WEIGHT: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// The longest name in bytes: of what clients say of themselves no more is looked at.
const NAME_MAX: usize = 512;

impl Resolver<'_> {
    pub(super) fn queue(&mut self, raw: RawQueue) -> QueueSettings {
        let usual = QueueSettings::default();
        let none = Duration::ZERO;
        QueueSettings {
            max_wait: self.duration(raw.max_wait, "queue.max_wait", usual.max_wait, none),
            max_depth: as_usize(self.number(
                raw.max_depth,
                "queue.max_depth",
                usual.max_depth as u64,
                0..=1_000_000,
            )),
            patience: self.duration(raw.patience, "queue.patience", usual.patience, none),
            ageing: self.duration(raw.ageing, "queue.ageing", usual.ageing, none),
            reserve: 10 * as_u32(self.number(raw.reserve_percent, "queue.reserve_percent", 0, 0..=90)),
        }
    }

    pub(super) fn keepalive(&mut self, raw: &mut RawQueue) -> KeepAlive {
        let usual = KeepAlive::default();
        let after = raw.keepalive_after.take();
        let after =
            self.duration(after, "queue.keepalive_after", usual.after.unwrap_or_default(), Duration::ZERO);
        KeepAlive {
            after: Some(after).filter(|after| !after.is_zero()),
            every: self.wait(raw.keepalive_every.take(), "queue.keepalive_every", usual.every),
        }
    }

    /// The weights in thousandths, by name.
    pub(super) fn weights(&mut self, written: Option<Spanned<Numbers>>) -> BTreeMap<String, u32> {
        let mut weights = BTreeMap::new();
        let Some(written) = written else { return weights };
        if written.get_ref().0.len() > WEIGHTS_MAX {
            let wrong = format!("there are more than {WEIGHTS_MAX} weights");
            self.mistake(written.span(), "queue.weights", wrong, "write fewer");
            return weights;
        }
        for (name, weight) in written.into_inner().0 {
            let key = format!("queue.weights.{}", named(name.get_ref()));
            if name.get_ref().trim() != name.get_ref() || !(1..=NAME_MAX).contains(&name.get_ref().len()) {
                let wrong = format!(
                    "the name of a client must have from 1 to {NAME_MAX} bytes, without spaces around"
                );
                self.mistake(name.span(), &key, wrong, "write the name as the client sends it");
            }
            if !WEIGHT.contains(weight.get_ref()) {
                let wrong = format!("a weight must be from {} to {}", WEIGHT.start(), WEIGHT.end());
                self.mistake(
                    weight.span(),
                    &key,
                    wrong,
                    "write 2.0 for twice the usual room, 0.5 for half of it",
                );
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is within its range"
            )]
            let thousandths =
                (weight.get_ref().clamp(*WEIGHT.start(), *WEIGHT.end()) * 1_000.0).round() as u32;
            weights.insert(name.into_inner(), thousandths);
        }
        weights
    }
}
