//! Gemini's own interface.

use crate::world::{World, events_of, json_of};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tidegate::simulator::{FailNext, Faults, SimulatedLimits};

/// A body that says hello, its keys replaced by or joined with these.
fn body(more: &Value) -> String {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

async fn verb(world: &World, verb: &str, more: &Value) -> Response {
    world.post(&format!("/v1beta/models/sim:{verb}"), body(more)).await
}

async fn whole(world: &World, more: &Value) -> Value {
    let response = verb(world, "generateContent", more).await;
    assert_eq!(response.status(), 200);
    json_of(response).await
}

async fn streamed(world: &World, more: &Value) -> Vec<Value> {
    let (events, clean) = events_of(verb(world, "streamGenerateContent?alt=sse", more).await).await;
    assert!(clean);
    events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

fn parts(chunks: &[Value]) -> Vec<&Value> {
    let parts = chunks.iter().map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().unwrap());
    parts.flatten().collect()
}

fn text(parts: &[&Value], thought: bool) -> String {
    let said = parts.iter().filter(|part| part.get("thought").is_some() == thought);
    said.filter_map(|part| part["text"].as_str()).collect()
}

fn functions(names: &[&str]) -> Value {
    let declare = |name: &&str| {
        json!({"name": name, "parameters": {
            "type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}})
    };
    json!([{"functionDeclarations": names.iter().map(declare).collect::<Vec<_>>()}])
}

fn says(text: &str) -> Value {
    json!([{"role": "user", "parts": [{"text": text}]}])
}

#[tokio::test]
async fn an_answer_has_everything_that_the_sdks_read() {
    let world = World::new().await;
    let response = verb(&world, "generateContent", &json!({})).await;
    assert!(response.headers().keys().all(|name| !name.as_str().contains("ratelimit")));
    let answer = json_of(response).await;
    let candidate = &answer["candidates"][0];
    assert_eq!((&candidate["finishReason"], &candidate["index"]), (&json!("STOP"), &json!(0)));
    assert_eq!(candidate["content"]["role"], "model");
    assert!(candidate["content"]["parts"][0]["text"].as_str().unwrap().contains("You said: hello"));
    let usage = &answer["usageMetadata"];
    assert_eq!((&usage["promptTokenCount"], &usage["candidatesTokenCount"]), (&json!(5), &json!(40)));
    assert_eq!((&usage["totalTokenCount"], &answer["modelVersion"]), (&json!(45), &json!("sim")));
    assert!(answer["responseId"].is_string());
}

#[tokio::test]
async fn a_stream_says_the_same_and_counts_up() {
    let world = World::new().await;
    let answer = whole(&world, &json!({})).await;
    let chunks = streamed(&world, &json!({})).await;
    assert_eq!(text(&parts(&chunks), false), text(&parts(&[answer]), false));
    let counts: Vec<_> =
        chunks.iter().map(|chunk| chunk["usageMetadata"]["candidatesTokenCount"].as_u64().unwrap()).collect();
    assert_eq!(counts, (1..=40).chain([40]).collect::<Vec<_>>());
    let finished = chunks.iter().filter(|chunk| chunk["candidates"][0].get("finishReason").is_some());
    assert_eq!(finished.count(), 1);
    assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "STOP");
}

#[tokio::test]
async fn without_alt_sse_the_stream_is_one_array() {
    let world = World::new().await;
    let response = verb(&world, "streamGenerateContent", &json!({})).await;
    assert_eq!(response.headers()["content-type"], "application/json; charset=UTF-8");
    let body = response.text().await.unwrap();
    assert!(body.starts_with("[{") && body.ends_with("}\n]") && body.contains("}\n,\r\n{"), "{body}");
    let chunks: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(chunks.len(), 41);
    world.control().set(Faults { error_event_after_chunks: Some(2), noise: true, ..Faults::default() });
    let body = verb(&world, "streamGenerateContent", &json!({})).await.text().await.unwrap();
    let chunks: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(chunks[2]["error"]["status"], "INTERNAL");
}

#[tokio::test]
async fn calls_come_whole_two_at_once_if_asked() {
    let world = World::new().await;
    let more = json!({"tools": functions(&["a", "b"]), "contents": says("use two tools")});
    let answer = whole(&world, &more).await;
    let chunks = streamed(&world, &more).await;
    for said in [&[answer][..], &chunks] {
        let parts = parts(said);
        let calls: Vec<_> = parts.iter().filter_map(|part| part.get("functionCall")).collect();
        assert_eq!(calls.len(), 2);
        assert_eq!(*calls[0], json!({"name": "a", "args": {"city": "simulated"}}));
        assert_eq!(calls[1]["name"], "b");
    }
    let any = |names: Value| json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": names}});
    let named = json!({"tools": functions(&["a", "b"]), "toolConfig": any(json!(["b"]))});
    let answer = whole(&world, &named).await;
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["functionCall"]["name"], "b");
}

#[tokio::test]
async fn a_result_is_answered_in_words() {
    let world = World::new().await;
    let contents = json!([
        {"role": "user", "parts": [{"text": "use the tool"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "a", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {"x": 1}}}]},
    ]);
    let answer = whole(&world, &json!({"tools": functions(&["a"]), "contents": contents})).await;
    assert!(answer["candidates"][0]["content"]["parts"][0]["text"].is_string());
}

#[tokio::test]
async fn thoughts_are_parts_of_their_own_and_the_next_part_is_signed() {
    let world = World::new().await;
    let thinking = json!({"thinkingConfig": {"includeThoughts": true}});
    let more = json!({"generationConfig": thinking});
    let answer = whole(&world, &more).await;
    let chunks = streamed(&world, &more).await;
    let usage = answer["usageMetadata"].clone();
    let thoughts = usage["thoughtsTokenCount"].as_u64().unwrap();
    assert_eq!(
        (&usage["candidatesTokenCount"], &usage["totalTokenCount"]),
        (&json!(40), &json!(45 + thoughts))
    );
    assert_eq!(chunks.last().unwrap()["usageMetadata"], usage);
    let (whole_parts, streamed_parts) = (parts(std::slice::from_ref(&answer)), parts(&chunks));
    assert!(!text(&whole_parts, true).is_empty());
    assert_eq!(text(&whole_parts, true), text(&streamed_parts, true));
    assert!(whole_parts[1]["thoughtSignature"].is_string());
    assert_eq!(streamed_parts.last().unwrap()["thoughtSignature"], whole_parts[1]["thoughtSignature"]);
    let calls =
        json!({"generationConfig": thinking, "tools": functions(&["a"]), "contents": says("use two tools")});
    let answer = whole(&world, &calls).await;
    let parts = answer["candidates"][0]["content"]["parts"].as_array().unwrap();
    let signed: Vec<_> = parts.iter().map(|part| part.get("thoughtSignature").is_some()).collect();
    assert_eq!(signed, [false, true, false]);
}

#[tokio::test]
async fn the_configuration_is_kept() {
    let world = World::new().await;
    let schema = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]});
    let config = json!({"responseMimeType": "application/json", "responseSchema": schema});
    let answer = whole(&world, &json!({"generationConfig": config})).await;
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], r#"{"n":1}"#);
    let answer =
        whole(&world, &json!({"generationConfig": {"maxOutputTokens": 3, "candidateCount": 2}})).await;
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(answer["candidates"][1]["finishReason"], "MAX_TOKENS");
    let answer = whole(&world, &json!({"generationConfig": {"stopSequences": [" You"]}})).await;
    assert_eq!(
        answer["candidates"][0]["content"]["parts"][0]["text"],
        "This is tidegate's simulated provider."
    );
}

