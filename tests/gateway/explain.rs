//! What the gateway tells of single exchanges: in the headers of their answers and at `/admin/exchanges`.

use crate::beside::{beside, soon};
use crate::raw::{Raw, provider_at};
use crate::world::{Plan, World, chat_body, header};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::config::Settings;
use tidegate::dialect::Dialect;
use tidegate::exchange::KeepAlive;
use tidegate::simulator::{FailNext, SimulatorSettings};
use tidegate::tasks::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn told(world: &World, id: &str) -> Value {
    let answer = world.get(&format!("/admin/exchanges/{id}")).await;
    assert_eq!(answer.status(), 200, "{id}");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    answer.json().await.expect("a story is JSON")
}

/// The story once it has ended: a relay may still be settling when its client has read all of it.
async fn whole(world: &World, id: &str) -> Value {
    const ENDS: [&str; 5] = ["complete", "broke_off", "client_left", "given_back", "refused"];
    soon(async {
        loop {
            let story = told(world, id).await;
            if ENDS.contains(&story["state"].as_str().expect("a word")) {
                return story;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// The names of the events, and the one of this name.
fn names(story: &Value) -> Vec<&str> {
    let events = story["events"].as_array().expect("a list");
    events.iter().map(|event| event["event"].as_str().expect("each has a name")).collect()
}

fn event<'s>(story: &'s Value, name: &str) -> &'s Value {
    let events = story["events"].as_array().expect("a list");
    events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name} in {story}"))
}

async fn limited(limits: Limits) -> World {
    Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await
}

fn concurrent(most: u32) -> Limits {
    Limits { concurrent: NonZeroU32::new(most), ..Limits::default() }
}

#[tokio::test]
async fn an_answer_in_one_piece_tells_what_it_took_and_its_story_the_same() {
    let world = World::new().await;
    let call = world.chat("sim", json!({"max_tokens": 7})).header("x-request-id", "plain");
    let answer = call.send().await.unwrap();
    let used: u64 = header(&answer, "x-tidegate-used-tokens").parse().expect("it is told");
    assert_eq!(header(&answer, "x-tidegate-queued-for"), "", "it did not wait");
    let estimated = header(&answer, "x-tidegate-estimated-tokens");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["usage"]["total_tokens"], used);

    let story = told(&world, "plain").await;
    assert_eq!(names(&story), ["granted", "sent", "begun", "first_byte", "settled"]);
    assert_eq!(story["state"], "complete");
    assert_eq!((&story["dialect"], &story["model"]), (&json!("chat"), &json!("sim")));
    assert_eq!((&story["stream"], &story["priority"]), (&json!(false), &json!("normal")));
    assert_eq!(story["targets"], json!(["a/sim"]));
    let estimate = &story["estimated"];
    let total = estimate["input"].as_u64().unwrap() + estimate["output"].as_u64().unwrap();
    assert_eq!(total.to_string(), estimated);
    let settled = event(&story, "settled");
    assert_eq!((&settled["output"], &settled["counted_by"]), (&json!(7), &json!("provider")));
    assert_eq!(settled["input"].as_u64().unwrap() + 7, used);
    let times: Vec<_> =
        story["events"].as_array().unwrap().iter().map(|event| event["at_us"].as_u64()).collect();
    assert!(times.is_sorted() && times.iter().all(Option::is_some), "{times:?}");
}

#[tokio::test]
async fn who_waits_can_be_asked_why_and_is_told_in_the_end() {
    let world = limited(concurrent(1)).await;
    world.simulator("a").update(|faults| faults.gate = true);
    let first = beside(world.chat("sim", json!({})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    let second = beside(world.chat("sim", json!({})).header("x-request-id", "second"));
    soon(world.until_waiting(1)).await;
    let third = beside(world.chat("sim", json!({})).header("x-request-id", "third"));
    soon(world.until_waiting(2)).await;

    let story = told(&world, "third").await;
    assert_eq!((&story["state"], names(&story)), (&json!("waiting"), vec!["waiting"]));
    let waiting = event(&story, "waiting");
    assert_eq!(waiting["reason"], json!({"kind": "concurrent", "budget": "a"}));
    assert_eq!(waiting["before"], 1);
    assert!(story["now_us"].as_u64() >= waiting["at_us"].as_u64());

    world.simulator("a").update(|faults| faults.gate = false);
    world.simulator("a").release(1);
    assert_eq!(soon(first).await.unwrap().status(), 200);
    for (waited, id) in [(second, "second"), (third, "third")] {
        let answer = soon(waited).await.unwrap();
        assert_eq!(header(&answer, "x-tidegate-queued-for"), "exchanges at a time at a");
        let story = whole(&world, id).await;
        let events = ["waiting", "granted", "sent", "begun", "first_byte", "settled"];
        assert_eq!(names(&story), events);
        assert!(event(&story, "granted")["waited_us"].as_u64() > Some(0));
    }
}

#[tokio::test]
async fn a_wait_names_the_limit_that_is_used_up() {
    let limits = Limits {
        tokens_per_minute: NonZeroU32::new(600),
        burst_tokens: NonZeroU32::new(100),
        requests_per_minute: NonZeroU32::new(60_000),
        ..Limits::default()
    };
    let world = limited(limits).await;
    world.simulator("a").update(|faults| (faults.gate, faults.output_tokens) = (true, 2));
    let first = beside(world.chat("sim", json!({"max_tokens": 80})));
    soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
    let short = beside(world.chat("sim", json!({"max_tokens": 80})).header("x-request-id", "short"));
    soon(world.until_waiting(1)).await;
    world.simulator("a").update(|faults| faults.gate = false);
    world.simulator("a").release(1);
    assert_eq!(soon(first).await.unwrap().status(), 200);
    let answer = soon(short).await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-queued-for"), "tokens per minute of a");
    let waiting = event(&told(&world, "short").await, "waiting")["reason"].clone();
    assert_eq!(waiting, json!({"kind": "limit", "budget": "a", "limit": "tokens_per_minute"}));
}

#[tokio::test]
async fn a_failover_tells_who_was_asked_and_how_each_was_judged() {
    let world = Plan::new().provider("a").await.provider("b").await.route("both", &["a", "b"]).start().await;
    let failure = FailNext::new(1, StatusCode::INTERNAL_SERVER_ERROR);
    world.simulator("a").update(|faults| faults.fail_next = Some(failure));
    let call = world.chat("both", json!({"max_tokens": 2})).header("x-request-id", "moved");
    let answer = call.send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-target"), "b/sim");
    let story = whole(&world, "moved").await;
    let events = ["granted", "sent", "judged", "granted", "sent", "begun", "first_byte", "settled"];
    assert_eq!(names(&story), events);
    let judged = event(&story, "judged");
    assert_eq!((&judged["status"], &judged["outcome"]), (&json!(500), &json!("server_error")));
    assert_eq!(judged["next"], "move_on");
    assert_eq!(
        (&story["events"][0]["target"], &story["events"][3]["target"]),
        (&json!("a/sim"), &json!("b/sim"))
    );
    assert_eq!(story["events"][4]["attempt"], 2);
    let listed: Value = world.get("/admin/exchanges").await.json().await.unwrap();
    assert_eq!((&listed["kept"], &listed["kept_max"]), (&json!(1), &json!(10_000)));
    let brief = &listed["exchanges"][0];
    assert_eq!(
        (&brief["id"], &brief["target"], &brief["attempts"]),
        (&json!("moved"), &json!("b/sim"), &json!(2))
    );
}

#[tokio::test]
async fn a_429_tells_what_was_said_and_the_pause_that_followed() {
    let world = World::new().await;
    let (name, value) = (reqwest::header::HeaderName::from_static("retry-after-ms"), 60.into());
    let refusal = FailNext::new(1, StatusCode::TOO_MANY_REQUESTS).with_header(name, value);
    world.simulator("a").update(|faults| faults.fail_next = Some(refusal));
    let answer = world.chat("sim", json!({})).header("x-request-id", "patient").send().await.unwrap();
    let waited_for = header(&answer, "x-tidegate-queued-for");
    assert!(
        waited_for.starts_with("a pause of ") && waited_for.ends_with(" that a/sim asked for"),
        "{waited_for}"
    );
    let story = whole(&world, "patient").await;
    let judged = event(&story, "judged");
    assert_eq!((&judged["status"], &judged["told_wait_ms"]), (&json!(429), &json!(60)));
    assert_eq!(judged["next"], json!({"paused_ms": 60}));
    assert_eq!(event(&story, "waiting")["reason"]["kind"], "paused");
}

#[tokio::test]
async fn refusals_of_either_side_are_ends() {
    let world = World::new().await;
    let call = world.chat("nobody-has-this", json!({})).header("x-request-id", "unknown-model");
    assert_eq!(call.send().await.unwrap().status(), 404);
    let story = told(&world, "unknown-model").await;
    assert_eq!(names(&story), ["granted", "sent", "judged", "given_back"]);
    assert_eq!(event(&story, "judged")["outcome"], "model_missing");
    let call = world.post("/v1/chat/completions", "{").await;
    let story = told(&world, &header(&call, "x-tidegate-request-id")).await;
    assert_eq!((&story["state"], names(&story)), (&json!("refused"), vec!["refused"]));
    let refused = event(&story, "refused");
    assert_eq!((&refused["reason"], &refused["status"]), (&json!("bad_request"), &json!(400)));

    let failure = FailNext::new(1, StatusCode::BAD_REQUEST);
    world.simulator("a").update(|faults| faults.fail_next = Some(failure));
    let call = world.chat("sim", json!({})).header("x-request-id", "theirs");
    assert_eq!(call.send().await.unwrap().status(), 400);
    let story = told(&world, "theirs").await;
    assert_eq!(names(&story), ["granted", "sent", "judged", "given_back"]);
    assert_eq!(event(&story, "judged")["next"], "give_back");
}

#[tokio::test]
async fn who_leaves_leaves_a_story() {
    let world = limited(concurrent(1)).await;
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(2));
    let call = world.chat("sim", json!({"stream": true})).header("x-request-id", "half");
    let answer = soon(call.send()).await.unwrap();
    let waiting = beside(world.chat("sim", json!({})).header("x-request-id", "early"));
    soon(world.until_waiting(1)).await;
    waiting.abort();
    let story = whole(&world, "early").await;
    assert_eq!((&story["state"], names(&story)), (&json!("client_left"), vec!["waiting", "left"]));
    assert_eq!(told(&world, "half").await["state"], "answering");
    drop(answer);
    let story = whole(&world, "half").await;
    let settled = event(&story, "settled");
    assert_eq!((&settled["ending"], &settled["counted_by"]), (&json!("client_left"), &json!("tidegate")));
}

#[tokio::test]
async fn a_translation_tells_what_had_no_counterpart() {
    let plan = Plan::new().speaking("claude", &[Dialect::Messages]).await;
    let world = plan.route("cross", &["claude"]).start().await;
    let more = json!({"max_tokens": 5, "logit_bias": {"1": 1}});
    let answer = world.chat("cross", more).header("x-request-id", "across").send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-translated"), "chat -> messages");
    let used: u64 =
        header(&answer, "x-tidegate-used-tokens").parse().expect("it is known before the head goes out");
    assert_eq!(answer.json::<Value>().await.unwrap()["usage"]["total_tokens"], used);
    let story = whole(&world, "across").await;
    let translated = event(&story, "translated");
    assert_eq!((&translated["from"], &translated["to"]), (&json!("chat"), &json!("messages")));
    assert_eq!(translated["dropped"], "logit_bias");
}

#[tokio::test]
async fn a_stream_tells_what_it_took_behind_its_end_to_who_reads_there() {
    let (after, every) = (Some(Duration::ZERO), Duration::from_secs(60));
    let kept = |settings: &mut Settings| settings.exchange.keepalive = KeepAlive { after, every };
    let (at_once, kept) = (World::new().await, Plan::new().provider("a").await.set(kept).start().await);
    for (world, te, tells) in [
        (&at_once, "te: trailers\r\n", true),
        (&at_once, "", false),
        (&kept, "te: trailers\r\n", true),
        (&kept, "", false),
    ] {
        let body = chat_body("sim", json!({"stream": true, "max_tokens": 3})).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{te}connection: close\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut socket = Raw::connect(world).await;
        assert!(socket.send(head + &body).await);
        let mut came = Vec::new();
        soon(socket.stream.read_to_end(&mut came)).await.expect("the gateway closes it");
        let came = String::from_utf8_lossy(&came).to_ascii_lowercase();
        assert!(came.contains("[done]"), "{came}");
        assert_eq!(came.contains("\r\ntrailer: x-tidegate-used-tokens\r\n"), tells, "{came}");
        assert_eq!(came.contains("0\r\nx-tidegate-used-tokens: "), tells, "{came}");
    }
}

#[tokio::test]
async fn a_client_of_old_reads_a_stream_to_the_end_of_the_connection_and_nothing_behind_it() {
    let (after, every) = (Some(Duration::ZERO), Duration::from_secs(60));
    let kept = |settings: &mut Settings| settings.exchange.keepalive = KeepAlive { after, every };
    let (at_once, kept) = (World::new().await, Plan::new().provider("a").await.set(kept).start().await);
    for world in [&at_once, &kept] {
        let body = chat_body("sim", json!({"stream": true, "max_tokens": 3})).to_string();
        let head =
            "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\nte: trailers\r\ncontent-length: ";
        let mut socket = Raw::connect(world).await;
        assert!(socket.send(format!("{head}{}\r\n\r\n{body}", body.len())).await);
        let mut came = Vec::new();
        soon(socket.stream.read_to_end(&mut came)).await.expect("the gateway closes it");
        let came = String::from_utf8_lossy(&came);
        assert!(came.starts_with("HTTP/1.0 200 OK\r\n") && came.ends_with("data: [DONE]\n\n"), "{came}");
        assert!(!came.contains("transfer-encoding"), "{came}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_slowly_is_not_held_back_for_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    Tasks::new().spawn("slow provider", async move {
        let (mut socket, _) = listener.accept().await.expect("the gateway comes");
        let mut asked = Vec::new();
        while !asked.ends_with(b"}") {
            socket.read_buf(&mut asked).await.expect("it asks");
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        // A provider under load sends blanks until its answer is there.
        socket.write_all(format!("{head}1\r\n\n\r\n").as_bytes()).await.expect("it listens");
        let _ = finished.await;
        let body = r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
        let rest = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        socket.write_all(rest.as_bytes()).await.expect("it listens");
    });
    let provider = provider_at("slow", &url, Limits::default());
    let world = Plan::new().set(|settings| settings.exchange.providers.push(provider)).start().await;
    let answer = soon(world.chat("slow/m", json!({})).header("x-request-id", "slow").send()).await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-used-tokens"), "", "nobody knows yet");
    finish.send(()).expect("it waits for that");
    let text = soon(answer.text()).await.expect("it ends well");
    assert!(text.starts_with("\n{") && text.ends_with("}}"), "nothing is lost: {text}");
    assert_eq!(event(&whole(&world, "slow").await, "settled")["output"], 4);
}

#[tokio::test]
async fn only_the_last_are_kept_and_a_reload_may_keep_fewer() {
    let world =
        Plan::new().provider("a").await.set(|settings| settings.exchange.exchanges_kept = 2).start().await;
    for id in ["one", "two", "three/and ?more"] {
        let sent = id.replace(' ', "_");
        let call = world.chat("sim", json!({"max_tokens": 1})).header("x-request-id", sent);
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    let answer = world.get("/admin/exchanges/one").await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type").as_str()),
        (404, "application/json")
    );
    let error: Value = answer.json().await.unwrap();
    assert_eq!((&error["kept_max"], &error["error"]["code"]), (&json!(2), &json!("unknown_exchange")));
    assert_eq!(told(&world, "two").await["state"], "complete");
    assert_eq!(told(&world, "three%2Fand_%3Fmore").await["id"], "three/and_?more");
    for odd in ["%", "%ff", "%00", &"x".repeat(5_000)] {
        assert_eq!(world.get(&format!("/admin/exchanges/{odd}")).await.status(), 404, "{odd}");
    }
    let page =
        world.request(reqwest::Method::GET, "/admin/exchanges").header("origin", "http://evil.example");
    assert_eq!(page.send().await.unwrap().status(), 403, "no web page may read it");
    let mut fewer = world.daemon.settings().exchange.clone();
    fewer.exchanges_kept = 0;
    world.daemon.gateway().reload(fewer).expect("it can be used");
    let listed: Value = world.get("/admin/exchanges").await.json().await.unwrap();
    assert_eq!(listed, json!({"kept": 0, "kept_max": 0, "exchanges": []}));
    world.chat("sim", json!({})).header("x-request-id", "now").send().await.unwrap();
    assert_eq!(world.get("/admin/exchanges/now").await.status(), 404);
}

#[tokio::test]
async fn an_id_that_cannot_be_meant_is_another_and_finds_nothing() {
    let world = World::new().await;
    let long = "x".repeat(10_000);
    for id in [long.as_str(), "two words", "ünïcode", "\u{1f4a3}", ""] {
        let call = world.chat("sim", json!({"max_tokens": 1})).header("x-request-id", id.as_bytes());
        let answer = call.send().await.unwrap();
        let given = header(&answer, "x-tidegate-request-id");
        assert!(given.starts_with("req_"), "{given}");
        assert_eq!(whole(&world, &given).await["id"], given);
    }
    let call = || world.chat("sim", json!({"max_tokens": 1})).header("x-request-id", "%2F/../%zz?a#b");
    for earlier in 0..3 {
        assert_eq!(call().send().await.unwrap().status(), 200);
        let story = whole(&world, "%252F%2F..%2F%25zz%3Fa%23b").await;
        assert_eq!((&story["id"], &story["earlier"]), (&json!("%2F/../%zz?a#b"), &json!(earlier)));
    }
    for path in
        [&long[..4_000], "%00", "%ff%fe", "%e2%98", "%zz", "%", "%2e%2e", "a%2fb", "x//y", "ü", "'\"<b>"]
    {
        let answer = world.get(&format!("/admin/exchanges/{path}")).await;
        assert_eq!(answer.status(), 404, "{path}");
        let told = answer.text().await.unwrap();
        assert!(told.len() < 1_000 && serde_json::from_str::<Value>(&told).is_ok(), "{told}");
    }
    let twice = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-request-id: first\r\nx-request-id: second\r\n";
    let body = chat_body("sim", json!({"max_tokens": 1})).to_string();
    let mut socket = Raw::connect(&world).await;
    assert!(socket.send(format!("{twice}content-length: {}\r\n\r\n{body}", body.len())).await);
    let answer = socket.answer().await.expect("it is whole");
    assert_eq!((answer.status, answer.header("x-tidegate-request-id")), (200, Some("first")));
    assert_eq!(whole(&world, "first").await["state"], "complete");
}
