//! What the gateway tells of itself, and how it ends.

use crate::raw::{Raw, assert_well, chat_request, error_of, soon};
use crate::world::{PROVIDER_KEY, Plan, World, header};
use reqwest::Method;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::observe::{Phase, StoreStatus};
use tidegate::simulator::{FailNext, SimulatorSettings};
use tidegate::tasks::Tasks;
use tokio::net::TcpStream;

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn health_tells_everything_and_no_secret_and_asks_nobody() {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(60),
        concurrent: NonZeroU32::new(4),
        ..Limits::default()
    };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    let answer = world.get("/health").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "application/health+json");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let text = answer.text().await.unwrap();
    assert!(!text.contains(PROVIDER_KEY) && !text.contains("127.0.0.1"), "{text}");
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        keys(&health),
        ["phase", "providers", "queue_depth", "status", "store", "uptime_seconds", "version"]
    );
    assert_eq!((&health["status"], &health["phase"]), (&json!("pass"), &json!("ready")));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health["queue_depth"], json!({"interactive": 0, "normal": 0, "batch": 0}));
    let provider = &health["providers"][0];
    assert_eq!(keys(provider), ["breakers", "budget", "name", "open", "paused_ms"]);
    assert_eq!(
        (&provider["name"], &provider["open"], &provider["paused_ms"]),
        (&json!("a"), &json!(0), &json!(0))
    );
    let limit = json!({"limit": 60, "available": 10, "known": "configured"});
    assert_eq!(provider["budget"], json!({"requests_per_minute": limit}));
    for (path, words) in [("/healthz", "ok\n"), ("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let answer = world.get(path).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, words));
    }
    assert_eq!(world.simulator("a").stats().received, 0);
    for path in ["/health", "/healthz", "/livez", "/readyz", "/metrics"] {
        let answer = world.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "allow").as_str()),
            (405, "GET,HEAD"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_open_breaker_is_a_warning_with_its_reason() {
    let world = Plan::new().provider("a").await.provider("b").await;
    let sick_at_once = |s: &mut tidegate::config::Settings| s.exchange.providers[0].breaker.failures = 1;
    let world = world.route("fast", &["a", "b"]).set(sick_at_once).start().await;
    let status = reqwest::StatusCode::INTERNAL_SERVER_ERROR;
    world.simulator("a").update(|faults| faults.fail_next = Some(FailNext::new(1, status)));
    assert_eq!(world.chat("fast", json!({})).send().await.unwrap().status(), 200);
    let answer = world.get("/health").await;
    assert_eq!(answer.status(), 200, "it still serves");
    let health: Value = answer.json().await.unwrap();
    assert_eq!(health["status"], "warn");
    let (a, b) = (&health["providers"][0], &health["providers"][1]);
    assert_eq!(a["breakers"]["sim"]["state"], "open");
    assert!((1..=30_000).contains(&a["breakers"]["sim"]["admits_in_ms"].as_u64().unwrap()));
    assert_eq!(a["last_error"], json!({"kind": "server_error", "status": 500, "seconds_ago": 0}));
    assert_eq!((&b["breakers"], b.get("last_error")), (&json!({}), None));
    assert_eq!(world.get("/readyz").await.status(), 200);
    assert_well(&world, "fast").await;
    assert_eq!(world.simulator("a").stats().received, 1, "the sick one is left alone");
}

#[tokio::test]
async fn a_failing_store_and_a_failed_reload_are_warnings() {
    let world = World::new().await;
    let vitals = world.daemon.vitals();
    let well = vitals.store();
    vitals.set_store(StoreStatus { healthy: false, detail: "no space".to_owned() });
    assert_eq!(world.health().await["status"], "warn");
    assert_eq!(world.health().await["store"], json!({"healthy": false, "detail": "no space"}));
    vitals.set_store(well);
    vitals.set_reload_error(Some("line 3".to_owned()));
    let health = world.health().await;
    assert_eq!((&health["status"], &health["reload_error"]), (&json!("warn"), &json!("line 3")));
    vitals.set_reload_error(None);
    assert_eq!(world.health().await["status"], "pass");
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn who_waits_and_who_is_served_can_be_seen() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut clients = Vec::new();
    for class in ["normal", "batch", "interactive", "batch"] {
        let mut raw = Raw::connect(&world).await;
        raw.send(chat_request(&format!("x-tidegate-priority: {class}\r\n"))).await;
        let waiting = clients.len() as u64;
        soon(world.until_waiting(waiting)).await;
        world.simulator("a").wait_for(|stats| stats.held == 1).await;
        clients.push(raw);
    }
    let health = world.health().await;
    assert_eq!(health["queue_depth"], json!({"interactive": 1, "normal": 0, "batch": 2}));
    assert_eq!(health["providers"][0]["open"], 1);
    assert_eq!(world.metric("tidegate_queue_depth{priority=\"batch\"}").await, 2.0);
    assert_eq!(world.metric("tidegate_reservations_open{provider=\"a\"}").await, 1.0);
    drop(clients.pop());
    soon(world.until_waiting(2)).await;
    world.simulator("a").update(|faults| faults.gate = false);
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert_well(&world, "sim").await;
}

#[tokio::test]
async fn while_draining_no_new_work_is_taken() {
    let world = World::new().await;
    world.simulator("a").update(|faults| faults.gate = true);
    let mut running = Raw::connect(&world).await;
    running.send(chat_request("")).await;
    world.simulator("a").wait_for(|stats| stats.held == 1).await;
    world.daemon.vitals().enter(Phase::Draining);

    let ready = world.get("/readyz").await;
    assert_eq!((ready.status().as_u16(), ready.text().await.unwrap().as_str()), (503, "draining\n"));
    let health = world.get("/health").await;
    assert_eq!(health.status(), 503);
    let health: Value = health.json().await.unwrap();
    assert_eq!((&health["status"], &health["phase"]), (&json!("fail"), &json!("draining")));
    assert_eq!(world.get("/healthz").await.status(), 200);
    for (method, path) in
        [(Method::POST, "/v1/chat/completions"), (Method::GET, "/v1/models"), (Method::GET, "/v1/echo")]
    {
        let answer = world.request(method, path).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(
            (header(&answer, "retry-after"), header(&answer, "connection")),
            ("1".to_owned(), "close".to_owned())
        );
        let error = error_of(&answer.json().await.unwrap());
        assert_eq!(
            (&error["code"], &error["type"]),
            (&json!("draining"), &json!("service_unavailable_error"))
        );
    }
    assert_eq!(world.metric("tidegate_rejected_total{reason=\"draining\"}").await, 3.0);
    world.simulator("a").update(|faults| faults.gate = false);
    assert_eq!(running.answer().await.unwrap().status, 200, "what runs is finished");
}

#[tokio::test]
async fn a_drain_closes_the_door_and_finishes_what_runs_and_waits() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let world = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await.start().await;
    let provider = world.simulator("a").clone();
    provider.update(|faults| faults.gate = true);
    let (mut running, mut waiting) = (Raw::connect(&world).await, Raw::connect(&world).await);
    running.send(chat_request("")).await;
    provider.wait_for(|stats| stats.held == 1).await;
    waiting.send(chat_request("")).await;
    soon(world.until_waiting(1)).await;
    let mut idle = Raw::connect(&world).await;
    idle.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 200);

    let address = world.base.strip_prefix("http://").unwrap().to_owned();
    let drained = Tasks::new().spawn("drain", world.daemon.drain());
    assert!(idle.is_closed().await, "an idle connection ends at once");
    soon(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
    assert!(!drained.is_finished());
    provider.update(|faults| faults.gate = false);
    for client in [&mut running, &mut waiting] {
        assert_eq!(client.answer().await.unwrap().status, 200);
        assert!(client.is_closed().await);
    }
    assert!(soon(drained).await.unwrap(), "everything was done in time");
    assert_eq!(provider.stats().served, 2);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_breaks_off_what_still_runs() {
    let world =
        Plan::new().provider("a").await.set(|s| s.server.drain = Duration::from_millis(50)).start().await;
    let provider = world.simulator("a").clone();
    provider.update(|faults| faults.stall_after_chunks = Some(2));
    let mut answer = world.chat("sim", json!({"stream": true})).send().await.unwrap();
    provider.wait_for(|stats| stats.held == 1).await;
    assert!(!soon(world.daemon.drain()).await, "not everything was done");
    soon(provider.wait_for(|stats| stats.cancelled == 1)).await;
    while let Ok(chunk) = soon(answer.chunk()).await {
        assert!(chunk.is_some(), "a stream that was broken off does not look complete");
    }
}

#[tokio::test]
async fn who_still_waits_when_a_drain_ends_is_told_so() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let plan = plan.set(|settings| {
        settings.server.drain = Duration::from_millis(50);
        settings.exchange.keepalive.after = Some(Duration::from_millis(1));
    });
    let world = plan.start().await;
    let provider = world.simulator("a").clone();
    provider.update(|faults| faults.gate = true);
    let tasks = Tasks::new();
    let held = tasks.spawn("held", world.chat("sim", json!({})).send());
    soon(provider.wait_for(|stats| stats.held == 1)).await;
    let waiting = tasks.spawn("waiting", world.chat("sim", json!({})).send());
    let kept = soon(world.chat("sim", json!({"stream": true})).send()).await.unwrap();
    assert_eq!(header(&kept, "x-tidegate-kept"), "true");
    soon(world.until_waiting(2)).await;
    assert!(!soon(world.daemon.drain()).await, "not everything was done");
    let kept = soon(kept.text()).await.unwrap();
    assert!(kept.contains("Please try again in 1s.") && kept.contains(r#""code":"draining""#), "{kept}");
    let told = soon(waiting).await.unwrap().unwrap();
    assert_eq!((told.status().as_u16(), header(&told, "retry-after").as_str()), (503, "1"));
    assert_eq!(error_of(&told.json::<Value>().await.unwrap())["code"], "draining");
    assert!(soon(held).await.unwrap().is_err(), "what still ran is broken off");
}
