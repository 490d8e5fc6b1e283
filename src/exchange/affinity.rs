//! Which account of a provider served a conversation last, so that the next turn finds the cache that it left there.
//!
//! A vendor's cache holds for what begins like a prompt that it has read. So a call is known by one hash for each
//! place at which an earlier call may have ended, and an account by the hash of all that it has read: whoever sends
//! more of the same conversation finds it again, whoever branches off finds it too. Refuses to know roles, clients
//! and budgets. Invariants: bounded; hashes are keyed and stay in memory, so that nothing here can tell a prompt.

use super::settings::Provider;
use crate::admission::{Counting, Limits};
use crate::ids::{ModelName, ProviderId};
use crate::units::{Moment, Tokens};
use crate::wire::Content;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The most prompts that are remembered; the oldest goes first. In five minutes that is 33 calls a second.
const PROMPTS_MAX: usize = 10_000;

/// The most places at which an earlier call may have ended, from the end of the prompt: a turn of an agent adds one
/// text for each of its calls of tools and each result.
const ENDS_MAX: usize = 256;

/// No vendor caches less: OpenAI from 1,024 on, Anthropic from 1,024 to 4,096 by model.
pub(super) const CACHED_MIN: Tokens = Tokens(1_024);

/// How fast a provider reads a prompt that it does not have, in tokens a second. An assumption: none publishes it;
/// the time to the first token of long prompts at large models is of that order.
const READ_A_SECOND: u64 = 10_000;

/// A prompt, as what it may continue. The last hash is of the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    ends: Vec<u64>,
}

/// The account that holds the beginning of a prompt in its cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) account: ProviderId,
    /// How much of it.
    pub(super) tokens: Tokens,
}

/// Who has read what.
#[derive(Debug, Default)]
pub(super) struct Affinity {
    keys: RandomState,
    /// Held for single steps.
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    prompts: HashMap<u64, Known>,
    /// By age.
    order: BTreeMap<u64, u64>,
    count: u64,
}

#[derive(Debug)]
struct Known {
    holder: Holder,
    used: Moment,
    nth: u64,
}

impl Affinity {
    /// What a prompt to this model may continue.
    pub(super) fn prompt(&self, model: &ModelName, content: &Content<'_>) -> Prompt {
        let mut hasher = self.keys.build_hasher();
        let mut add = |text: &str| {
            hasher.write(text.as_bytes());
            // No text holds this byte, so that two of them are not taken for one.
            hasher.write_u8(0xff);
            hasher.finish()
        };
        add(model.as_str());
        // Tools stand before all else in what a model reads.
        content.schemas.iter().for_each(|schema| {
            add(schema);
        });
        let skipped = content.texts.len().saturating_sub(ENDS_MAX);
        let ends = content.texts.iter().map(|text| add(text)).collect::<Vec<_>>().split_off(skipped);
        Prompt { ends }
    }

    /// Who holds the longest beginning of this prompt, by the lives of the caches that `life` tells.
    pub(super) fn holder(
        &self,
        prompt: &Prompt,
        life: impl Fn(&ProviderId) -> Option<Duration>,
        now: Moment,
    ) -> Option<Holder> {
        let read = self.read.lock();
        let known = prompt.ends.iter().rev().filter_map(|end| read.prompts.get(end));
        let is_there =
            |known: &&Known| life(&known.holder.account).is_some_and(|life| now.since(known.used) < life);
        known.filter(is_there).map(|known| known.holder.clone()).next()
    }

    /// The account has read the prompt, of so many tokens.
    pub(super) fn has_read(&self, prompt: &Prompt, holder: Holder, now: Moment) {
        let Some(whole) = prompt.ends.last().copied() else { return };
        if holder.tokens < CACHED_MIN {
            return;
        }
        let mut read = self.read.lock();
        read.count += 1;
        let nth = read.count;
        if let Some(before) = read.prompts.insert(whole, Known { holder, used: now, nth }) {
            read.order.remove(&before.nth);
        }
        read.order.insert(nth, whole);
        if read.order.len() > PROMPTS_MAX
            && let Some((_, oldest)) = read.order.pop_first()
        {
            read.prompts.remove(&oldest);
        }
    }
}

/// How long it pays to wait for the account that holds `tokens` of a prompt, when another would have to read them:
/// the time that reading takes, and the time in which its limits get back what that costs. Never longer than
/// `patience`, after which another provider will do.
pub(super) fn worth(tokens: Tokens, other: &Provider, patience: Duration) -> Duration {
    if tokens < CACHED_MIN {
        return Duration::ZERO;
    }
    let reading = part_of_second(tokens, READ_A_SECOND, 1);
    reading.saturating_add(refill(tokens, &other.limits, other.counting)).min(patience)
}

/// The time in which these tokens flow back; none where those from the cache count like any others.
fn refill(tokens: Tokens, limits: &Limits, counting: Counting) -> Duration {
    if counting.cached_input {
        return Duration::ZERO;
    }
    let limits = [limits.tokens_per_minute, limits.input_tokens_per_minute].into_iter().flatten();
    limits.map(|limit| part_of_second(tokens, limit.get().into(), 60)).max().unwrap_or_default()
}

/// `tokens` at so many in so many seconds.
fn part_of_second(tokens: Tokens, rate: u64, seconds: u64) -> Duration {
    let nanos = u128::from(tokens.0) * u128::from(seconds) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "affinity_tests.rs"]
mod tests;
