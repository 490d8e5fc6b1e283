//! Requests that find no room wait for it, in their order, and are told the truth about it.

use crate::beside::{beside, obey, queued, soon, until};
use crate::world::{Plan, World, header};
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::clock::Clock;
use tidegate::simulator::SimulatorSettings;

/// One provider `a` with these limits at the gateway and none of its own.
async fn limited(limits: Limits) -> Plan {
    Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await
}

/// So many requests a minute, one at once.
fn requests(per_minute: u32) -> Limits {
    Limits {
        requests_per_minute: NonZeroU32::new(per_minute),
        burst_requests: NonZeroU32::new(1),
        ..Limits::default()
    }
}

fn concurrent(most: u32) -> Limits {
    Limits { concurrent: NonZeroU32::new(most), ..Limits::default() }
}

fn tokens(per_minute: u32) -> Limits {
    let limit = NonZeroU32::new(per_minute);
    Limits { tokens_per_minute: limit, burst_tokens: limit, ..Limits::default() }
}

async fn error(answer: Response) -> Value {
    answer.json::<Value>().await.expect("errors are JSON")["error"].take()
}

/// A world whose one place is taken by a request that is held at the provider.
async fn with_a_full_house(plan: Plan) -> (World, tokio::task::JoinHandle<Response>) {
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let first = beside(world.chat("sim", json!({})).header("x-request-id", "first"));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    (world, first)
}

#[tokio::test]
async fn requests_above_the_limit_wait_and_every_one_is_served() {
    let world = limited(requests(1_200)).await.start().await;
    let clock = Clock::start();
    let timed = (0..10).map(|_| async {
        let began = clock.now();
        let answer = world.chat("sim", json!({"max_tokens": 2})).send().await.unwrap();
        (answer, clock.now().since(began))
    });
    let mut waits: Vec<u64> = Vec::new();
    for (answer, took) in join_all(timed).await {
        assert_eq!(answer.status(), 200);
        assert!(
            u128::from(queued(&answer)) <= took.as_millis(),
            "it says that it waited longer than it took"
        );
        waits.push(queued(&answer));
    }
    waits.sort_unstable();
    assert_eq!(waits[0], 0, "there was room for the first");
    // One every 50 ms, counted from the first; each came at most as late as the last of them was sent.
    for (place, wait) in waits.iter().enumerate().skip(1) {
        let due = 50 * place as u64;
        assert!((due.saturating_sub(40)..due + 2_000).contains(wait), "number {place} waited {wait} ms");
    }
}

#[tokio::test]
async fn the_wait_that_is_told_is_the_one_for_room_alone() {
    let plan = limited(Limits::default()).await.provider("b").await.route("both", &["a", "b"]);
    let plan = plan.set(|settings| {
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(150);
    });
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    let answer = world.chat("both", json!({})).send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-provider"), "b");
    assert!(
        queued(&answer) < 100,
        "the time at a silent provider is no waiting for room: {}",
        queued(&answer)
    );
}

