//! Embeddings.

use crate::world::{World, json_of};
use serde_json::{Value, json};

async fn ask(world: &World, more: Value) -> Value {
    let mut body = json!({"model": "sim"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    json_of(world.post("/v1/embeddings", body.to_string()).await).await
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Reads the standard alphabet, slowly.
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits: Vec<u8> = text
        .bytes()
        .filter(|c| *c != b'=')
        .flat_map(|c| (0..6).rev().map(move |bit| digit(c) >> bit & 1))
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect()
}

#[tokio::test]
async fn a_text_has_the_same_vector_alone_and_in_a_list() {
    let world = World::new().await;
    let one = ask(&world, json!({"input": "hello"})).await;
    let two = ask(&world, json!({"input": ["other", "hello"]})).await;
    assert_eq!((&one["object"], &one["data"][0]["object"]), (&json!("list"), &json!("embedding")));
    assert_eq!(one["data"][0]["embedding"], two["data"][1]["embedding"]);
    assert_ne!(one["data"][0]["embedding"], two["data"][0]["embedding"]);
    assert_eq!(two["data"][1]["index"], 1);
    assert_eq!(two["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    assert_eq!(floats(&one["data"][0]["embedding"]).len(), 256);
}

#[tokio::test]
async fn base64_holds_the_same_floats() {
    let world = World::new().await;
    let plain = ask(&world, json!({"input": "hello", "dimensions": 7, "encoding_format": "float"})).await;
    let packed = ask(&world, json!({"input": "hello", "dimensions": 7, "encoding_format": "base64"})).await;
    let bytes = from_base64(packed["data"][0]["embedding"].as_str().unwrap());
    let unpacked: Vec<f32> =
        bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
    let plain = floats(&plain["data"][0]["embedding"]);
    assert_eq!((plain.len(), unpacked.len()), (7, 7));
    assert!(plain.iter().zip(&unpacked).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-6));
}

#[tokio::test]
async fn ids_are_counted_as_the_tokens_that_they_are() {
    let world = World::new().await;
    assert_eq!(ask(&world, json!({"input": [1, 2, 3]})).await["usage"]["total_tokens"], 3);
    let lists = ask(&world, json!({"input": [[1, 2], [3]]})).await;
    assert_eq!((lists["data"].as_array().unwrap().len(), &lists["usage"]["total_tokens"]), (2, &json!(3)));
}

#[tokio::test]
async fn what_would_be_too_much_is_refused() {
    let world = World::new().await;
    for body in [
        json!({"input": []}),
        json!({"input": "x", "dimensions": 0}),
        json!({"input": "x", "dimensions": -1}),
        json!({"input": "x", "dimensions": 1_000_000}),
        json!({"input": vec!["x"; 2_000], "dimensions": 3_000}),
        json!({"input": {"a": 1}}),
        json!({}),
    ] {
        assert_eq!(ask(&world, body).await["error"]["type"], "invalid_request_error");
    }
}
