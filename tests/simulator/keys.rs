//! Which keys are taken, where they may stand, and in whose words one is refused.

use crate::world::{World, json_of};
use reqwest::Method;
use serde_json::json;
use tidegate::secret::Secret;
use tidegate::simulator::SimulatorSettings;

#[tokio::test]
async fn one_key_is_taken_in_every_place_that_providers_know() {
    let key = Some(Secret::new("sk-right".to_owned()));
    let world = World::with(SimulatorSettings { key, ..SimulatorSettings::unlimited() }).await;
    for path in ["/v1/models", "/v1/messages/batches", "/v1beta/models"] {
        let status = async |name: &str, value: &str| {
            world.request(Method::GET, path).header(name, value).send().await.unwrap().status().as_u16()
        };
        assert_eq!(status("authorization", "Bearer sk-right").await, 200, "{path}");
        for name in ["x-api-key", "api-key", "x-goog-api-key"] {
            assert_eq!(status(name, "sk-right").await, 200, "{path} {name}");
            assert_ne!(status(name, "sk-wrong").await, 200, "{path} {name}");
        }
        assert_eq!(world.get(&format!("{path}?key=sk-right")).await.status(), 200);
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_words_of_the_path() {
    let key = Some(Secret::new("sk-right".to_owned()));
    let world = World::with(SimulatorSettings { key, ..SimulatorSettings::unlimited() }).await;
    let refused = async |path: &str| {
        let sent = world.request(Method::POST, path).header("x-api-key", "sk-wrong").send().await.unwrap();
        (sent.status().as_u16(), json_of(sent).await)
    };
    let (status, body) = refused("/v1/responses").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    let (status, body) = refused("/v1/messages").await;
    assert_eq!((status, &body["error"]["type"]), (401, &json!("authentication_error")));
    let (status, body) = refused("/v1beta/models/sim:generateContent").await;
    assert_eq!((status, &body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(body["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let missing = world.post("/v1beta/models/sim:generateContent", "").await;
    assert_eq!(missing.status(), 403);
}
