//! Plans that cross dialects: every client is served by every provider, and neither can tell.

use crate::beside::{canned, soon, until};
use crate::tongues::{CAP, Heard, Question, ask, ends_in_error, hear, hear_stream, request};
use crate::world::{Plan, World, header};
use serde_json::{Value, json};
use std::time::Duration;
use tidegate::clock::Clock;
use tidegate::dialect::Dialect;
use tidegate::simulator::FailNext;

const TONGUES: [Dialect; 4] = Dialect::CONVERSATIONS;

/// A provider for each dialect, named after it, behind a route named after it.
async fn babel() -> World {
    let mut plan = Plan::new();
    for dialect in TONGUES {
        plan = plan.speaking(dialect.name(), &[dialect]).await;
    }
    for dialect in TONGUES {
        plan = plan.route(&format!("via-{dialect}"), &[dialect.name()]);
    }
    plan.start().await
}

/// Asks, and hears what was said.
async fn asked(world: &World, client: Dialect, model: &str, question: Question<'_>) -> (Heard, String) {
    let answer = soon(ask(world, client, model, question).send()).await.expect("the gateway answers");
    let status = answer.status();
    let translated = header(&answer, "x-tidegate-translated");
    let text = soon(answer.text()).await.expect("the connection ends well");
    assert_eq!(status, 200, "{client} of {model}: {text}");
    let heard = if question.stream {
        hear_stream(client, &text)
    } else {
        hear(client, &serde_json::from_str(&text).expect("an answer in one piece is JSON"))
    };
    (heard, translated)
}

/// Every client at every provider, asked the same.
async fn everywhere(question: Question<'_>) {
    let world = babel().await;
    for spoken in TONGUES {
        let model = format!("via-{spoken}");
        let (meant, translated) = asked(&world, spoken, &model, Question { stream: false, ..question }).await;
        assert_eq!(translated, "", "within one dialect nothing is translated");
        assert!(!meant.text.is_empty() || !meant.calls.is_empty(), "{meant:?}");
        for client in TONGUES {
            let (mut heard, translated) = asked(&world, client, &model, question).await;
            if client != spoken {
                assert_eq!(translated, format!("{client} -> {spoken}"));
            }
            if question.stream && client == Dialect::Chat {
                (heard.input, heard.output) = (meant.input, meant.output);
            }
            // A translated system prompt may be framed differently, so the input differs by some tokens.
            assert!(heard.input > 0 && heard.input.abs_diff(meant.input) <= 8, "{heard:?} {meant:?}");
            heard.input = meant.input;
            assert_eq!(heard, meant, "{client} at {spoken}, {question:?}");
        }
    }
}

#[tokio::test]
async fn every_client_hears_what_every_provider_says() {
    everywhere(Question { text: "Say 9 words.", ..Question::default() }).await;
}

#[tokio::test]
async fn every_client_hears_it_streamed() {
    everywhere(Question { text: "Say 9 words.", stream: true, ..Question::default() }).await;
}

#[tokio::test]
async fn every_client_is_told_that_its_cap_was_reached() {
    let long = format!("Say {} words.", CAP * 4);
    everywhere(Question { text: &long, ..Question::default() }).await;
    everywhere(Question { text: &long, stream: true, ..Question::default() }).await;
}

#[tokio::test]
async fn every_client_gets_its_tool_called_by_every_provider() {
    let question = Question { text: "Use the tool.", with_tools: true, stream: false };
    everywhere(question).await;
    everywhere(Question { stream: true, ..question }).await;
}

#[tokio::test]
async fn parallel_calls_arrive_in_order_and_whole() {
    let question = Question { text: "Use two tools.", with_tools: true, stream: true };
    let world = babel().await;
    for spoken in TONGUES {
        for client in TONGUES {
            let (heard, _) = asked(&world, client, &format!("via-{spoken}"), question).await;
            assert_eq!(heard.calls.len(), 2, "{client} at {spoken}: {heard:?}");
            assert!(heard.calls.iter().all(|(name, input)| name == "weather" && input["city"].is_string()));
        }
    }
}

#[tokio::test]
async fn the_mission_first_openai_then_anthropic_then_a_local_model() {
    let plan = Plan::new().provider("openai").await;
    let plan = plan.speaking("anthropic", &[Dialect::Messages]).await.provider("local").await;
    let world = plan.route("best", &["openai", "anthropic", "local"]).start().await;
    for client in TONGUES {
        let question = Question { text: "Say 5 words.", stream: true, ..Question::default() };
        for (failing, served_by) in
            [(&[][..], "openai"), (&["openai"][..], "anthropic"), (&["openai", "anthropic"][..], "local")]
        {
            for provider in failing {
                let next = FailNext::new(1, http::StatusCode::INTERNAL_SERVER_ERROR);
                world.simulator(provider).update(|faults| faults.fail_next = Some(next));
            }
            let answer = soon(ask(&world, client, "best", question).send()).await.unwrap();
            assert_eq!(header(&answer, "x-tidegate-provider"), served_by, "{client}");
            let heard = hear_stream(client, &soon(answer.text()).await.unwrap());
            assert!(!heard.text.is_empty(), "{client} at {served_by}");
        }
    }
}

