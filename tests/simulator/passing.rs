//! What a gateway passes through unread: uploads, sounds, and the echo.

use crate::world::{World, header, json_of};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use tidegate::simulator::{fingerprint, redact};

fn multipart(content: &[u8]) -> Vec<u8> {
    let mut body = b"--b0undary\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n\
        --b0undary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"notes.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--b0undary--\r\n");
    body
}

async fn upload(world: &World, kind: &str, body: Vec<u8>) -> reqwest::Response {
    world.request(Method::POST, "/v1/files").header("content-type", kind).body(body).send().await.unwrap()
}

#[tokio::test]
async fn an_upload_is_told_back_listed_and_found() {
    let world = World::new().await;
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let response = upload(&world, "multipart/form-data; boundary=\"b0undary\"", multipart(&content)).await;
    let file = json_of(response).await;
    assert_eq!((&file["object"], &file["bytes"]), (&json!("file"), &json!(100_000)));
    assert_eq!((&file["filename"], &file["purpose"]), (&json!("notes.bin"), &json!("assistants")));
    assert_eq!(file["fingerprint"], fingerprint(&content));
    assert_eq!(json_of(world.get("/v1/files").await).await["data"], json!([file.clone()]));
    let id = file["id"].as_str().unwrap();
    assert_eq!(json_of(world.get(&format!("/v1/files/{id}")).await).await, file);
    assert_eq!(world.get("/v1/files/file-none").await.status(), 404);
}

#[tokio::test]
async fn what_is_no_upload_is_refused() {
    let world = World::new().await;
    assert_eq!(upload(&world, "application/json", b"{}".to_vec()).await.status(), 400);
    let no_file = upload(&world, "multipart/form-data; boundary=x", b"--x--\r\n".to_vec()).await;
    assert_eq!(json_of(no_file).await["error"]["param"], "file");
}

#[tokio::test]
async fn only_so_many_files_are_remembered() {
    let world = World::new().await;
    for _ in 0..103 {
        upload(&world, "multipart/form-data; boundary=b0undary", multipart(b"x")).await;
    }
    assert_eq!(json_of(world.get("/v1/files").await).await["data"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn speech_is_the_same_bytes_for_the_same_text() {
    let world = World::new().await;
    let speak = async |text: &str| {
        let response = world.post("/v1/audio/speech", json!({"input": text, "voice": "x"}).to_string()).await;
        assert_eq!(header(&response, "content-type"), "audio/mpeg");
        response.bytes().await.unwrap()
    };
    let sound = speak("hello").await;
    assert_eq!((sound.len(), &sound), (1_000 + 5 * 64, &speak("hello").await));
    assert_ne!(sound, speak("hellp").await);
    assert!(std::str::from_utf8(&sound).is_err());
}

#[tokio::test]
async fn the_echo_tells_what_arrived_and_hides_the_key() {
    let world = World::new().await;
    let request = world.request(Method::PUT, "/v1/echo/some/path?x=1&y=%20");
    let request = request.header("authorization", "Bearer sk-canary").header("x-custom", "kept");
    let echo = json_of(request.body("body").send().await.unwrap()).await;
    assert_eq!((&echo["method"], &echo["path"]), (&json!("PUT"), &json!("/v1/echo/some/path")));
    assert_eq!(echo["query"], "x=1&y=%20");
    assert_eq!(echo["body"], json!({"bytes": 4, "fingerprint": fingerprint(b"body")}));
    let headers = echo["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-custom", "kept"])));
    assert!(headers.contains(&json!(["authorization", redact("Bearer sk-canary")])));
    assert!(!echo.to_string().contains("canary"));
}

#[tokio::test]
async fn a_body_larger_than_any_buffer_is_echoed_by_its_hash() {
    let world = World::new().await;
    let piece = Bytes::from(vec![7; 1024 * 1024]);
    let pieces = stream::iter((0..80).map({
        let piece = piece.clone();
        move |_| Ok::<_, std::io::Error>(piece.clone())
    }));
    let echo: Value = json_of(world.post("/v1/echo", Body::wrap_stream(pieces)).await).await;
    assert_eq!(echo["body"]["bytes"], 80 * 1024 * 1024);
    assert_eq!(echo["body"]["fingerprint"], fingerprint(&vec![7; 80 * 1024 * 1024]));
}

#[tokio::test]
async fn a_client_that_leaves_in_its_body_is_counted_as_gone() {
    let world = World::new().await;
    let (send, wait) = tokio::sync::oneshot::channel::<()>();
    let body = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) });
    let never = stream::once(async move {
        let _ = wait.await;
        Err::<Bytes, _>(std::io::Error::other("gone"))
    });
    let body = Body::wrap_stream(futures_util::StreamExt::chain(body, never));
    let request = world.request(Method::POST, "/v1/echo").body(body).send();
    let sending = world.tasks.spawn("call", request);
    world.control().wait_for(|stats| stats.in_flight == 1).await;
    send.send(()).unwrap();
    assert!(sending.await.unwrap().is_err());
    let stats = world.control().wait_for(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.cancelled, stats.failed), (1, 0));
}
