//! What counts, when, over what time, and what is told of it, in every manner that may be chosen.

use crate::world::{World, events_of, header, json_of};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::simulator::{
    CountingWindow, Faults, LimitHeaders, OutputCharge, SimulatedCounting, SimulatedLimits, SimulatorSettings,
};

/// `hello` in one message.
const PROMPT: u64 = 5;

async fn counting(limits: SimulatedLimits, counting: SimulatedCounting) -> World {
    World::with(SimulatorSettings { limits, counting, ..SimulatorSettings::unlimited() }).await
}

fn tokens(tokens_per_minute: u64) -> SimulatedLimits {
    SimulatedLimits { tokens_per_minute: Some(tokens_per_minute), ..SimulatedLimits::default() }
}

async fn message(world: &World, more: Value) -> reqwest::Response {
    let mut body =
        json!({"model": "sim", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request =
        world.request(reqwest::Method::POST, "/v1/messages").header("anthropic-version", "2023-06-01");
    request.body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn the_headers_of_either_family_stand_in_any_dialect_or_none_do() {
    let limits = SimulatedLimits { input_tokens_per_minute: Some(9_000), ..tokens(60_400) };
    let world = counting(limits, SimulatedCounting::default()).await;
    let with = |limit_headers| SimulatedCounting { limit_headers, ..SimulatedCounting::default() };
    let names = |response: &reqwest::Response| {
        let names = response.headers().keys().map(|name| name.as_str().to_owned());
        names.filter(|name| name.contains("ratelimit")).collect::<Vec<_>>()
    };

    world.control().set_counting(with(LimitHeaders::Anthropic));
    let chat = world.chat(json!({})).await;
    assert_eq!(header(&chat, "anthropic-ratelimit-tokens-limit"), "60400");
    assert_eq!(header(&chat, "anthropic-ratelimit-tokens-remaining"), "60000", "rounded to the thousand");
    assert_eq!(header(&chat, "anthropic-ratelimit-input-tokens-remaining"), "9000");
    assert!(header(&chat, "anthropic-ratelimit-tokens-reset").ends_with('Z'));
    assert_eq!(names(&chat).len(), 6);

    world.control().set_counting(with(LimitHeaders::OpenAi));
    let messages = message(&world, json!({})).await;
    assert_eq!(messages.status(), 200);
    assert_eq!(header(&messages, "x-ratelimit-limit-tokens"), "60400");
    let remaining: u64 = header(&messages, "x-ratelimit-remaining-tokens").parse().unwrap();
    assert!((60_000..60_400).contains(&remaining), "{remaining}");
    assert_eq!(names(&messages).len(), 3);

    world.control().set_counting(with(LimitHeaders::None));
    assert_eq!(names(&world.chat(json!({})).await), [""; 0]);
    assert_eq!(names(&message(&world, json!({})).await), [""; 0]);
}

#[tokio::test]
async fn it_may_count_more_than_others_do_and_says_so_in_its_usage() {
    let world =
        counting(tokens(100_000), SimulatedCounting { count_factor: 1.3, ..SimulatedCounting::default() })
            .await;
    let answer = json_of(world.chat(json!({"max_tokens": 200})).await).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
    assert_eq!(answer["usage"]["completion_tokens"], 52);
    assert_eq!(world.control().stats().tokens_charged, 7 + 200);
    // What it writes is never more than its cap, however it counts.
    let answer = json_of(world.chat(json!({"max_tokens": 10})).await).await;
    assert_eq!(answer["usage"]["completion_tokens"], 10);
    let counted = message(&world, json!({})).await;
    let usage = json_of(counted).await["usage"].take();
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(7), &json!(50)));
    let body = json!({"model": "sim", "input": "hello"});
    let count = world.post("/v1/responses/input_tokens", body.to_string()).await;
    assert_eq!(json_of(count).await["input_tokens"], 7);
    let first = json_of(world.post("/v1/responses", body.to_string()).await).await;
    let next = json!({"model": "sim", "input": "hello", "previous_response_id": first["id"]});
    let second = json_of(world.post("/v1/responses", next.to_string()).await).await;
    // Everything before is counted once: five and forty and five, times the factor.
    assert_eq!(second["usage"]["input_tokens"], 65);
}

#[tokio::test]
async fn output_that_counts_as_produced_may_overdraw_and_the_next_is_refused() {
    let rules = SimulatedCounting { output: OutputCharge::AsProduced, ..SimulatedCounting::default() };
    let limits = SimulatedLimits { output_tokens_per_minute: Some(30), ..SimulatedLimits::default() };
    let world = counting(limits, rules).await;
    world.control().update(|faults| faults.stall_after_chunks = Some(11));
    let stream = world.chat_beside(&json!({"stream": true, "max_tokens": 1_000}));
    world.control().wait_for(|stats| stats.held == 1).await;
    // A role, and ten tokens.
    assert_eq!(world.control().stats().tokens_charged, PROMPT + 10);
    world.control().set(Faults::default());
    let (_, clean) = events_of(stream.await.unwrap().unwrap()).await;
    assert!(clean);
    assert_eq!(world.control().stats().tokens_charged, PROMPT + 40);
    let refused = world.chat(json!({"max_tokens": 1})).await;
    assert_eq!(refused.status(), 429);
    let millis: u64 = header(&refused, "retry-after-ms").parse().unwrap();
    // Ten in debt and one to begin with, at one in two seconds.
    assert!((15_000..=22_000).contains(&millis), "{millis}");
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_what_was_written_for_it() {
    let rules = SimulatedCounting { gives_back: true, ..SimulatedCounting::default() };
    for (output, charged) in
        [(OutputCharge::AtAdmission, PROMPT + 10), (OutputCharge::AsProduced, PROMPT + 10)]
    {
        let world = counting(tokens(10_000), SimulatedCounting { output, ..rules.clone() }).await;
        world.control().update(|faults| faults.stall_after_chunks = Some(11));
        let stream = world.chat_beside(&json!({"stream": true, "max_tokens": 1_000}));
        world.control().wait_for(|stats| stats.held == 1).await;
        stream.abort();
        drop(stream.await);
        let left = world.control().wait_for(|stats| stats.cancelled == 1).await;
        assert_eq!(left.tokens_charged, charged, "{output:?}");
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_is_charged_while_it_is_written() {
    let rules = SimulatedCounting { output: OutputCharge::AsProduced, ..SimulatedCounting::default() };
    let world = counting(tokens(10_000), rules).await;
    world.control().update(|faults| faults.token_delay = Duration::from_millis(2));
    let answer = world.chat_beside(&json!({}));
    let early = world.control().wait_for(|stats| stats.tokens_charged > PROMPT).await;
    assert!(early.tokens_charged < PROMPT + 40 && early.in_flight == 1, "{early:?}");
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert_eq!(world.control().stats().tokens_charged, PROMPT + 40);
}

#[tokio::test]
async fn what_was_charged_and_not_written_is_there_for_the_next_where_it_is_given_back() {
    for (gives_back, status) in [(false, 429), (true, 200)] {
        let world =
            counting(tokens(1_000), SimulatedCounting { gives_back, ..SimulatedCounting::default() }).await;
        assert_eq!(world.chat(json!({"max_tokens": 900})).await.status(), 200);
        assert_eq!(world.chat(json!({"max_tokens": 800})).await.status(), status, "{gives_back}");
    }
}

#[tokio::test]
async fn a_refusal_may_keep_to_itself_when_to_come_back() {
    let rules = SimulatedCounting { tells_wait: false, ..SimulatedCounting::default() };
    let world = counting(tokens(20), rules).await;
    assert_eq!(world.chat(json!({"max_tokens": 15})).await.status(), 200);
    let refused = world.chat(json!({"max_tokens": 15})).await;
    assert_eq!(refused.status(), 429);
    for name in ["retry-after", "retry-after-ms"] {
        assert!(!refused.headers().contains_key(name), "{name}");
    }
    let message = json_of(refused).await["error"]["message"].take();
    assert!(message.as_str().unwrap().ends_with("Requested 20."), "{message}");
}

#[tokio::test]
async fn a_second_holds_a_sixtieth_of_the_minute_and_is_told_by_nobody() {
    let rules = SimulatedCounting { requests_window: CountingWindow::Second, ..SimulatedCounting::default() };
    let limits = SimulatedLimits { requests_per_minute: Some(1), ..SimulatedLimits::default() };
    let world = counting(limits, rules).await;
    let mut refused = 0;
    // One a second: of three at once at least one is refused, wherever the second ends.
    for _ in 0..3 {
        let answer = world.chat(json!({})).await;
        assert!(!answer.headers().contains_key("x-ratelimit-limit-requests"));
        if answer.status() == 429 {
            refused += 1;
            let millis: u64 = header(&answer, "retry-after-ms").parse().unwrap();
            assert!((1..=1_000).contains(&millis), "{millis}");
        }
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn a_limit_that_is_halved_while_it_runs_is_as_full_as_it_was() {
    let world = counting(tokens(10_000), SimulatedCounting::default()).await;
    assert_eq!(world.chat(json!({"max_tokens": 8_000})).await.status(), 200);
    world.control().retune(tokens(5_000));
    assert_eq!(world.chat(json!({"max_tokens": 1_200})).await.status(), 429);
    assert_eq!(world.chat(json!({"max_tokens": 900})).await.status(), 200);
    let half = json!({"limits": {"tokens_per_minute": 2_500}, "keep_fill": true});
    let page = json_of(world.post("/control", half.to_string()).await).await;
    assert_eq!(page["limits"]["tokens_per_minute"], 2_500);
    assert_eq!(world.chat(json!({"max_tokens": 200})).await.status(), 429);
    let full = json!({"limits": {"tokens_per_minute": 2_500}});
    world.post("/control", full.to_string()).await;
    assert_eq!(world.chat(json!({"max_tokens": 2_000})).await.status(), 200);
}

#[tokio::test]
async fn those_who_share_an_account_are_told_apart_by_label_or_by_key() {
    let world = counting(tokens(300), SimulatedCounting::default()).await;
    let call = async |name: &str, value: &str, cap: u64| {
        let body = crate::world::chat_body(&json!({"max_tokens": cap}));
        let request = world.request(reqwest::Method::POST, "/v1/chat/completions").header(name, value);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(call("x-simulator-label", "second", 95).await, 200);
    assert_eq!(call("authorization", "Bearer sk-canary", 45).await, 200);
    assert_eq!(call("x-simulator-label", "second", 200).await, 429);
    assert_eq!(world.chat(json!({"max_tokens": 5})).await.status(), 200);
    let stats = world.control().stats();
    let second = stats.by_label["second"];
    assert_eq!((second.received, second.served, second.limited, second.tokens_charged), (2, 1, 1, 100));
    assert_eq!(stats.by_label["unmarked"].tokens_charged, 10);
    let shown = serde_json::to_string(&stats).unwrap();
    assert!(!shown.contains("canary"), "{shown}");
    let by_key: Vec<_> = stats.by_label.iter().filter(|(label, _)| label.contains('#')).collect();
    assert_eq!((by_key.len(), by_key[0].1.tokens_charged), (1, 50));
    let all: u64 = stats.by_label.values().map(|share| share.tokens_charged).sum();
    assert_eq!(all, stats.tokens_charged);

    for number in 0..100 {
        call("x-simulator-label", &format!("label {number}"), 1).await;
    }
    let stats = world.control().stats();
    assert_eq!(stats.by_label.len(), 65, "sixty-four, and the others");
    assert_eq!(stats.by_label.values().map(|share| share.received).sum::<u64>(), stats.received);
}

#[tokio::test]
async fn counting_is_changed_over_http_and_a_mistake_in_it_changes_nothing() {
    let world = counting(tokens(1_000), SimulatedCounting::default()).await;
    let change = json!({"counting": {"count_factor": 2.0, "limit_headers": "anthropic", "day": "90s"}});
    let page = json_of(world.post("/control", change.to_string()).await).await;
    assert_eq!(page["counting"]["count_factor"], 2.0);
    assert_eq!(page["counting"]["output"], "own");
    let now = world.control().counting();
    assert_eq!((now.limit_headers, now.day), (LimitHeaders::Anthropic, Duration::from_secs(90)));
    for (wrong, named) in [
        (json!({"counting": {"count_factor": 0}}), "factor"),
        (json!({"counting": {"output": "sometimes"}}), "sometimes"),
        (json!({"counting": {"typo": 1}, "limits": {"concurrent": 1}}), "typo"),
    ] {
        let answer = world.post("/control", wrong.to_string()).await;
        assert_eq!(answer.status(), 400, "{wrong}");
        let message = json_of(answer).await["error"]["message"].take();
        assert!(message.as_str().unwrap().contains(named), "{message}");
    }
    assert_eq!((world.control().counting(), world.control().limits()), (now, tokens(1_000)));
    world.control().reset();
    assert_eq!(world.control().counting(), SimulatedCounting::default());
}
