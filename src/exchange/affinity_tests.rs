//! The arithmetic of waiting for a cache, and what is remembered of prompts.

use super::*;
use crate::admission::{OutputCounts, Slices};
use crate::dialect::Family;
use crate::upstream::UpstreamSettings;
use std::num::NonZeroU32;

const PATIENCE: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(300);

fn account(tokens_per_minute: Option<u32>, cached_input: bool) -> Provider {
    let limit = tokens_per_minute.and_then(NonZeroU32::new);
    Provider {
        id: "openai@b".into(),
        account_of: Some("openai".into()),
        family: Family::OpenAi,
        upstream: UpstreamSettings::new("http://127.0.0.1:1/v1", None),
        limits: Limits { input_tokens_per_minute: limit, slices: Slices::default(), ..Limits::default() },
        day_end: None,
        counting: Counting {
            output: OutputCounts::AsProduced,
            cached_input,
            gives_back: true,
            requests_are_daily: false,
        },
        cache_life: LIFE,
        breaker: Default::default(),
        models: Vec::new(),
        claims: Vec::new(),
    }
}

fn check(tokens: u64, tokens_per_minute: Option<u32>, cached_input: bool, micros: u64) {
    let worth = worth(Tokens(tokens), &account(tokens_per_minute, cached_input), PATIENCE);
    assert_eq!(worth, Duration::from_micros(micros), "{tokens} of {tokens_per_minute:?}, {cached_input}");
}

#[test]
fn waiting_pays_as_long_as_reading_takes_and_what_it_costs_flows_back() {
    // Nothing is limited: only reading takes time.
    check(20_000, None, false, 2_000_000);
    // Of 600,000 a minute, 20,000 flow back in two seconds.
    check(20_000, Some(600_000), false, 4_000_000);
    // They count there as they do here.
    check(20_000, Some(600_000), true, 2_000_000);
    // 20,000 of 40,000 a minute are half a minute; patience is over before.
    check(20_000, Some(40_000), false, 10_000_000);
    check(u64::MAX, Some(1), false, 10_000_000);
}

#[test]
fn no_vendor_keeps_a_small_prompt_so_nothing_is_worth_waiting_for() {
    check(1_023, Some(1), false, 0);
    check(1_024, None, false, 102_400);
}

#[test]
fn both_limits_on_tokens_count_and_the_slower_one_tells() {
    let mut other = account(Some(600_000), false);
    other.limits.tokens_per_minute = NonZeroU32::new(300_000);
    assert_eq!(worth(Tokens(20_000), &other, PATIENCE), Duration::from_secs(2 + 4));
}

struct Talk {
    affinity: Affinity,
}

impl Talk {
    fn new() -> Talk {
        Talk { affinity: Affinity::default() }
    }

    fn prompt(&self, texts: &[&str]) -> Prompt {
        let texts = texts.iter().map(|text| (*text).into()).collect();
        self.affinity.prompt(&"m".into(), &Content { texts, ..Content::default() })
    }

    fn read(&self, texts: &[&str], account: &str, tokens: u64, second: u64) {
        let holder = Holder { account: account.into(), tokens: Tokens(tokens) };
        self.affinity.has_read(&self.prompt(texts), holder, at(second));
    }

    fn holder(&self, texts: &[&str], second: u64) -> Option<(String, u64)> {
        let holder = self.affinity.holder(&self.prompt(texts), |_| Some(LIFE), at(second))?;
        Some((holder.account.to_string(), holder.tokens.0))
    }
}

fn at(second: u64) -> Moment {
    Moment::START + Duration::from_secs(second)
}

fn held(account: &str, tokens: u64) -> Option<(String, u64)> {
    Some((account.to_owned(), tokens))
}

#[test]
fn who_sends_more_of_a_conversation_finds_its_account_and_nobody_else_does() {
    let talk = Talk::new();
    talk.read(&["system", "one"], "a", 2_000, 0);
    assert_eq!(talk.holder(&["system", "one", "answer", "two"], 1), held("a", 2_000));
    assert_eq!(talk.holder(&["system", "other"], 1), None);
    assert_eq!(talk.holder(&["system"], 1), None);
    assert_eq!(talk.holder(&["systemone", "answer"], 1), None, "where texts end is part of them");
    assert_eq!(talk.affinity.holder(&Prompt::default(), |_| Some(LIFE), at(1)), None);
}

#[test]
fn the_longest_beginning_counts() {
    let talk = Talk::new();
    talk.read(&["s", "1"], "a", 2_000, 0);
    talk.read(&["s", "1", "2", "3"], "b", 3_000, 1);
    assert_eq!(talk.holder(&["s", "1", "2", "3", "4"], 2), held("b", 3_000));
    assert_eq!(talk.holder(&["s", "1", "x"], 2), held("a", 2_000), "a branch");
}

#[test]
fn another_model_and_other_tools_are_another_prompt() {
    let talk = Talk::new();
    talk.read(&["s", "1"], "a", 2_000, 0);
    let content = Content { texts: vec!["s".into(), "1".into()], schemas: vec!["{}"], ..Content::default() };
    for (model, content) in [("m", &content), ("n", &Content { schemas: Vec::new(), ..content.clone() })] {
        let prompt = talk.affinity.prompt(&model.into(), content);
        assert_eq!(talk.affinity.holder(&prompt, |_| Some(LIFE), at(1)), None, "{model}");
    }
}

#[test]
fn a_cache_is_forgotten_when_its_life_is_over_or_its_account_gone() {
    let talk = Talk::new();
    talk.read(&["s"], "a", 2_000, 0);
    assert_eq!(talk.holder(&["s"], 299), held("a", 2_000));
    assert_eq!(talk.holder(&["s"], 300), None);
    talk.read(&["s"], "a", 2_000, 300);
    assert_eq!(talk.holder(&["s"], 301), held("a", 2_000));
    assert_eq!(talk.affinity.holder(&talk.prompt(&["s"]), |_| None, at(301)), None);
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
    let talk = Talk::new();
    talk.read(&["small"], "a", 1_023, 0);
    assert_eq!(talk.holder(&["small"], 0), None);
    for nth in 0..PROMPTS_MAX + 10 {
        talk.read(&[&nth.to_string()], "a", 2_000, 0);
        talk.read(&["again and again"], "a", 2_000, 0);
    }
    let read = talk.affinity.read.lock();
    assert_eq!((read.prompts.len(), read.order.len()), (PROMPTS_MAX, PROMPTS_MAX));
    drop(read);
    assert_eq!(talk.holder(&["10"], 0), None);
    assert_eq!(talk.holder(&["11"], 0), held("a", 2_000));
    assert_eq!(talk.holder(&["again and again"], 0), held("a", 2_000));
}

#[test]
fn of_a_long_prompt_only_the_end_is_kept() {
    let talk = Talk::new();
    let texts: Vec<String> = (0..ENDS_MAX * 2).map(|nth| nth.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    talk.read(&texts[..ENDS_MAX], "a", 2_000, 0);
    talk.read(&texts[..=ENDS_MAX], "b", 2_000, 0);
    assert_eq!(talk.prompt(&texts).ends.len(), ENDS_MAX);
    assert_eq!(talk.holder(&texts[..ENDS_MAX + 10], 0), held("b", 2_000));
    assert_eq!(talk.holder(&texts, 0), held("b", 2_000));
}
