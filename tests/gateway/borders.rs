//! Where dialects, rules and providers meet: what is told of whom, which path and key a request takes, and what is
//! settled when an exchange goes another way than planned.

use crate::beside::{canned, provider, soon, until, whole};
use crate::tongues::{CAP, Question, ask, request};
use crate::world::{Plan, World, header};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::admission::{Counting, Limits};
use tidegate::dialect::Dialect;
use tidegate::simulator::FailNext;
use tidegate::upstream::{AuthScheme, Spoken};

const HELLO: Question<'_> = Question { text: "Say 6 words.", stream: false, with_tools: false };

async fn text(answer: Response) -> String {
    soon(answer.text()).await.expect("the connection ends well")
}

/// A chat call that Anthropic's dialect has no words for.
fn with_audio(model: &str) -> String {
    let (_, mut body) = request(Dialect::Chat, model, HELLO);
    body["messages"][1]["content"] =
        json!([{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]);
    body.to_string()
}

#[tokio::test]
async fn a_refusal_names_who_refused_and_not_who_could_not_be_asked() {
    let plan = Plan::new().provider("a").await.speaking("b", &[Dialect::Messages]).await;
    let world = plan.route("both", &["a", "b"]).start().await;
    world.simulator("a").update(|faults| {
        faults.fail_next = Some(FailNext::new(1, http::StatusCode::PAYMENT_REQUIRED));
    });
    let answer = soon(world.post("/v1/chat/completions", with_audio("both"))).await;
    assert_eq!(answer.status(), 402);
    assert_eq!(header(&answer, "x-tidegate-provider"), "a");
    assert_eq!(header(&answer, "x-tidegate-target"), "a/sim");
    assert_eq!(header(&answer, "x-tidegate-attempts"), "1");
    assert_eq!(header(&answer, "x-tidegate-skipped"), "b/sim (audio input)");
    assert_eq!(header(&answer, "x-should-retry"), "false", "money does not come by asking again");
    let b_refused = r#"tidegate_requests_total{dialect="chat",provider="b",status="4xx"}"#;
    assert_eq!(world.metric(b_refused).await, 0.0);
}

#[tokio::test]
async fn a_silence_stays_a_silence_though_another_could_not_be_asked() {
    let plan = Plan::new().provider("a").await.speaking("b", &[Dialect::Messages]).await.set(|settings| {
        settings.exchange.providers[0].upstream.first_byte_timeout = Duration::from_millis(50);
        // Nobody is asked a second time before the deadline.
        let years = Duration::from_secs(1 << 40);
        (settings.exchange.retry.delay, settings.exchange.retry.delay_max) = (years, years);
    });
    let world = plan.route("both", &["a", "b"]).start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    let answer = soon(world.post("/v1/chat/completions", with_audio("both"))).await;
    assert_eq!(answer.status(), 504);
}

#[tokio::test]
async fn a_model_named_after_a_directory_leads_nowhere_else() {
    let plan = Plan::new().provider("a").await.set(|settings| {
        let upstream = &mut settings.exchange.providers[0].upstream;
        upstream.spoken[0].path = "/deployments/{model}/chat/completions".to_owned();
    });
    let world = plan.start().await;
    for model in ["a/..", "a/.", "a/%2e%2e"] {
        let answer = soon(world.chat(model, json!({})).send()).await.unwrap();
        assert_ne!(answer.status(), 200, "{model}");
        let seen = world.simulator("a").stats().last_request.expect("it was asked");
        assert!(seen.path.starts_with("/v1/deployments/%25"), "{model}: {}", seen.path);
    }
}

#[tokio::test]
async fn a_model_named_as_google_names_its_resources_is_not_nested_twice() {
    let world = Plan::new().speaking("a", &[Dialect::Gemini]).await.start().await;
    for client in [Dialect::Messages, Dialect::Gemini] {
        let model = if client == Dialect::Gemini { "a%2Fmodels%2Fsim" } else { "a/models/sim" };
        drop(soon(ask(&world, client, model, HELLO).send()).await.unwrap());
        let seen = world.simulator("a").stats().last_request.expect("it was asked");
        assert_eq!(seen.path, "/v1beta/models/sim:generateContent", "{client}");
    }
}

/// A provider of chat that speaks Anthropic's messages elsewhere and under another header.
async fn two_surfaces() -> World {
    let plan = Plan::new().provider("a").await.set(|settings| {
        settings.exchange.providers[0].upstream.spoken.push(Spoken {
            path: "/echo/anthropic/messages".to_owned(),
            auth: Some(AuthScheme::XApiKey),
            ..Spoken::usual(Dialect::Messages)
        });
    });
    plan.start().await
}

#[tokio::test]
async fn what_is_passed_on_takes_the_path_and_the_header_of_its_dialect() {
    let world = two_surfaces().await;
    let seen: Value = soon(world.get("/v1/messages/batches?limit=2")).await.json().await.unwrap();
    assert_eq!(
        (&seen["path"], &seen["query"]),
        (&json!("/v1/echo/anthropic/messages/batches"), &json!("limit=2"))
    );
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    assert!(seen.header("x-api-key").is_some() && seen.header("authorization").is_none(), "{seen:?}");
    drop(soon(world.get("/v1/chat/completions/chatcmpl-1")).await);
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    assert_eq!(seen.path, "/v1/chat/completions/chatcmpl-1");
    assert!(seen.header("authorization").is_some() && seen.header("x-api-key").is_none(), "{seen:?}");
}

#[tokio::test]
async fn counting_never_asks_a_provider_to_generate() {
    for (path, model) in [("/models/fixed", "sim"), ("/models/{model}:{verb}", "a%2FgenerateContent")] {
        let plan = Plan::new().speaking("a", &[Dialect::Gemini]).await.set(|settings| {
            settings.exchange.providers[0].upstream.spoken[0].path = path.to_owned();
        });
        let world = plan.start().await;
        let (_, body) = request(Dialect::Gemini, "sim", HELLO);
        let answer = soon(world.post(&format!("/v1beta/models/{model}:countTokens"), body.to_string())).await;
        assert_eq!(answer.status(), 200, "{path}");
        let seen = world.simulator("a").stats().last_request.map(|seen| seen.path);
        let asked = (model != "sim").then(|| "/v1beta/models/generateContent:countTokens".to_owned());
        assert_eq!(seen, asked);
    }
}

#[tokio::test]
async fn no_form_of_a_clients_credential_goes_on() {
    let world = World::new().await;
    let query = "api-key=canary&api_key=canary&oauth_token=canary&x-goog-api-key=canary&Api%2DKey=canary&x=1";
    for path in ["/v1/chat/completions", "/v1/echo"] {
        let (_, body) = request(Dialect::Chat, "sim", HELLO);
        let mut request = world.request(Method::POST, &format!("{path}?{query}")).json(&body);
        for name in [
            "x-auth-token",
            "x-amz-security-token",
            "x-goog-iam-authorization-token",
            "x-litellm-api-key",
            "ocp-apim-subscription-key",
            "cf-aig-authorization",
            "chatgpt-account-id",
            "x-goog-user-project",
        ] {
            request = request.header(name, "canary");
        }
        assert_eq!(soon(request.send()).await.unwrap().status(), 200, "{path}");
        let seen = world.simulator("a").stats().last_request.expect("it was asked");
        assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
        assert!(format!("{seen:?}").contains("x=1"), "{seen:?}");
    }
}

#[tokio::test]
async fn what_is_turned_away_is_told_in_the_shape_of_its_path() {
    let world = World::new().await;
    for (path, family) in [
        ("/v1/messages", "anthropic"),
        ("/messages/count_tokens", "anthropic"),
        ("/v1/threads/t/messages", "openai"),
        ("/v1/chat/completions/c/messages", "openai"),
        ("/v1/chat/completions", "openai"),
        ("/v1beta/openai/chat/completions", "openai"),
        ("/v1beta/models/m:generateContent", "gemini"),
        ("/v1/models/m:countTokens", "gemini"),
        ("/models/m:embedContent", "gemini"),
        ("/v1/models/m:batchEmbedContents", "gemini"),
    ] {
        let request = world.request(Method::POST, path).header("origin", "http://evil.example").body("{}");
        let answer = soon(request.send()).await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
        let error: Value = answer.json().await.unwrap();
        let told = match (&error["type"], &error["error"]["status"]) {
            (Value::String(_), _) => "anthropic",
            (_, Value::String(_)) => "gemini",
            _ => "openai",
        };
        assert_eq!(told, family, "{path}: {error}");
    }
}

/// A provider that gives nothing back of what it charges at admission.
async fn keeping(behind: &[&str]) -> Plan {
    let limits = Limits {
        output_tokens_per_minute: NonZeroU32::new(60_000),
        burst_tokens: NonZeroU32::new(60_000),
        ..Limits::default()
    };
    let mut plan = Plan::new().provider("a").await;
    for name in behind {
        plan = plan.provider(name).await;
    }
    plan.set(|settings| {
        settings.exchange.providers[0].limits = limits;
        settings.exchange.providers[0].counting = Counting { gives_back: false, ..Counting::USUAL };
        settings.exchange.retry.attempts_max = 2;
    })
}

/// Output tokens taken, of 60,000. A token a millisecond comes back.
async fn taken(world: &World) -> i64 {
    let health = until(world, |health| provider(health, "a")["open"] == 0).await;
    60_000
        - provider(&health, "a")["budget"]["output_tokens_per_minute"]["available"]
            .as_i64()
            .expect("a number")
}

#[tokio::test]
async fn what_is_not_given_back_stays_charged_when_the_provider_failed_after_it_took_the_call() {
    let plan = keeping(&["b"]).await.route("both", &["a", "b"]);
    let world = plan.start().await;
    let call = |stream: bool| world.chat("both", json!({"max_tokens": 50_000, "stream": stream})).send();
    world.simulator("a").update(|faults| {
        faults.fail_next = Some(FailNext::new(1, http::StatusCode::INTERNAL_SERVER_ERROR));
    });
    assert_eq!(header(&soon(call(false)).await.unwrap(), "x-tidegate-provider"), "b");
    assert!(taken(&world).await > 30_000);
    // What it would not even look at it has not charged.
    let world = keeping(&[]).await.start().await;
    let next = FailNext::new(1, http::StatusCode::BAD_REQUEST);
    world.simulator("a").update(|faults| faults.fail_next = Some(next));
    let answer = soon(world.chat("sim", json!({"max_tokens": 50_000})).send()).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(taken(&world).await < 1_000);
}

#[tokio::test]
async fn a_tally_above_the_truth_is_given_back_where_only_what_was_charged_ahead_is_kept() {
    // Many deltas of a letter each are counted as many tokens; the provider says how many there were.
    let chunk = r#"data: {"id":"1","choices":[{"index":0,"delta":{"content":"x"}}]}"#;
    let usage = concat!(
        r#"data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1000}}"#,
        "\n\ndata: [DONE]\n\n"
    );
    let sent = format!("{}{usage}", format!("{chunk}\n\n").repeat(40_000));
    let at = canned(Plan::new(), "b", whole("200 OK", "text/event-stream", &sent)).await.0;
    let address = at.settings.exchange.providers[0].upstream.base_url.clone();
    let plan = keeping(&[]).await.set(|settings| settings.exchange.providers[0].upstream.base_url = address);
    let world = plan.start().await;
    let request = world.chat("sim", json!({"max_tokens": CAP, "stream": true})).send();
    drop(text(soon(request).await.unwrap()).await);
    let taken = taken(&world).await;
    assert!(taken <= 1_000, "{taken}");
}

#[tokio::test]
async fn a_provider_that_cannot_count_in_time_leaves_it_to_the_estimator() {
    let world = Plan::new().speaking("a", &[Dialect::Messages]).await.start().await;
    world.simulator("a").update(|faults| faults.hang = true);
    let (_, body) = request(Dialect::Messages, "sim", HELLO);
    let answer = soon(world.post("/v1/messages/count_tokens", body.to_string())).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-tidegate-counted-by")),
        (200, "tidegate".into())
    );
    // A page is no number either.
    let (plan, _) = canned(Plan::new(), "a", whole("200 OK", "text/html", "<html>")).await;
    let messages = vec![Spoken::usual(Dialect::Messages)];
    let world = plan.set(|settings| settings.exchange.providers[0].upstream.spoken = messages).start().await;
    let answer = soon(world.post("/v1/messages/count_tokens", body.to_string())).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-tidegate-counted-by")),
        (200, "tidegate".into())
    );
}

#[tokio::test]
async fn a_wish_for_a_tunnel_is_passed_on_without_one() {
    let world = Plan::new().speaking("a", &[Dialect::Responses]).await.start().await;
    let request = world
        .request(Method::GET, "/v1/echo")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "realtime, openai-insecure-api-key.canary");
    let answer = soon(request.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    assert!(seen.header("upgrade").is_none() && !format!("{seen:?}").contains("canary"), "{seen:?}");
}

#[tokio::test]
async fn who_says_the_version_in_the_settings_is_heard() {
    let world = Plan::new()
        .speaking("a", &[Dialect::Messages])
        .await
        .set(|settings| {
            let headers = &mut settings.exchange.providers[0].upstream.headers;
            headers.add("anthropic-version", "2099-01-01").expect("a plain header");
        })
        .start()
        .await;
    drop(soon(ask(&world, Dialect::Chat, "sim", HELLO).send()).await.unwrap());
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    assert_eq!(seen.header("anthropic-version"), Some("2099-01-01"));
}
