//! Streaming clients that wait: they get a head and signs of life, then all of their answer, or an error in the stream.

use crate::beside::{beside, canned, provider, soon, until, whole};
use crate::tongues::{Question, ask, ends_in_error, hear, hear_stream};
use crate::world::{Plan, World, events, header};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::dialect::Dialect;
use tidegate::exchange::KeepAlive;
use tidegate::simulator::{FailNext, SimulatorSettings};
use tidegate::upstream::Spoken;
use tokio::task::JoinHandle;

const HELLO: Question<'_> = Question { text: "Say 6 words.", stream: false, with_tools: false };
const STREAMED: Question<'_> = Question { stream: true, ..HELLO };
const COMMENT: &str = ": waiting\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const KEPT: [Dialect; 4] = [Dialect::Chat, Dialect::Completions, Dialect::Responses, Dialect::Messages];

const fn sign(dialect: Dialect) -> &'static str {
    if matches!(dialect, Dialect::Messages) { PING } else { COMMENT }
}

/// Signs of life come soon and often.
fn soon_kept(plan: Plan) -> Plan {
    let (after, every) = (Some(Duration::from_millis(1)), Duration::from_millis(5));
    plan.set(|settings| settings.exchange.keepalive = KeepAlive { after, every })
}

/// One provider `a` that speaks one dialect and has one place.
async fn one_place(dialect: Dialect) -> Plan {
    let plan = Plan::new().speaking("a", &[dialect]).await;
    plan.set(|settings| settings.exchange.providers[0].limits.concurrent = NonZeroU32::new(1))
}

/// A question in any dialect that streams.
fn say(world: &World, dialect: Dialect, question: Question<'_>) -> RequestBuilder {
    if dialect != Dialect::Completions {
        return ask(world, dialect, "sim", question);
    }
    let body = json!({"model": "sim", "prompt": question.text, "max_tokens": 24, "stream": question.stream});
    world.request(Method::POST, "/v1/completions").json(&body)
}

/// A stream that is read as it comes.
struct Coming {
    answer: Response,
    came: String,
}

impl Coming {
    async fn of(request: RequestBuilder) -> Coming {
        let answer = soon(request.send()).await.expect("the gateway answers");
        assert_eq!((answer.status(), header(&answer, "x-tidegate-kept").as_str()), (StatusCode::OK, "true"));
        Coming { answer, came: String::new() }
    }