#[tokio::test]
async fn the_input_alone_is_charged_and_counted() {
    let world = World::new().await;
    let system = json!({"systemInstruction": {"parts": [{"text": "12345678"}]}});
    let counted = json_of(verb(&world, "countTokens", &system).await).await;
    assert_eq!(counted["totalTokens"], 5 + 5);
    let within = json!({"generateContentRequest": serde_json::from_str::<Value>(&body(&system)).unwrap()});
    let counted = world.post("/v1beta/models/sim:countTokens", within.to_string()).await;
    assert_eq!(json_of(counted).await["totalTokens"], 5 + 5);
    assert_eq!(world.control().stats().tokens_charged, 0);
    whole(&world, &json!({"generationConfig": {"maxOutputTokens": 3000}})).await;
    assert_eq!(world.control().stats().tokens_charged, 5);
}

#[tokio::test]
async fn vectors_come_one_or_many_with_the_dimensions_asked_for() {
    let world = World::new().await;
    let content = json!({"parts": [{"text": "hello"}]});
    let one = json!({"content": content, "outputDimensionality": 8}).to_string();
    let one = json_of(world.post("/v1beta/models/sim:embedContent", one).await).await;
    let values = one["embedding"]["values"].as_array().unwrap();
    assert_eq!(values.len(), 8);
    let request = json!({"model": "models/sim", "content": content, "outputDimensionality": 8});
    let many = json!({"requests": [request, request]}).to_string();
    let many = json_of(world.post("/v1beta/models/sim:batchEmbedContents", many).await).await;
    assert_eq!(many["embeddings"], json!([one["embedding"], one["embedding"]]));
    assert_eq!(world.control().stats().tokens_charged, 3 * 5);
}

#[tokio::test]
async fn models_are_described() {
    let world = World::new().await;
    let list = json_of(world.get("/v1beta/models").await).await;
    assert_eq!(list["models"][0]["name"], "models/sim");
    assert_eq!(json_of(world.get("/v1beta/models/sim").await).await, list["models"][0]);
}

#[tokio::test]
async fn googles_stable_paths_are_the_same_ones() {
    let world = World::new().await;
    let answer = world.post("/v1/models/sim:generateContent", body(&json!({}))).await;
    assert_eq!(json_of(answer).await["usageMetadata"]["totalTokenCount"], 45);
    let unknown = world.post("/v1/models/other:generateContent", body(&json!({}))).await;
    check(unknown, 404, "NOT_FOUND", "other").await;
    let list =
        world.request(Method::GET, "/v1/models").header("x-goog-api-client", "x").send().await.unwrap();
    assert_eq!(json_of(list).await["models"][0]["name"], "models/sim");
}

