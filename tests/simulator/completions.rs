//! Text completions, and the models.

use crate::world::{World, chunks_of, json_of};
use serde_json::json;

async fn ask(world: &World, body: serde_json::Value) -> reqwest::Response {
    world.post("/v1/completions", body.to_string()).await
}

#[tokio::test]
async fn a_prompt_is_completed_in_one_piece_and_as_a_stream() {
    let world = World::new().await;
    let body = json!({"model": "sim", "prompt": "hello", "max_tokens": 9});
    let answer = json_of(ask(&world, body.clone()).await).await;
    assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(
        (&answer["usage"]["prompt_tokens"], &answer["usage"]["completion_tokens"]),
        (&json!(2), &json!(9))
    );
    let mut streamed = body;
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({"include_usage": true});
    let chunks = chunks_of(ask(&world, streamed).await).await;
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, answer["choices"][0]["text"].as_str().unwrap());
    assert_eq!(chunks[chunks.len() - 1]["usage"]["total_tokens"], 11);
}

#[tokio::test]
async fn every_prompt_gets_its_choices() {
    let world = World::new().await;
    let answer = json_of(ask(&world, json!({"model": "sim", "prompt": ["a", "b"], "n": 2})).await).await;
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 4);
    assert!(choices[2]["text"].as_str().unwrap().contains("You said: b "));
    let answer = json_of(ask(&world, json!({"model": "sim", "prompt": [1, 2, 3]})).await).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
}

#[tokio::test]
async fn the_models_are_listed_and_found() {
    let world = World::new().await;
    let list = json_of(world.get("/v1/models").await).await;
    assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("sim")));
    let model = json_of(world.get("/v1/models/sim").await).await;
    assert_eq!((&model["object"], &model), (&json!("model"), &list["data"][0]));
    let missing = world.get("/v1/models/a/b").await;
    assert_eq!(missing.status(), 404);
    assert_eq!(json_of(missing).await["error"]["code"], "model_not_found");
}
