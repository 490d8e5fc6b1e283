//! What outlives the daemon: spent limits and open breakers stay over a restart, and a store that cannot be
//! used stops nothing but a second daemon.

use crate::beside::{provider, queued, soon, until};
use crate::world::{Plan, World, header};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::daemon::{Daemon, StartError};
use tidegate::simulator::SimulatorSettings;

/// One provider `a`, of which one request in half a second may pass, and a store in the directory.
async fn plan(store: &Path) -> Plan {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(120),
        burst_requests: NonZeroU32::new(1),
        tokens_per_day: NonZeroU32::new(10_000),
        ..Limits::default()
    };
    let plan = Plan::new().provider_with("a", limits, SimulatorSettings::unlimited()).await;
    let store = store.to_owned();
    plan.set(|settings| {
        settings.store.path = Some(store);
        // Often, so that the last one meets others that are still being written.
        settings.store.checkpoint_every = Duration::from_millis(1);
    })
}

fn available(health: &Value, limit: &str) -> i64 {
    provider(health, "a")["budget"][limit]["available"].as_i64().expect("a number")
}

#[tokio::test]
async fn a_restart_is_no_amnesty() {
    let store = tempfile::tempdir().unwrap();
    let world = plan(store.path()).await.start().await;
    assert_eq!(world.chat("sim", json!({"max_tokens": 500})).send().await.unwrap().status(), 200);
    let before =
        available(&until(&world, |health| provider(health, "a")["open"] == 0).await, "tokens_per_day");
    assert!((9_900..9_990).contains(&before), "{before}");
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = plan(store.path()).await.start().await;
    let health = world.health().await;
    assert_eq!(health["store"]["detail"], store.path().display().to_string());
    let after = available(&health, "tokens_per_day");
    assert!((before..before + 50).contains(&after), "{before} became {after}");
    let answer = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(queued(&answer) <= 1_000, "the time between counts: {}", queued(&answer));
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_goes_on_after_a_restart() {
    let store = tempfile::tempdir().unwrap();
    let world = plan(store.path()).await.start().await;
    let mut refusal = tidegate::simulator::FailNext::new(1, reqwest::StatusCode::TOO_MANY_REQUESTS);
    refusal.headers.insert("retry-after", 200.into());
    world.simulator("a").update(|faults| faults.fail_next = Some(refusal));
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 429);
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = plan(store.path()).await.start().await;
    let detail = world.health().await["store"]["detail"].clone();
    let refusal = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!(refusal.status(), 429, "{detail}");
    let seconds: u64 = header(&refusal, "retry-after").parse().unwrap();
    assert!((150..=200).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_breaker_that_was_open_stays_open_over_a_restart() {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().to_owned();
    let settings =
        move |plan: Plan| plan.route("both", &["a", "b"]).set(|settings| settings.store.path = Some(path));
    let world = settings.clone()(Plan::new().provider("a").await.provider("b").await).start().await;
    world.simulator("a").update(|faults| faults.error_rate = 1.0);
    for _ in 0..3 {
        assert_eq!(world.chat("both", json!({})).send().await.unwrap().status(), 200);
    }
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let world = settings(Plan::new().provider("a").await.provider("b").await).start().await;
    let breaker = provider(&world.health().await, "a")["breakers"]["sim"].clone();
    assert_eq!(breaker["state"], "open");
    assert!((15_000..=30_000).contains(&breaker["admits_in_ms"].as_u64().unwrap()), "{breaker}");
    let answer = world.chat("both", json!({})).send().await.unwrap();
    assert_eq!(header(&answer, "x-tidegate-provider"), "b");
    assert_eq!(world.simulator("a").stats().received, 0);
}

#[tokio::test]
async fn a_second_daemon_on_the_same_directory_is_refused() {
    let store = tempfile::tempdir().unwrap();
    let world = plan(store.path()).await.start().await;
    let second = plan(store.path()).await;
    let refused = soon(Daemon::start(second.settings, Vec::new())).await;
    let error = refused.expect_err("the directory is in use");
    assert!(matches!(error, StartError::Locked(_)), "{error:?}");
    assert_eq!(error.exit_code(), 75);
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200, "the first goes on");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_moved_aside_and_told() {
    let store = tempfile::tempdir().unwrap();
    let world = plan(store.path()).await.start().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
    let World { daemon, .. } = world;
    assert!(soon(daemon.drain()).await);
    let data = store.path().join("state/db");
    let length = std::fs::metadata(&data).unwrap().len();
    std::fs::write(&data, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    let world = plan(store.path()).await.start().await;
    let health = world.health().await;
    let detail = health["store"]["detail"].as_str().unwrap();
    assert!(detail.contains("was moved to") && detail.contains("state.corrupt-"), "{detail}");
    let answer = world.chat("sim", json!({})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), queued(&answer)), (200, 0));
    assert_eq!(world.metric("tidegate_store_healthy").await, 1.0, "the fresh one works");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_costs_the_memory_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("a file");
    std::fs::write(&store, "").unwrap();
    let world = plan(&store).await.start().await;
    let health = world.health().await;
    assert_eq!((&health["status"], &health["store"]["healthy"]), (&json!("warn"), &json!(false)));
    assert!(health["store"]["detail"].as_str().unwrap().contains("will be forgotten"), "{health}");
    assert_eq!(world.metric("tidegate_store_healthy").await, 0.0);
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_checkpoint_is_written_while_it_serves() {
    let store = tempfile::tempdir().unwrap();
    let world = plan(store.path()).await.start().await;
    assert_eq!(world.chat("sim", json!({})).send().await.unwrap().status(), 200);
    soon(async {
        while world.metric("tidegate_checkpoints_total").await < 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