#[tokio::test]
async fn an_error_before_the_first_byte_fails_over_silently() {
    for spoken in TONGUES {
        let plan = Plan::new().speaking("a", &[spoken]).await.speaking("b", &[spoken]).await;
        let world = plan.route("both", &["a", "b"]).start().await;
        for client in TONGUES {
            // As an event, before anything else of the stream.
            world.simulator("a").update(|faults| faults.error_event_after_chunks = Some(0));
            let question = Question { text: "Say 5 words.", stream: true, ..Question::default() };
            let answer = soon(ask(&world, client, "both", question).send()).await.unwrap();
            assert_eq!(header(&answer, "x-tidegate-provider"), "b", "{client} at {spoken}");
            let heard = hear_stream(client, &soon(answer.text()).await.unwrap());
            assert_eq!(heard.stop, "end", "{client} at {spoken}");
            world.simulator("a").update(|faults| faults.error_event_after_chunks = None);
        }
    }
}

#[tokio::test]
async fn an_error_after_the_first_byte_arrives_as_the_clients_own() {
    for client in TONGUES {
        for spoken in TONGUES {
            let world = Plan::new().speaking("a", &[spoken]).await.start().await;
            let question = Question { text: "Say 9 words.", stream: true, ..Question::default() };
            type Break = fn(&mut tidegate::simulator::Faults);
            let breaks: [(&str, Break); 3] = [
                ("error event", |faults| faults.error_event_after_chunks = Some(3)),
                ("cut", |faults| faults.cut_after_chunks = Some(3)),
                ("clean end", |faults| faults.end_after_chunks = Some(3)),
            ];
            for (name, fault) in breaks {
                world.simulator("a").reset();
                world.simulator("a").update(fault);
                let answer = soon(ask(&world, client, "sim", question).send()).await.unwrap();
                assert_eq!(answer.status(), 200);
                let text = soon(answer.text()).await.expect("the connection itself ends well");
                assert!(ends_in_error(client, &text), "{client} at {spoken}, {name}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_stalled_stream_ends_in_the_clients_own_error() {
    for client in TONGUES {
        let plan = Plan::new().speaking("a", &[Dialect::Messages]).await.set(|settings| {
            settings.exchange.providers[0].upstream.idle_timeout = Duration::from_millis(100);
        });
        let world = plan.start().await;
        world.simulator("a").update(|faults| faults.stall_after_chunks = Some(4));
        let question = Question { text: "Say 9 words.", stream: true, ..Question::default() };
        let answer = soon(ask(&world, client, "sim", question).send()).await.unwrap();
        let text = soon(answer.text()).await.unwrap();
        assert!(ends_in_error(client, &text), "{client}: {text}");
        soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    }
}

#[tokio::test]
async fn who_leaves_cancels_upstream_at_once_whatever_is_spoken() {
    for (client, spoken) in TONGUES.into_iter().flat_map(|c| TONGUES.into_iter().map(move |s| (c, s))) {
        let world = Plan::new().speaking("a", &[spoken]).await.start().await;
        // Behind the first words in every dialect: those before them mean nothing to some clients.
        world.simulator("a").update(|faults| faults.stall_after_chunks = Some(7));
        let question = Question { text: "Say 9 words.", stream: true, ..Question::default() };
        let mut answer = soon(ask(&world, client, "sim", question).send()).await.unwrap();
        soon(answer.chunk()).await.expect("the stream has begun");
        soon(world.simulator("a").wait_for(|stats| stats.held == 1)).await;
        let clock = Clock::start();
        drop(answer);
        soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
        let took = clock.now().since(tidegate::units::Moment::START);
        assert!(took < Duration::from_millis(100), "{client} at {spoken}: {took:?}");
        until(&world, |health| health["providers"][0]["open"] == 0).await;
    }
}

#[tokio::test]
async fn a_refusal_of_another_dialects_provider_comes_in_the_clients_shape() {
    for spoken in TONGUES {
        let world = Plan::new().speaking("a", &[spoken]).await.start().await;
        for client in TONGUES {
            let next = FailNext::new(1, http::StatusCode::BAD_REQUEST);
            world.simulator("a").update(|faults| faults.fail_next = Some(next));
            let question = Question { text: "hello", ..Question::default() };
            let answer = soon(ask(&world, client, "sim", question).send()).await.unwrap();
            assert_eq!(answer.status(), 400);
            let error: Value = answer.json().await.expect("a refusal is JSON");
            match client {
                Dialect::Messages => {
                    assert_eq!(error["type"], "error", "{error}");
                    assert_eq!(error["error"]["type"], "invalid_request_error");
                }
                Dialect::Gemini => assert_eq!(error["error"]["status"], "INVALID_ARGUMENT", "{error}"),
                _ => assert!(
                    error["error"]["param"].is_null() && error["error"]["type"].is_string(),
                    "{error}"
                ),
            }
            assert!(error["error"]["message"].as_str().unwrap().contains("told to refuse"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_an_error_never_reaches_another_dialects_client_as_html() {
    let plan = Plan::new().speaking("a", &[Dialect::Messages]).await;
    let world = plan.set(|settings| settings.exchange.retry.attempts_max = 1).start().await;
    world.simulator("a").update(|faults| {
        faults.html_errors = true;
        faults.fail_next = Some(FailNext::new(9, http::StatusCode::BAD_GATEWAY));
    });
    let question = Question { text: "hello", ..Question::default() };
    let answer = soon(ask(&world, Dialect::Chat, "sim", question).send()).await.unwrap();
    let status = answer.status();
    let error: Value = answer.json().await.expect("it is JSON");
    assert_eq!(status, 502);
    assert!(error["error"]["message"].as_str().unwrap().contains("Bad Gateway"), "{error}");
}

/// A body with something that Anthropic's dialect cannot say.
fn with_audio(model: &str) -> Value {
    let (_, mut body) = request(Dialect::Chat, model, Question { text: "listen", ..Question::default() });
    body["messages"][1]["content"] = json!([
        {"type": "text", "text": "What is said?"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]);
    body
}

#[tokio::test]
async fn a_target_that_cannot_be_told_is_skipped_and_the_answer_says_why() {
    let plan = Plan::new().speaking("anthropic", &[Dialect::Messages]).await.provider("openai").await;
    let plan = plan.route("first-cannot", &["anthropic", "openai"]).route("none-can", &["anthropic"]);
    let world = plan.route("second-cannot", &["openai", "anthropic"]).start().await;
    let post = |model: &str| world.post("/v1/chat/completions", with_audio(model).to_string());
    let answer = soon(post("first-cannot")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-tidegate-provider"), "openai");
    assert_eq!(header(&answer, "x-tidegate-skipped"), "anthropic/sim (audio input)");
    let answer = soon(post("none-can")).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(header(&answer, "x-should-retry"), "false");
    let error: Value = answer.json().await.unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("audio input"), "{error}");
    // The one that could was asked and failed: its words are what the client gets.
    let next = FailNext::new(9, http::StatusCode::TOO_MANY_REQUESTS)
        .with_header(http::header::RETRY_AFTER, http::HeaderValue::from_static("86400"));
    world.simulator("openai").update(|faults| faults.fail_next = Some(next));
    let answer = soon(post("second-cannot")).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(header(&answer, "x-tidegate-skipped"), "anthropic/sim (audio input)");
    assert_eq!(world.simulator("anthropic").stats().received, 0);
}

#[tokio::test]
async fn what_a_translation_drops_is_named() {
    let world = Plan::new().speaking("a", &[Dialect::Messages]).await.start().await;
    let (_, mut body) = request(Dialect::Chat, "sim", Question { text: "hello", ..Question::default() });
    body["seed"] = json!(7);
    body["logit_bias"] = json!({"50256": -100});
    let answer = soon(world.post("/v1/chat/completions", body.to_string())).await;
    assert_eq!(answer.status(), 200);
    let dropped = header(&answer, "x-tidegate-dropped");
    assert!(dropped.contains("seed") && dropped.contains("logit_bias"), "{dropped}");
}

#[tokio::test]
async fn an_answer_that_is_none_fails_over() {
    let body = r#"{"hello":"world"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let (plan, _) = canned(Plan::new(), "a", answer).await;
    let world = plan.provider("b").await.route("both", &["a", "b"]).start().await;
    let question = Question { text: "hello", ..Question::default() };
    let answer = soon(ask(&world, Dialect::Messages, "both", question).send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-tidegate-provider"), "b");
}

#[tokio::test]
async fn no_header_of_the_clients_dialect_travels_into_another() {
    let world = Plan::new().provider("a").await.start().await;
    let question = Question { text: "hello", ..Question::default() };
    let request = ask(&world, Dialect::Messages, "sim", question)
        .header("anthropic-beta", "interleaved-thinking-2025-05-14")
        .header("x-api-key", "sk-ant-client")
        .header("x-stainless-lang", "js");
    assert_eq!(soon(request.send()).await.unwrap().status(), 200);
    let seen = world.simulator("a").stats().last_request.expect("it was asked");
    for name in ["anthropic-beta", "anthropic-version", "x-api-key", "x-stainless-lang"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_translated_exchange_settles_on_the_providers_count() {
    let world = Plan::new().speaking("a", &[Dialect::Messages]).await.start().await;
    for stream in [false, true] {
        let question = Question { text: "Say 9 words.", stream, ..Question::default() };
        let before = world.metric(r#"tidegate_tokens_total{provider="a",type="output"}"#).await;
        let (heard, _) = asked(&world, Dialect::Responses, "sim", question).await;
        until(&world, |health| health["providers"][0]["open"] == 0).await;
        let after = world.metric(r#"tidegate_tokens_total{provider="a",type="output"}"#).await;
        #[expect(clippy::cast_precision_loss, reason = "a few tokens")]
        let output = heard.output as f64;
        assert_eq!(after - before, output, "stream {stream}");
    }
}
