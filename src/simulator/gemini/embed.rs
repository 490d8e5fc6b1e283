//! Vectors as Gemini gives them: one, or one for each of several requests.

use super::read::Content;
use crate::simulator::ask::read;
use crate::simulator::calls::{enter, json};
use crate::simulator::embeddings::{check, vector};
use crate::simulator::refusal::Refusal;
use crate::simulator::usage::Used;
use crate::simulator::visit::Visit;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    content: Option<Content>,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<i64>,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(default)]
    requests: Vec<Request>,
}

/// `:embedContent`
pub(super) async fn one(visit: &Visit, model: &str, body: &[u8]) -> Result<Response, Refusal> {
    let mut vectors = Vectors::of(&[read(body)?])?;
    vectors.answer(visit, model, |made| json!({"embedding": made.pop()})).await
}

/// `:batchEmbedContents`
pub(super) async fn batch(visit: &Visit, model: &str, body: &[u8]) -> Result<Response, Refusal> {
    let batch: Batch = read(body)?;
    let mut vectors = Vectors::of(&batch.requests)?;
    vectors.answer(visit, model, |made| json!({"embeddings": made})).await
}

struct Vectors {
    tokens: u64,
    made: Vec<Value>,
}

impl Vectors {
    fn of(requests: &[Request]) -> Result<Vectors, Refusal> {
        let mut vectors = Vectors { tokens: 0, made: Vec::new() };
        check(requests.len(), None)?;
        for request in requests {
            let dimensions = check(requests.len(), request.output_dimensionality)?;
            let content = request.content.as_ref().ok_or_else(|| Refusal::missing("content"))?;
            vectors.tokens += content.tokens();
            vectors.made.push(json!({"values": vector(&content.text(), dimensions)}));
        }
        Ok(vectors)
    }

    async fn answer(
        &mut self,
        visit: &Visit,
        model: &str,
        write: impl FnOnce(&mut Vec<Value>) -> Value,
    ) -> Result<Response, Refusal> {
        let (headers, faults) = enter(visit, model, Used { input: self.tokens, ..Used::default() }).await?;
        Ok(json(write(&mut self.made).to_string(), headers, &faults))
    }
}
