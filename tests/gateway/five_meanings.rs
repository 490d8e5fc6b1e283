//! What a 429 may mean, each with its own wait and effect. The bodies are those that vendors send.

use crate::beside::{provider, queued, soon, until};
use crate::world::{Plan, World, header};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tidegate::admission::Limits;
use tidegate::simulator::{FailNext, SimulatorSettings};

/// The next call of `a` is refused in these words.
fn refuse(world: &World, status: u16, body: Value, headers: &[(&'static str, &str)]) {
    let status = StatusCode::from_u16(status).expect("it is written here");
    let refusal = headers.iter().fold(FailNext::new(1, status).with_body(body), |refusal, (name, value)| {
        let value = HeaderValue::from_str(value).expect("it is written here");
        refusal.with_header(HeaderName::from_static(name), value)
    });
    world.simulator("a").update(|faults| faults.fail_next = Some(refusal));
}

fn openai(message: &str, kind: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

async fn two() -> World {
    Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"]).start().await
}

/// A call, and what is told of it: status, provider, attempts.
async fn ask(world: &World, model: &str) -> (Response, (u16, String, String)) {
    let request = world.chat(model, json!({"max_tokens": 2})).send();
    let answer = soon(request).await.expect("the gateway answers");
    let told = (
        answer.status().as_u16(),
        header(&answer, "x-tidegate-provider"),
        header(&answer, "x-tidegate-attempts"),
    );
    (answer, told)
}

fn served(provider: &str, attempts: &str) -> (u16, String, String) {
    (200, provider.to_owned(), attempts.to_owned())
}

async fn paused_ms(world: &World) -> u64 {
    provider(&world.health().await, "a")["paused_ms"].as_u64().expect("it is a number")
}

async fn kinds(world: &World, kind: &str) -> f64 {
    world.metric(&format!("tidegate_upstream_errors_total{{provider=\"a\",kind=\"{kind}\"}}")).await
}

#[tokio::test]
async fn a_minutes_limit_is_waited_out_as_long_as_the_words_say() {
    let world = two().await;
    let words = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29500, Requested 800. \
                 Please try again in 400ms.";
    refuse(&world, 429, openai(words, "tokens", "rate_limit_exceeded"), &[]);
    let (answer, told) = ask(&world, "both").await;
    assert_eq!(told, served("a", "2"));
    assert!((300..5_000).contains(&queued(&answer)), "{}", queued(&answer));
    assert_eq!(kinds(&world, "rate_limited").await, 1.0);
}

#[tokio::test]
async fn a_budget_in_flight_is_waited_for_as_a_minutes_limit() {
    let world = two().await;
    let words = json!({"error": {"message": "Your other requests hold your credits.", "code": 402}});
    refuse(&world, 402, words, &[("retry-after-ms", "300")]);
    let (answer, told) = ask(&world, "both").await;
    assert_eq!(told, served("a", "2"));
    assert!((250..5_000).contains(&queued(&answer)), "{}", queued(&answer));
    assert_eq!((kinds(&world, "rate_limited").await, kinds(&world, "out_of_money").await), (1.0, 0.0));
}

#[tokio::test]
async fn who_is_told_at_once_again_and_again_waits_longer_each_time() {
    let world = two().await;
    let refusal = FailNext::new(4, StatusCode::TOO_MANY_REQUESTS);
    let refusal =
        refusal.with_header(HeaderName::from_static("retry-after-ms"), HeaderValue::from_static("1"));
    world.simulator("a").update(|faults| faults.fail_next = Some(refusal));
    let (answer, told) = ask(&world, "both").await;
    assert_eq!(told, served("a", "5"));
    assert!((1_700..8_000).contains(&queued(&answer)), "{}", queued(&answer));
    assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
}

#[tokio::test]
async fn a_minutes_limit_of_one_model_holds_up_no_other_model_and_everybody_who_asks_for_it() {
    let behaviour = SimulatorSettings {
        models: vec!["sim".to_owned(), "other".to_owned()],
        ..SimulatorSettings::unlimited()
    };
    let world = Plan::new().provider_with("a", Limits::default(), behaviour).await.start().await;
    let words = openai("Rate limit reached.", "requests", "rate_limit_exceeded");
    refuse(&world, 429, words, &[("retry-after", "50")]);
    let hasty = || world.chat("a/sim", json!({"max_tokens": 2})).header("x-tidegate-max-wait", "1s").send();
    let theirs = soon(hasty()).await.expect("the gateway answers");
    assert_eq!((theirs.status().as_u16(), header(&theirs, "retry-after")), (429, "50".into()));
    assert!(theirs.text().await.expect("it is text").contains("Rate limit reached."), "their own words");
    let ours = soon(hasty()).await.expect("the gateway answers");
    let wait: u64 = header(&ours, "retry-after").parse().expect("it says when to come back");
    assert_eq!((ours.status().as_u16(), header(&ours, "x-tidegate-attempts")), (429, "0".into()));
    assert!((45..=50).contains(&wait), "{wait}");
    let (answer, told) = ask(&world, "a/other").await;
    assert_eq!((told, queued(&answer)), (served("a", "1"), 0));
    assert_eq!(world.simulator("a").stats().received, 2);
}

#[tokio::test]
async fn a_days_limit_moves_on_and_is_left_alone_until_its_reset() {
    let quota = json!({"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
            {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7200s"}]}});
    let spoken =
        openai("Rate limit reached on requests per day (RPD): Limit 200", "requests", "rate_limit_exceeded");
    let used_up = [
        ("x-ratelimit-limit-requests", "200"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2h0m0s"),
    ];
    for (body, headers, shortest, longest) in [
        (quota, &[][..], 7_100_000, 7_200_000),
        (spoken, &[], 590_000, 600_000),
        (json!({}), &used_up, 7_100_000, 7_200_000),
    ] {
        let world = two().await;
        refuse(&world, 429, body.clone(), headers);
        assert_eq!(ask(&world, "both").await.1, served("b", "2"), "{body}");
        let paused = paused_ms(&world).await;
        assert!((shortest..=longest).contains(&paused), "{paused} {body}");
        assert_eq!(ask(&world, "both").await.1, served("b", "1"));
        assert_eq!(world.simulator("a").stats().received, 1);
        assert_eq!(kinds(&world, "daily_limit").await, 1.0);
    }
}

#[tokio::test]
async fn a_days_limit_without_another_target_is_told_at_once() {
    let world = World::new().await;
    let words =
        "Rate limit reached on requests per day (RPD): Limit 200, Used 200. Please try again in 7m12s.";
    refuse(&world, 429, openai(words, "requests", "rate_limit_exceeded"), &[]);
    let (answer, told) = ask(&world, "sim").await;
    assert_eq!(told, (429, "a".into(), "1".into()));
    assert_eq!(header(&answer, "x-should-retry"), "false");
    assert!(answer.text().await.unwrap().contains(words), "the provider's own words");
    assert!((420_000..=432_000).contains(&paused_ms(&world).await));
}

#[tokio::test]
async fn money_is_never_waited_for() {
    let world = two().await;
    let body = openai("You exceeded your current quota.", "insufficient_quota", "insufficient_quota");
    refuse(&world, 429, body, &[("retry-after", "1")]);
    assert_eq!(ask(&world, "both").await.1, served("b", "2"));
    assert_eq!(paused_ms(&world).await, 0, "the credential rests, not the budget");
    assert_eq!(ask(&world, "both").await.1, served("b", "1"));
    assert_eq!(world.simulator("a").stats().received, 1);
    assert_eq!(kinds(&world, "out_of_money").await, 1.0);
}

#[tokio::test]
async fn what_is_larger_than_the_bucket_is_not_sent_there_again_and_stops_nobody_else() {
    let too_large = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 36055.";
    let by_numbers = "Rate limit reached on tokens per min (TPM): Limit 30000, Used 0, Requested 36055. Please try \
                      again in 12s.";
    for words in [too_large, by_numbers] {
        let world = two().await;
        refuse(&world, 429, openai(words, "tokens", "rate_limit_exceeded"), &[]);
        assert_eq!(ask(&world, "both").await.1, served("b", "2"), "{words}");
        assert_eq!(paused_ms(&world).await, 0);
        assert_eq!(ask(&world, "both").await.1, served("a", "1"), "others fit");
        let alone = World::new().await;
        refuse(&alone, 429, openai(words, "tokens", "rate_limit_exceeded"), &[]);
        let (answer, told) = ask(&alone, "sim").await;
        assert_eq!(told, (429, "a".into(), "1".into()));
        assert_eq!(header(&answer, "x-should-retry"), "false");
        assert_eq!(kinds(&alone, "too_large").await, 1.0);
    }
}

#[tokio::test]
async fn a_ramp_that_is_too_steep_slows_down_and_opens_no_breaker() {
    let acceleration = json!({"type": "error", "error": {"type": "rate_limit_error", "message":
        "This request would exceed your organization's maximum usage increase rate for input tokens per minute."}});
    for (status, body) in [
        (429, openai("Slow down.", "rate_limit_error", "slow_down")),
        (503, openai("Slow down.", "rate_limit_error", "slow_down")),
        (429, acceleration),
        (429, openai("Above your dynamic rate.", "dynamic_token_limited", "429")),
    ] {
        let world = two().await;
        // The provider says that it may be at once, which is how a ramp is met again.
        refuse(&world, status, body.clone(), &[("retry-after-ms", "1")]);
        let (answer, told) = ask(&world, "both").await;
        assert_eq!(told, served("a", "2"), "{body}");
        assert!((800..5_000).contains(&queued(&answer)), "{} {body}", queued(&answer));
        assert_eq!(provider(&world.health().await, "a")["breakers"], json!({}));
        assert_eq!(kinds(&world, "ramp").await, 1.0);
    }
}

#[tokio::test]
async fn a_ramp_beyond_patience_moves_on() {
    let world = two().await;
    refuse(&world, 429, openai("Slow down.", "rate_limit_error", "slow_down"), &[("retry-after", "60")]);
    assert_eq!(ask(&world, "both").await.1, served("b", "2"));
    until(&world, |health| provider(health, "a")["paused_ms"].as_u64() > Some(55_000)).await;
}

#[tokio::test]
async fn a_key_without_any_allowance_moves_on_without_a_wait() {
    let world = two().await;
    let body =
        json!({"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"});
    refuse(&world, 429, body, &[("x-ratelimit-limit-req-minute", "0"), ("retry-after", "30")]);
    assert_eq!(ask(&world, "both").await.1, served("b", "2"));
    assert_eq!(paused_ms(&world).await, 0);
    assert_eq!(kinds(&world, "forbidden").await, 1.0);
}
