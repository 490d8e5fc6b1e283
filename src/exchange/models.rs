//! The list of models: all routes and targets, in the shape of the client's family.

use super::{Answer, AnswerBody, Gateway};
use crate::dialect::Family;
use crate::ids::ModelName;
use crate::routing::Listed;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

/// What Anthropic's clients are told of when a model came to be, which is not known here.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

impl Gateway {
    /// `GET /v1/models`, or `/v1beta/models`.
    pub fn list_models(&self, family: Family) -> Answer {
        let live = self.live.load();
        let models = live.catalogue.models();
        let data: Vec<Value> = models.iter().map(|listed| model(listed, family)).collect();
        let (first, last) = (models.first(), models.last());
        let id = |listed: Option<&Listed>| listed.map(|listed| listed.id.clone());
        answer(&match family {
            Family::OpenAi => json!({"object": "list", "data": data}),
            Family::Anthropic => json!({
                "data": data, "has_more": false, "first_id": id(first), "last_id": id(last),
            }),
            Family::Gemini => json!({ "models": data }),
        })
    }

    /// `GET /v1/models/NAME`, or `/v1beta/models/NAME`.
    pub fn show_model(&self, name: &str, family: Family) -> Answer {
        let live = self.live.load();
        if let Some(listed) = live.catalogue.models().iter().find(|listed| listed.id == name) {
            return answer(&model(listed, family));
        }
        match super::router::find(&live, &ModelName::from(name)) {
            // Served, though nobody lists it: a prefix, a claim, or the default provider.
            Ok(found) => {
                let owner = found.targets.first().map(|target| target.provider.clone());
                answer(&model(&Listed { id: name.to_owned(), owner }, family))
            }
            Err(fault) => fault.answer(self.clock.now(), family),
        }
    }
}

fn model(listed: &Listed, family: Family) -> Value {
    let Listed { id, owner } = listed;
    let owner = owner.as_ref().map_or("tidegate", |owner| owner.as_str());
    match family {
        // OpenAI's clients want a number.
        Family::OpenAi => json!({"id": id, "object": "model", "created": 0, "owned_by": owner}),
        Family::Anthropic => json!({
            "type": "model", "id": id, "display_name": id, "created_at": UNKNOWN_TIME,
        }),
        Family::Gemini => json!({
            "name": format!("models/{id}"),
            "baseModelId": id,
            "version": "",
            "displayName": id,
            "description": format!("served by {owner}"),
            "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
        }),
    }
}

fn answer(value: &Value) -> Answer {
    let mut answer = Answer::new(AnswerBody::whole(value.to_string().into_bytes()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
