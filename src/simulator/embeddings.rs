//! `POST /v1/embeddings`: a vector for every text, the same for the same text, of length one.

use super::ask::read;
use super::base64::base64;
use super::calls::{enter, json, read_call};
use super::chat::needs_version;
use super::hash::{fnv, mix};
use super::prompt::Prompt;
use super::refusal::Refusal;
use super::usage::Used;
use super::visit::Visit;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Dimensions unless the request names its own: enough to look like a vector, few enough to print.
const DIMENSIONS: u32 = 256;

/// The most dimensions, as many as OpenAI's largest model has.
const DIMENSIONS_MAX: i64 = 3_072;

/// The most inputs of one request, as with OpenAI.
const INPUTS_MAX: usize = 2_048;

/// The most numbers of one answer; some ten megabytes of JSON.
const NUMBERS_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Request {
    model: Option<String>,
    input: Option<Prompt>,
    encoding_format: Option<Encoding>,
    dimensions: Option<i64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Float,
    Base64,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// `POST /v1/embeddings`
pub(super) async fn embeddings(
    Extension(visit): Extension<Arc<Visit>>,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    answer(&visit, &body, None).await
}

/// `POST /openai/deployments/{deployment}/embeddings?api-version=…`
pub(super) async fn deployed(
    Extension(visit): Extension<Arc<Visit>>,
    Path(deployment): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Refusal> {
    let body = read_call(&visit, body).await?;
    needs_version(query.as_deref())?;
    answer(&visit, &body, Some(deployment)).await
}

async fn answer(visit: &Visit, body: &[u8], deployment: Option<String>) -> Result<Response, Refusal> {
    let request: Request = read(body)?;
    let model = deployment.or(request.model).ok_or_else(|| Refusal::missing("model"))?;
    let inputs = request.input.ok_or_else(|| Refusal::missing("input"))?.texts();
    let dimensions = check(inputs.len(), request.dimensions)?;
    let tokens: u64 = inputs.iter().map(|(_, tokens)| tokens).sum();
    let used = Used { input: tokens, ..Used::default() };
    let (headers, faults) = enter(visit, &model, used).await?;
    let encoding = request.encoding_format.unwrap_or(Encoding::Float);
    let embed = |(text, _): &(String, u64)| match encoding {
        Encoding::Float => Vector::Float(vector(text, dimensions)),
        Encoding::Base64 => Vector::Base64(packed(&vector(text, dimensions))),
    };
    let data = inputs.iter().zip(0..);
    let data = data.map(|(input, index)| Embedding { object: "embedding", index, embedding: embed(input) });
    let used = visit.shared.meter(used, &faults).told();
    let list = List {
        object: "list",
        data: data.collect(),
        model: &model,
        usage: used.map(|used| Usage { prompt_tokens: used.input, total_tokens: used.input }),
    };
    let text = serde_json::to_string(&list).expect("texts and finite numbers are always JSON");
    Ok(json(text, headers, &faults))
}

pub(super) fn check(inputs: usize, dimensions: Option<i64>) -> Result<u32, Refusal> {
    let asked = dimensions.unwrap_or(i64::from(DIMENSIONS));
    let dimensions = u32::try_from(asked).ok().filter(|_| (1..=DIMENSIONS_MAX).contains(&asked));
    let dimensions = dimensions.ok_or_else(|| {
        let message =
            format!("Invalid 'dimensions': expected 1 to {DIMENSIONS_MAX}, but got {asked} instead.");
        Refusal::parameter("dimensions", "invalid_value", message)
    })?;
    let numbers = inputs.saturating_mul(usize::try_from(dimensions).unwrap_or(usize::MAX));
    if inputs == 0 || inputs > INPUTS_MAX || numbers > NUMBERS_MAX {
        let message = format!(
            "Invalid 'input': expected 1 to {INPUTS_MAX} texts and at most {NUMBERS_MAX} numbers in all, but got \
             {inputs} texts of {dimensions} dimensions."
        );
        return Err(Refusal::parameter("input", "invalid_value", message));
    }
    Ok(dimensions)
}

pub(super) fn vector(text: &str, dimensions: u32) -> Vec<f32> {
    let mut state = fnv(text.as_bytes());
    let raw: Vec<f32> = (0..dimensions)
        .map(|_| {
            let [low, high, ..] = mix(&mut state).to_le_bytes();
            // Never all zero, so that the length can be made one.
            f32::from(i16::from_le_bytes([low, high])) + 0.5
        })
        .collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.into_iter().map(|x| x / length).collect()
}

/// The vector as OpenAI packs it: little-endian 32-bit floats in base64.
fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    base64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_vector_of_length_one() {
        let one = vector("hello", 256);
        assert_eq!(one, vector("hello", 256));
        assert_ne!(one, vector("hellp", 256));
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn base64_is_the_standard_one() {
        assert_eq!(packed(&[]), "");
        assert_eq!(packed(&[1.0]), "AACAPw==");
        assert_eq!(packed(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(packed(&[0.0, 0.0, 0.0]), "AAAAAAAAAAAAAAAA");
    }
}