    /// Reads until so many signs of life have come, and nothing else.
    async fn signs(&mut self, dialect: Dialect, count: usize) {
        let wanted = sign(dialect).repeat(count);
        while self.came.len() < wanted.len() {
            let chunk = soon(self.answer.chunk()).await.expect("it is well").expect("it goes on");
            self.came.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(self.came.starts_with(&wanted), "{}", self.came);
    }

    /// Reads to the end; what came behind the signs of life.
    async fn rest(mut self, dialect: Dialect) -> String {
        while let Some(chunk) = soon(self.answer.chunk()).await.expect("the connection ends well") {
            self.came.push_str(&String::from_utf8_lossy(&chunk));
        }
        let mut rest = self.came.as_str();
        while let Some(behind) = rest.strip_prefix(sign(dialect)) {
            rest = behind;
        }
        rest.to_owned()
    }
}

/// Takes the only place, and holds it.
async fn fill(world: &World, dialect: Dialect) -> JoinHandle<Response> {
    world.simulator("a").update(|faults| faults.gate = true);
    let first = beside(say(world, dialect, HELLO));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    first
}

/// A stream without what differs from answer to answer.
fn told(dialect: Dialect, stream: &str) -> (String, String) {
    if dialect != Dialect::Completions {
        let heard = hear_stream(dialect, stream);
        return (heard.text, heard.stop);
    }
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let chunks = events(stream).into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
    let mut said = (String::new(), String::new());
    for chunk in chunks {
        said.0 += chunk["choices"][0]["text"].as_str().unwrap_or_default();
        said.1 += chunk["choices"][0]["finish_reason"].as_str().unwrap_or_default();
    }
    said
}

#[tokio::test]
async fn who_waits_for_a_slow_provider_hears_signs_of_life_and_then_everything() {
    for dialect in KEPT {
        let world = soon_kept(one_place(dialect).await).start().await;
        let usual = soon(say(&world, dialect, STREAMED).send()).await.unwrap().text().await.unwrap();
        world.simulator("a").update(|faults| faults.gate = true);
        let mut coming = Coming::of(say(&world, dialect, STREAMED).header("x-request-id", "mine")).await;
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
            ("x-tidegate-request-id", "mine"),
            ("x-tidegate-provider", ""),
            ("content-length", ""),
        ] {
            assert_eq!(header(&coming.answer, name), value, "{name}");
        }
        coming.signs(dialect, 3).await;
        soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
        assert_eq!(world.simulator("a").stats().served, 1, "the answer has not begun");
        world.simulator("a").release(1);
        assert_eq!(told(dialect, &coming.rest(dialect).await), told(dialect, &usual), "{dialect}");
        until(&world, |health| provider(health, "a")["open"] == 0).await;
        let kept = format!(r#"tidegate_kept_alive_total{{dialect="{dialect}"}}"#);
        assert!(world.metric(&kept).await >= 1.0);
        assert_eq!(world.metric("tidegate_bodies_held_bytes").await, 0.0);
    }
}

#[tokio::test]
async fn who_waits_in_the_queue_hears_signs_of_life_and_then_everything() {
    for dialect in KEPT {
        let world = soon_kept(one_place(dialect).await).start().await;
        let first = fill(&world, dialect).await;
        let of_first = world.metric("tidegate_bodies_held_bytes").await;
        let mut coming = Coming::of(say(&world, dialect, STREAMED)).await;
        coming.signs(dialect, 3).await;
        soon(world.until_waiting(1)).await;
        assert!(world.metric("tidegate_bodies_held_bytes").await > of_first, "its body is still there");
        world.simulator("a").update(|faults| faults.gate = false);
        let (said, stop) = told(dialect, &coming.rest(dialect).await);
        assert!(said.contains(' ') && !stop.is_empty(), "{said}");
        assert_eq!(soon(first).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_plan_that_crosses_dialects_is_kept_alive_too() {
    let plan = Plan::new().speaking("a", &[Dialect::Chat]).await;
    let world = soon_kept(plan).start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    for dialect in [Dialect::Responses, Dialect::Messages] {
        let mut coming = Coming::of(say(&world, dialect, STREAMED)).await;
        coming.signs(dialect, 2).await;
        soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
        world.simulator("a").release(1);
        assert!(!told(dialect, &coming.rest(dialect).await).0.is_empty(), "{dialect}");
    }
}

#[tokio::test]
async fn who_is_no_stream_or_has_no_sign_of_life_waits_without_a_head() {
    let world = soon_kept(Plan::new().speaking("a", &[Dialect::Gemini]).await).start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let array = |path: &str| {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "Say 6 words."}]}]});
        world.request(Method::POST, path).json(&body)
    };
    let silent = [
        beside(say(&world, Dialect::Gemini, STREAMED)),
        beside(array("/v1beta/models/sim:streamGenerateContent")),
        beside(say(&world, Dialect::Gemini, HELLO)),
        beside(say(&world, Dialect::Chat, HELLO)),
    ];
    soon(world.simulator("a").wait_for(|stats| stats.held == 4)).await;
    // Longer than any of them would have had to wait.
    let mut coming = Coming::of(say(&world, Dialect::Chat, STREAMED)).await;
    coming.signs(Dialect::Chat, 10).await;
    assert!(silent.iter().all(|answer| !answer.is_finished()));
    world.simulator("a").update(|faults| faults.gate = false);
    for answer in silent {
        let answer = soon(answer).await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-tidegate-kept").as_str()), (200, ""));
        assert!(!answer.text().await.unwrap().contains("waiting"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_soon_has_its_own_head() {
    let world = World::new().await;
    let answer = soon(world.chat("sim", json!({"stream": true})).send()).await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-kept"), "");
    assert_eq!(header(&answer, "x-tidegate-provider"), "a");
}

/// The last error of a stream, in whatever shape.
fn error_in(dialect: Dialect, stream: &str) -> Value {
    let read = |event: &str| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
        serde_json::from_str::<Value>(data).ok()
    };
    let failed = |value: &Value| dialect != Dialect::Responses || value["type"] == "response.failed";
    let event = stream.split("\n\n").filter_map(read).find(failed).expect("an event that has failed");
    if dialect == Dialect::Responses { event["response"]["error"].clone() } else { event["error"].clone() }
}

fn is_error(dialect: Dialect, stream: &str) -> bool {
    // Completions end as chats do.
    ends_in_error(if dialect == Dialect::Completions { Dialect::Chat } else { dialect }, stream)
}

#[tokio::test]
async fn who_waits_in_vain_is_refused_within_the_stream() {
    for (dialect, agent) in KEPT.into_iter().map(|one| (one, false)).chain([(Dialect::Responses, true)]) {
        let plan = soon_kept(one_place(dialect).await);
        let plan = plan.set(|settings| settings.exchange.queue.max_wait = Duration::from_millis(200));
        let world = plan.start().await;
        let _first = fill(&world, dialect).await;
        let request = say(&world, dialect, STREAMED);
        let request = if agent { request.header("originator", "codex_cli_rs") } else { request };
        let mut coming = Coming::of(request).await;
        coming.signs(dialect, 1).await;
        let rest = coming.rest(dialect).await;
        assert!(is_error(dialect, &rest), "{rest}");
        let error = error_in(dialect, &rest);
        let kind = if dialect == Dialect::Messages { &error["type"] } else { &error["code"] };
        let wanted = if dialect == Dialect::Messages { "rate_limit_error" } else { "rate_limit_exceeded" };
        assert_eq!(kind, wanted, "{rest}");
        let words = error["message"].as_str().unwrap();
        assert!(words.contains("Please try again in 1s."), "{words}");
        assert_eq!(world.metric(r#"tidegate_refused_total{reason="deadline"}"#).await, 1.0);
    }
}

#[tokio::test]
async fn a_refusal_of_the_provider_arrives_within_the_stream_in_its_own_words() {
    for dialect in KEPT {
        let world = soon_kept(one_place(dialect).await).start().await;
        let _first = fill(&world, dialect).await;
        let mut coming = Coming::of(say(&world, dialect, STREAMED)).await;
        coming.signs(dialect, 1).await;
        soon(world.until_waiting(1)).await;
        let refusal = FailNext::new(2, StatusCode::BAD_REQUEST);
        world.simulator("a").update(|faults| {
            faults.fail_next = Some(refusal);
            faults.gate = false;
        });
        let rest = coming.rest(dialect).await;
        assert!(is_error(dialect, &rest), "{rest}");
        let plain = {
            let refusal = FailNext::new(1, StatusCode::BAD_REQUEST);
            world.simulator("a").update(|faults| faults.fail_next = Some(refusal));
            soon(say(&world, dialect, HELLO).send()).await.unwrap().json::<Value>().await.unwrap()
        };
        assert_eq!(error_in(dialect, &rest)["message"], plain["error"]["message"], "{dialect}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_the_signs_of_life_ends_in_an_error() {
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Messages] {
        let world = soon_kept(one_place(dialect).await).start().await;
        world.simulator("a").update(|faults| {
            faults.gate = true;
            faults.cut_after_chunks = Some(4);
        });
        let mut coming = Coming::of(say(&world, dialect, STREAMED)).await;
        coming.signs(dialect, 2).await;
        soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
        world.simulator("a").release(1);
        let rest = coming.rest(dialect).await;
        assert!(ends_in_error(dialect, &rest), "{rest}");
        assert!(rest.matches("data: ").count() > 3, "what came before is there: {rest}");
    }
}

/// A world whose first provider is silent for a while and whose second then says this, to a client that is kept.
async fn second_says(dialect: Dialect, kind: &str, body: &str) -> World {
    let plan = soon_kept(Plan::new().speaking("a", &[dialect]).await);
    let (plan, _) = canned(plan, "b", whole("200 OK", kind, body)).await;
    let plan = plan.route("both", &["a", "b"]).set(|settings| {
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(200);
        let second = &mut settings.exchange.providers[1];
        second.family = dialect.family();
        second.upstream.spoken = vec![Spoken::usual(dialect)];
    });
    let world = plan.start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    world
}

async fn both_say(world: &World, dialect: Dialect) -> String {
    let request = match dialect {
        Dialect::Completions => world
            .request(Method::POST, "/v1/completions")
            .json(&json!({"model": "both", "prompt": "x", "stream": true})),
        _ => ask(world, dialect, "both", STREAMED),
    };
    let mut coming = Coming::of(request).await;
    coming.signs(dialect, 1).await;
    coming.rest(dialect).await
}

#[tokio::test]
async fn an_answer_in_one_piece_is_told_as_the_stream_that_was_asked_for() {
    for dialect in KEPT {
        let simulated = Plan::new().speaking("a", &[dialect]).await.start().await;
        let plain = soon(say(&simulated, dialect, HELLO).send()).await.unwrap().text().await.unwrap();
        let world = second_says(dialect, "application/json", &plain).await;
        let said = told(dialect, &both_say(&world, dialect).await);
        let plain: Value = serde_json::from_str(&plain).unwrap();
        let wanted = if dialect == Dialect::Completions {
            let choice = &plain["choices"][0];
            let text = |key: &str| choice[key].as_str().unwrap().to_owned();
            (text("text"), text("finish_reason"))
        } else {
            let heard = hear(dialect, &plain);
            (heard.text, heard.stop)
        };
        assert_eq!(said, wanted, "{dialect}");
        until(&world, |health| provider(health, "b")["open"] == 0).await;
        assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="answer"}"#).await, 0.0);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_within_the_stream() {
    for dialect in KEPT {
        for (kind, body) in
            [("text/html", "<html>Log in</html>"), ("application/json", "{}"), ("text/plain", "")]
        {
            let world = second_says(dialect, kind, body).await;
            let rest = both_say(&world, dialect).await;
            assert!(is_error(dialect, &rest), "{dialect} {kind}: {rest}");
            let error = error_in(dialect, &rest);
            assert!(error["message"].as_str().unwrap().contains("is no stream"), "{error}");
        }
    }
}

#[tokio::test]
async fn who_leaves_while_kept_alive_frees_the_place() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let world = soon_kept(plan).start().await;
    let first = fill(&world, Dialect::Chat).await;
    let mut leaving = Coming::of(world.chat("sim", json!({"stream": true}))).await;
    leaving.signs(Dialect::Chat, 2).await;
    soon(world.until_waiting(1)).await;
    let staying = beside(world.chat("sim", json!({})).header("x-request-id", "staying"));
    soon(world.until_waiting(2)).await;
    drop(leaving);
    soon(world.until_waiting(1)).await;
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="waiting"}"#).await, 1.0);
    world.simulator("a").release(1);
    let next = world.simulator("a").wait_for(|stats| stats.received == 2 && stats.held == 1);
    assert_eq!(soon(next).await.last_request.unwrap().header("x-request-id"), Some("staying"));
    world.simulator("a").release(1);
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(soon(staying).await.unwrap().status(), 200);
    until(&world, |health| provider(health, "a")["open"] == 0).await;
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="waiting"}"#).await, 1.0);
    assert_eq!(world.metric("tidegate_bodies_held_bytes").await, 0.0);
}

#[tokio::test]
async fn who_leaves_while_the_provider_thinks_cancels_it() {
    let world = soon_kept(Plan::new().provider("a").await).start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut leaving = Coming::of(world.chat("sim", json!({"stream": true}))).await;
    leaving.signs(Dialect::Chat, 2).await;
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    drop(leaving);
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    until(&world, |health| provider(health, "a")["open"] == 0).await;
    assert_eq!(world.metric(r#"tidegate_cancelled_total{stage="waiting"}"#).await, 1.0);
}

#[tokio::test]
async fn a_client_that_bears_little_silence_is_kept_alive_sooner() {
    let world = Plan::new().provider("a").await.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let request = world.chat("sim", json!({"stream": true})).header("x-stainless-read-timeout", "0.6");
    let mut coming = Coming::of(request).await;
    coming.signs(Dialect::Chat, 2).await;
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    world.simulator("a").release(1);
    assert!(!told(Dialect::Chat, &coming.rest(Dialect::Chat).await).0.is_empty());
}