async fn check(response: Response, code: u16, status: &str, found: &str) -> Value {
    assert_eq!(response.status(), code);
    let error = json_of(response).await["error"].take();
    assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(status)));
    assert!(error["message"].as_str().unwrap().contains(found), "{error}");
    error
}

#[tokio::test]
async fn mistakes_are_told_in_googles_shape() {
    let world = World::new().await;
    let bad = "INVALID_ARGUMENT";
    let generate = async |more: Value| verb(&world, "generateContent", &more).await;
    check(generate(json!({"contents": []})).await, 400, bad, "contents is not specified").await;
    let system = json!([{"role": "system", "parts": [{"text": "x"}]}]);
    check(generate(json!({"contents": system})).await, 400, bad, "valid role").await;
    let orphan = json!([{"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {}}}]}]);
    check(generate(json!({"contents": orphan})).await, 400, bad, "function response parts").await;
    let parameters =
        json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": false}}});
    let tools = json!([{"functionDeclarations": [{"name": "a", "parameters": parameters}]}]);
    check(generate(json!({"tools": tools})).await, 400, bad, "additionalProperties").await;
    let tools = json!([{"functionDeclarations": [{"name": "a", "parametersJsonSchema": parameters}]}]);
    assert_eq!(generate(json!({"tools": tools})).await.status(), 200);
    let unknown = world.post("/v1beta/models/other:generateContent", body(&json!({}))).await;
    check(unknown, 404, "NOT_FOUND", "other").await;
    check(verb(&world, "dance", &json!({})).await, 404, "NOT_FOUND", "not found").await;
    check(world.get("/v1beta/nothing").await, 404, "NOT_FOUND", "nothing").await;
}

#[tokio::test]
async fn a_limit_is_told_in_the_details_alone() {
    let limits = SimulatedLimits { requests_per_minute: Some(1), ..SimulatedLimits::default() };
    let world = World::limited(limits).await;
    whole(&world, &json!({})).await;
    let refused = verb(&world, "generateContent", &json!({})).await;
    assert!(refused.headers().get("retry-after").is_none());
    let error = check(refused, 429, "RESOURCE_EXHAUSTED", "Rate limit reached").await;
    let detail = |kind: &str| {
        let details = error["details"].as_array().unwrap();
        details
            .iter()
            .find(|detail| detail["@type"] == format!("type.googleapis.com/google.rpc.{kind}"))
            .unwrap()
    };
    let quota = &detail("QuotaFailure")["violations"][0]["quotaId"];
    assert_eq!(*quota, "GenerateRequestsPerMinutePerProjectPerModel");
    let delay = detail("RetryInfo")["retryDelay"].as_str().unwrap();
    let delay: f64 = delay.strip_suffix('s').unwrap().parse().unwrap();
    assert!((50.0..=60.0).contains(&delay), "{delay}");
}

#[tokio::test]
async fn a_failure_that_was_asked_for_says_when_to_come_back() {
    let world = World::new().await;
    let failure = FailNext::new(1, StatusCode::TOO_MANY_REQUESTS)
        .with_header(reqwest::header::RETRY_AFTER, reqwest::header::HeaderValue::from_static("7"));
    world.control().update(|faults| faults.fail_next = Some(failure));
    let error = check(verb(&world, "generateContent", &json!({})).await, 429, "RESOURCE_EXHAUSTED", "").await;
    assert!(error["details"].to_string().contains(r#""retryDelay":"7s""#), "{error}");
}

#[tokio::test]
async fn a_stream_breaks_in_its_own_words_and_its_noise_is_blank() {
    let world = World::new().await;
    world.control().set(Faults {
        error_event_after_chunks: Some(3),
        error_kind: Some("UNAVAILABLE".to_owned()),
        error_message: Some("overloaded".to_owned()),
        ..Faults::default()
    });
    let chunks = streamed(&world, &json!({})).await;
    assert_eq!(chunks.len(), 4);
    let error = json!({"code": 503, "message": "overloaded", "status": "UNAVAILABLE"});
    assert_eq!(chunks[3]["error"], error);
    world.control().set(Faults { noise: true, ..Faults::default() });
    let text = verb(&world, "streamGenerateContent?alt=sse", &json!({})).await.text().await.unwrap();
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: {")), "{text}");
    world.control().set(Faults { no_done: true, ..Faults::default() });
    let chunks = streamed(&world, &json!({})).await;
    assert!(chunks.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
    world.control().set(Faults { no_usage: true, ..Faults::default() });
    assert!(streamed(&world, &json!({})).await.iter().all(|chunk| chunk.get("usageMetadata").is_none()));
}

#[tokio::test]
async fn a_key_in_the_query_is_never_shown() {
    let world = World::new().await;
    let path = "/v1beta/models?key=sk-canary&pageSize=1";
    world.request(Method::GET, path).send().await.unwrap();
    let query = world.control().stats().last_request.unwrap().query.unwrap();
    assert!(!query.contains("canary") && query.ends_with("&pageSize=1"), "{query}");
}