#[tokio::test]
async fn who_came_first_is_served_first() {
    let (world, first) = with_a_full_house(limited(concurrent(1)).await).await;
    let mut others = Vec::new();
    for name in ["second", "third", "fourth"] {
        others.push(beside(world.chat("sim", json!({})).header("x-request-id", name)));
        soon(world.until_waiting(others.len() as u64)).await;
    }
    check_order(&world, &["second", "third", "fourth"]).await;
    assert_eq!(queued(&first.await.unwrap()), 0);
    for answer in others {
        assert_eq!(soon(answer).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_class_goes_before_those_below_it() {
    let plan = limited(concurrent(1)).await.route("bulk", &["a"]);
    let plan = plan.set(|settings| {
        settings.exchange.routes[0].priority = tidegate::admission::Priority::Batch;
    });
    let (world, _first) = with_a_full_house(plan).await;
    let mut others = Vec::new();
    for (name, model, class) in [
        ("bulk", "bulk", None),
        ("batch", "sim", Some("batch")),
        ("usual", "sim", None),
        ("urgent", "bulk", Some("interactive")),
    ] {
        let request = world.chat(model, json!({})).header("x-request-id", name);
        others.push(beside(match class {
            Some(class) => request.header("x-tidegate-priority", class),
            None => request,
        }));
        soon(world.until_waiting(others.len() as u64)).await;
    }
    check_order(&world, &["urgent", "usual", "bulk", "batch"]).await;
}

/// Lets one after the other go and looks at who comes next.
async fn check_order(world: &World, expected: &[&str]) {
    for (served, name) in expected.iter().enumerate() {
        world.simulator("a").release(1);
        let next =
            world.simulator("a").wait_for(|stats| stats.received == served as u64 + 2 && stats.held == 1);
        let seen = soon(next).await.last_request.expect("one came");
        assert_eq!(seen.header("x-request-id"), Some(*name));
    }
    world.simulator("a").release(1);
}

#[tokio::test]
async fn a_class_that_is_none_is_refused_in_words() {
    let world = World::new().await;
    let answer = world.chat("sim", json!({})).header("x-tidegate-priority", "urgent").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let error = error(answer).await;
    assert!(error["message"].as_str().unwrap().contains("interactive, normal or batch"), "{error}");
}

#[tokio::test]
async fn no_more_are_at_the_provider_than_its_places() {
    let world = limited(concurrent(2)).await.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let calls: Vec<_> = (0..5).map(|_| beside(world.chat("sim", json!({})))).collect();
    for served in 0..5_u64 {
        let there = (5 - served).min(2);
        let full = world.simulator("a").wait_for(|stats| stats.served == served && stats.held == there);
        assert_eq!(soon(full).await.in_flight, there);
        soon(world.until_waiting(5 - served - there)).await;
        assert_eq!(world.simulator("a").stats().received, served + there);
        world.simulator("a").release(1);
    }
    for call in calls {
        assert_eq!(soon(call).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_truly_when_to_come_back() {
    let plan = limited(requests(100)).await.set(|settings| settings.exchange.queue.max_depth = 1);
    let world = plan.start().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
    let waiting = beside(world.chat("sim", json!({})));
    soon(world.until_waiting(1)).await;
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    let millis: u64 = header(&refusal, "retry-after-ms").parse().unwrap();
    assert!((600..=1_200).contains(&millis), "two come before the third: {millis} ms");
    assert_eq!(header(&refusal, "retry-after"), millis.div_ceil(1_000).to_string());
    assert_eq!(header(&refusal, "x-should-retry"), "", "the SDKs are to retry");
    obey(&refusal).await;
    let retried = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(retried.status(), 200);
    // Whoever goes before it is served as late as a timer fires, and moves it by so much.
    assert!(queued(&retried) <= 100, "{}", queued(&retried));
    assert_eq!(waiting.await.unwrap().status(), 200);
    let error = error(refusal).await;
    assert_eq!((&error["type"], &error["code"]), (&json!("requests"), &json!("rate_limit_exceeded")));
    assert!(error["message"].as_str().unwrap().contains("Please try again in"), "{error}");
    assert_eq!(world.metric(r#"tidegate_refused_total{reason="queue_full"}"#).await, 1.0);
}

#[tokio::test]
async fn a_refusal_that_cannot_know_when_sends_nobody_back_at_once() {
    let plan = limited(concurrent(1)).await.set(|settings| settings.exchange.queue.max_depth = 1);
    let (world, _first) = with_a_full_house(plan).await;
    let _waiting = beside(world.chat("sim", json!({})));
    soon(world.until_waiting(1)).await;
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    assert!(header(&refusal, "retry-after").parse::<u64>().unwrap() >= 1);
    assert!(header(&refusal, "retry-after-ms").parse::<u64>().unwrap() >= 1_000);
}

#[tokio::test]
async fn a_wait_beyond_the_longest_is_refused_at_once_and_truly() {
    let plan = limited(requests(100)).await;
    let world =
        plan.set(|settings| settings.exchange.queue.max_wait = Duration::from_millis(100)).start().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!((refusal.status().as_u16(), queued(&refusal)), (429, 0));
    let waited = obey(&refusal).await;
    assert!(waited > Duration::from_millis(100) && waited <= Duration::from_millis(600), "{waited:?}");
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
    assert_eq!(world.metric(r#"tidegate_refused_total{reason="deadline"}"#).await, 1.0);
}

#[tokio::test]
async fn who_waits_until_the_longest_is_told_how_long_that_was() {
    let plan = limited(concurrent(1)).await;
    let plan = plan.set(|settings| settings.exchange.queue.max_wait = Duration::from_millis(200));
    let (world, _first) = with_a_full_house(plan).await;
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    assert!((200..5_000).contains(&queued(&refusal)), "{}", queued(&refusal));
    assert_eq!(header(&refusal, "x-tidegate-attempts"), "0");
}

#[tokio::test]
async fn a_call_larger_than_the_limit_is_refused_for_good() {
    let world = limited(tokens(60)).await.start().await;
    let refusal = world.chat("sim", json!({"max_tokens": 1_000})).send().await.unwrap();
    assert_eq!(refusal.status(), 429);
    assert_eq!(header(&refusal, "x-should-retry"), "false");
    assert_eq!(header(&refusal, "retry-after"), "");
    let message = error(refusal).await["message"].take();
    assert!(message.as_str().unwrap().contains("Limit 60 (tokens_per_minute)"), "{message}");
    assert_eq!(world.simulator("a").stats().received, 0);
}

#[tokio::test]
async fn a_call_larger_than_one_limit_goes_to_the_target_with_a_larger_one() {
    let plan =
        limited(tokens(60)).await.provider_with("b", tokens(6_000), SimulatorSettings::unlimited()).await;
    let world = plan.route("both", &["a", "b"]).start().await;
    let answer = world.chat("both", json!({"max_tokens": 1_000})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-provider").as_str()), (200, "b"));
    assert_eq!((queued(&answer), header(&answer, "x-tidegate-attempts").as_str()), (0, "1"));
}

#[tokio::test]
async fn a_guess_of_the_output_never_refuses_what_could_be_served() {
    let world = limited(tokens(600)).await.start().await;
    let answer = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-tidegate-reserved-tokens"), "600");
    let again = world.chat("sim", json!({})).send();
    let again = soon(again).await.unwrap();
    assert_eq!(again.status(), 200, "what the first did not use was given back");
}

#[tokio::test]
async fn the_provider_sees_no_faster_pace_than_its_limit() {
    let world = limited(requests(1_200)).await.start().await;
    let health = until(&world, |health| health["status"] == "pass").await;
    assert_eq!(health["providers"][0]["budget"]["requests_per_minute"]["available"], 1);
    let clock = Clock::start();
    let began = clock.now();
    let answers = join_all((0..8).map(|_| world.chat("sim", json!({"max_tokens": 1})).send())).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 200));
    assert!(clock.now().since(began) >= Duration::from_millis(7 * 50), "eight at one every 50 ms");
}
