//! What is the client's mistake, in OpenAI's shape.

use crate::world::{World, json_of};
use reqwest::{Method, Response};
use serde_json::json;
use tidegate::secret::Secret;
use tidegate::simulator::SimulatorSettings;

async fn check(response: Response, status: u16, code: serde_json::Value) {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    let error = json_of(response).await["error"].take();
    assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
    assert!(error["message"].is_string() && error["type"] == "invalid_request_error", "{error}");
    assert_eq!(error["code"], code, "{error}");
}

#[tokio::test]
async fn mistakes_have_their_status_and_code() {
    let world = World::new().await;
    check(world.chat(json!({"model": "gpt-9"})).await, 404, json!("model_not_found")).await;
    check(world.post("/v1/chat/completions", "{not json").await, 400, json!(null)).await;
    check(world.post("/v1/chat/completions", vec![0xff, 0xfe]).await, 400, json!(null)).await;
    let required = json!("missing_required_parameter");
    check(world.post("/v1/chat/completions", r#"{"model":"sim"}"#).await, 400, required.clone()).await;
    check(world.post("/v1/completions", r#"{"model":"sim"}"#).await, 400, required).await;
    check(world.chat(json!({"max_tokens": -3})).await, 400, json!("integer_below_min_value")).await;
    check(world.get("/v1/nothing").await, 404, json!(null)).await;
    check(world.get("/").await, 404, json!(null)).await;
    check(world.get("/v1/chat/completions").await, 405, json!(null)).await;
    assert_eq!(world.control().stats().failed, 9);
    assert_eq!(world.control().stats().tokens_charged, 0);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let world = World::new().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    let mut stream = tokio::net::TcpStream::connect(world.simulator.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_key_is_required_where_one_is_set() {
    let key = Some(Secret::new("sk-right".to_owned()));
    let world = World::with(SimulatorSettings { key, ..SimulatorSettings::unlimited() }).await;
    let send = async |authorization: &str| {
        world.request(Method::GET, "/v1/models").header("authorization", authorization).send().await.unwrap()
    };
    check(world.get("/v1/models").await, 401, json!(null)).await;
    check(send("Bearer sk-wrong").await, 401, json!("invalid_api_key")).await;
    check(send("Basic sk-right").await, 401, json!(null)).await;
    check(world.get("/v1/echo").await, 401, json!(null)).await;
    assert_eq!(send("Bearer sk-right").await.status(), 200);
    let shown = format!("{:?}", world.control());
    assert!(!shown.contains("sk-right"), "{shown}");
}
