//! No key, of the gateway's or of a client's, in anything that leaves: answers, health, metrics, log.

use crate::raw::{provider_at, soon};
use crate::world::{PROVIDER_KEY, Plan, World, chat_body, header};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tidegate::admission::Limits;
use tidegate::secret::Secret;
use tidegate::simulator::{FailNext, Faults, SimulatorSettings};
use tracing_subscriber::fmt::MakeWriter;

const CLIENT_KEY: &str = "sk-canary-of-the-client";
const PROMPT: &str = "canary in the prompt";

/// A person, by whatever way a client tells of one.
const USER: &str = "canary-ann-of-accounting";

/// Everything that is logged, by the worlds of other tests too: they hold the same key.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;
    fn make_writer(&self) -> Log {
        self.clone()
    }
}

/// A text without any key: plain, percent-encoded or in base64.
#[track_caller]
fn check(what: &str, text: &str) {
    for key in [
        PROVIDER_KEY,
        CLIENT_KEY,
        USER,
        "c2stcHJvdmlkZXIta2V5",
        "c2stY2FuYXJ5",
        "sk%2Dprovider",
        "sk%2Dcanary",
    ] {
        assert!(!text.contains(key), "{what} holds {key}: {text}");
    }
}

/// Asks in every way, and looks at everything that comes back.
async fn look_everywhere(world: &World) {
    let call = |more| {
        let mut body = chat_body("sim", more);
        body["messages"][0]["content"] = json!(PROMPT);
        body["user"] = json!(USER);
        world.request(reqwest::Method::POST, "/v1/chat/completions").json(&body)
    };
    let claude = json!({"model": "sim", "max_tokens": 3, "metadata": {"user_id": USER}, "system": USER,
        "messages": [{"role": "user", "content": PROMPT}]});
    let claude = world.request(reqwest::Method::POST, "/v1/messages").json(&claude);
    let calls = [
        call(json!({"max_tokens": 3})),
        call(json!({"max_tokens": 3, "stream": true})),
        call(json!({"max_tokens": 3, "safety_identifier": USER})),
        claude,
        world.request(reqwest::Method::POST, &format!("/v1/files?key={CLIENT_KEY}")).body("x"),
        world.request(reqwest::Method::GET, "/v1/models/nobody"),
    ];
    let signs = ["x-tidegate-client", "x-claude-code-session-id", "session_id", "none"];
    for (request, sign) in calls.into_iter().zip(signs.into_iter().cycle()) {
        let request = request.header(sign, USER);
        let request =
            request.bearer_auth(CLIENT_KEY).header("x-api-key", CLIENT_KEY).header("cookie", CLIENT_KEY);
        let answer = soon(request.send()).await.expect("the gateway answers");
        check("a head", &format!("{:?}", answer.headers()));
        // A body that breaks off shows nothing that it has not shown before.
        let id = header(&answer, "x-tidegate-request-id");
        check("a body", &soon(answer.text()).await.unwrap_or_default());
        let story = world.get(&format!("/admin/exchanges/{id}")).await.text().await.expect("it is text");
        check("a story", &story);
        assert!(!story.contains(PROMPT), "a prompt is in a story: {story}");
    }
    assert_ne!(
        world.get("/admin/exchanges").await.text().await.expect("it is text").matches("attempts").count(),
        0
    );
    for path in ["/health", "/metrics", "/admin/exchanges"] {
        check(path, &world.get(path).await.text().await.expect("it is text"));
    }
    check("the daemon", &format!("{:?} {:?}", world.daemon, world.daemon.settings()));
}

#[tokio::test]
async fn no_key_is_in_anything_that_leaves() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false);
    let subscriber = subscriber.with_max_level(tracing::Level::TRACE).finish();
    // For the whole process: one for this thread alone would miss what another thread was first to log.
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");

    let quick = |settings: &mut tidegate::config::Settings| {
        settings.exchange.retry.delay = Duration::from_millis(1);
        settings.exchange.retry.attempts_max = 2;
        let (after, every) = (Some(Duration::from_millis(20)), Duration::from_millis(5));
        settings.exchange.keepalive = tidegate::exchange::KeepAlive { after, every };
        settings.exchange.queue.max_wait = Duration::from_millis(50);
        settings.exchange.providers[0].breaker.failures = 1_000;
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(50);
        settings.exchange.providers[0].upstream.idle_timeout = Duration::from_millis(50);
    };
    let fail = |status: u16| {
        let status = StatusCode::from_u16(status).expect("a status");
        Faults { fail_next: Some(FailNext::new(100, status)), ..Faults::default() }
    };
    let faults = [
        Faults::default(),
        fail(400),
        fail(401),
        fail(402),
        fail(404),
        fail(429),
        fail(500),
        Faults { html_errors: true, ..fail(502) },
        Faults { refuse: true, ..Faults::default() },
        Faults { hang: true, ..Faults::default() },
        Faults { cut_after_chunks: Some(2), ..Faults::default() },
        Faults { stall_after_chunks: Some(2), ..Faults::default() },
        Faults { error_event_after_chunks: Some(2), ..Faults::default() },
        Faults { error_event_after_chunks: Some(0), ..Faults::default() },
        Faults { garbage_after_chunks: Some(1), ..Faults::default() },
    ];
    for faults in faults {
        let behaviour = SimulatorSettings { faults, ..SimulatorSettings::unlimited() };
        let plan = Plan::new().provider_with("a", Limits::default(), behaviour).await;
        look_everywhere(&plan.set(quick).start().await).await;
    }
    // The key is not the provider's; the provider is not there; it is no TLS.
    let stranger =
        SimulatorSettings { key: Some(Secret::new("another".to_owned())), ..SimulatorSettings::unlimited() };
    let world = Plan::new().provider_with("a", Limits::default(), stranger).await.set(quick).start().await;
    look_everywhere(&world).await;
    world.kill_provider("a").await;
    look_everywhere(&world).await;
    let plain = format!("{}/v1", world.base).replace("http:", "https:");
    let at = provider_at("a", &plain, Limits::default());
    look_everywhere(&Plan::new().set(|s| s.exchange.providers.push(at)).set(quick).start().await).await;

    let log = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(log.matches("exchange").count() > 30, "nobody listened: {} bytes", log.len());
    check("the log", &log);
    assert!(!log.contains(PROMPT), "a prompt was logged");
}
