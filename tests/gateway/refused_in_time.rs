//! Clients that cannot be kept alive while they wait: they are refused before they would give up.

use crate::beside::{beside, queued, soon};
use crate::tongues::{Question, ask};
use crate::world::{Plan, World, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use tidegate::admission::Limits;
use tidegate::dialect::Dialect;

const HELLO: Question<'_> = Question { text: "Say 6 words.", stream: false, with_tools: false };
const STREAMED: Question<'_> = Question { stream: true, ..HELLO };

#[tokio::test]
async fn who_would_give_up_before_there_is_room_is_refused_in_time() {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(1),
        burst_requests: NonZeroU32::new(1),
        ..Limits::default()
    };
    let plan = Plan::new().speaking("a", &[Dialect::Chat, Dialect::Gemini]).await;
    let world = plan.set(|settings| settings.exchange.providers[0].limits = limits).start().await;
    assert_eq!(soon(ask(&world, Dialect::Chat, "sim", HELLO).send()).await.unwrap().status(), 200);
    for (dialect, question, name, value) in [
        (Dialect::Chat, HELLO, "x-stainless-read-timeout", "20"),
        (Dialect::Chat, HELLO, "x-stainless-timeout", "20"),
        (Dialect::Gemini, HELLO, "x-server-timeout", "20"),
        (Dialect::Gemini, STREAMED, "x-server-timeout", "20"),
        (Dialect::Chat, HELLO, "x-tidegate-max-wait", "20s"),
        (Dialect::Chat, STREAMED, "x-tidegate-max-wait", "0.5"),
    ] {
        let refusal = soon(ask(&world, dialect, "sim", question).header(name, value).send()).await.unwrap();
        assert_eq!((refusal.status().as_u16(), queued(&refusal)), (429, 0), "{name}");
        let wait = header(&refusal, "retry-after").parse::<u64>().unwrap();
        assert!((20..=60).contains(&wait), "it says when there is room: {wait}");
    }
    for (name, value) in
        [("x-stainless-timeout", "0"), ("x-stainless-timeout", "soon"), ("x-server-timeout", "-1")]
    {
        let waiting = beside(ask(&world, Dialect::Chat, "sim", HELLO).header(name, value));
        soon(world.until_waiting(1)).await;
        waiting.abort();
        soon(world.until_waiting(0)).await;
    }
}

#[tokio::test]
async fn a_longest_wait_that_cannot_be_meant_is_refused_in_words() {
    let world = World::new().await;
    for value in ["soon", "-1", "", "1e400", "NaN"] {
        let answer = world.chat("sim", json!({})).header("x-tidegate-max-wait", value).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{value}");
        let error = answer.json::<Value>().await.unwrap();
        let words = error["error"]["message"].as_str().unwrap();
        assert!(words.contains("x-tidegate-max-wait") && words.contains("30s"), "{words}");
    }
    let answer = world.chat("sim", json!({})).header("x-tidegate-max-wait", "0s").send().await.unwrap();
    assert_eq!(answer.status(), 200, "there is room");
    let seen = world.simulator("a").stats().last_request.unwrap();
    assert_eq!(seen.header("x-tidegate-max-wait"), None);
}
