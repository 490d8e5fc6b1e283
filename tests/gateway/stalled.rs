//! Clients that stop reading: their answers are given up, and those that merely rest are left alone.

use crate::beside::{provider, until};
use crate::raw::{Raw, assert_well, soon};
use crate::world::{Plan, chat_body};
use serde_json::json;
use std::time::Duration;
use tidegate::server::ListenAddress;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

#[tokio::test]
async fn a_client_that_stops_reading_gives_up_its_place_and_resting_ones_keep_their_connection() {
    let folder = tempfile::tempdir().unwrap();
    // The buffers of a Unix socket are small, and do not grow with what is waiting.
    let path = folder.path().join("tidegate.sock");
    let listen = ListenAddress::Unix(path.clone());
    let world = Plan::new().provider("a").await.set(|s| s.server.listen.push(listen));
    let world = world.set(|s| s.server.write_timeout = Duration::from_millis(150)).start().await;
    let ask = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut resting = Raw::connect(&world).await;
    resting.send(ask).await;
    assert_eq!(resting.answer().await.unwrap().status, 200);
    // More than every buffer on the way to the client takes, and then more to come.
    world.simulator("a").update(|faults| faults.stall_after_chunks = Some(10_000));
    let question = json!([{"role": "user", "content": "20000 words"}]);
    let body = chat_body("sim", json!({"stream": true, "messages": question})).to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}", body.len());
    let mut stalled = soon(UnixStream::connect(&path)).await.unwrap();
    stalled.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    soon(world.simulator("a").wait_for(|stats| stats.cancelled == 1)).await;
    until(&world, |health| provider(health, "a")["open"] == 0).await;
    assert_eq!(world.metric("tidegate_reservations_open{provider=\"a\"}").await, 0.0);
    assert_eq!(world.metric("tidegate_clients_stalled_total").await, 1.0);
    assert_eq!(world.metric("tidegate_cancelled_total{stage=\"answer\"}").await, 1.0);
    resting.send(ask).await;
    assert_eq!(resting.answer().await.expect("it is still open").status, 200);
    world.simulator("a").update(|faults| faults.stall_after_chunks = None);
    assert_well(&world, "sim").await;
    drop(stalled);
}
