//! The list of models: all routes and targets, in OpenAI's shape.

use super::{Answer, AnswerBody, Fault, Gateway};
use crate::ids::ModelName;
use crate::routing::Listed;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    /// OpenAI's clients want a number; when a model came to be is not known here.
    created: u64,
    owned_by: &'a str,
}

impl Gateway {
    /// `GET /v1/models`.
    pub fn list_models(&self) -> Answer {
        let live = self.live.load();
        let data = live.catalogue.models().iter().map(model).collect();
        json(&List { object: "list", data })
    }

    /// `GET /v1/models/NAME`.
    pub fn show_model(&self, name: &str) -> Answer {
        let live = self.live.load();
        match live.catalogue.models().iter().find(|listed| listed.id == name) {
            Some(listed) => json(&model(listed)),
            None => match super::router::find(&live, &ModelName::from(name)) {
                // Served, though nobody lists it: a prefix, a claim, or the default provider.
                Ok(found) => {
                    let owner = found.targets.first().map_or("tidegate", |target| target.provider.as_str());
                    json(&Model { id: name, object: "model", created: 0, owned_by: owner })
                }
                Err(fault) => Fault::answer(&fault, self.clock.now()),
            },
        }
    }
}

fn model(listed: &Listed) -> Model<'_> {
    let owned_by = listed.owner.as_ref().map_or("tidegate", |owner| owner.as_str());
    Model { id: &listed.id, object: "model", created: 0, owned_by }
}

fn json(value: &impl Serialize) -> Answer {
    // Plain structs of text and numbers cannot fail to be written.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Answer::new(AnswerBody::whole(body));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
