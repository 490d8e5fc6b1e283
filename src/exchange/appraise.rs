//! Reading a call and estimating its cost, off the async threads where that takes long.

use super::live::Live;
use super::{Fault, Gateway, Request, router};
use crate::admission::Cost;
use crate::dialect::Dialect;
use crate::routing::Found;
use crate::tokens::{Encoding, Estimate, Estimator, INLINE_BYTES_MAX};
use crate::wire::{self, BadCall, Call};
use bytes::Bytes;

/// What is known of a request before anybody is asked.
#[derive(Debug)]
pub(super) struct Appraised {
    pub(super) call: Call,
    pub(super) found: Found,
    pub(super) cost: Cost,
}

impl Gateway {
    /// Reads the call, finds out what its model means, and estimates.
    pub(super) async fn appraise(&self, live: &Live, request: &Request) -> Result<Appraised, Fault> {
        let began = self.clock.now();
        let estimator = Gateway::estimator(live);
        let (dialect, body) = (request.dialect, request.body.clone());
        let is_small = body.len() <= INLINE_BYTES_MAX;
        let (call, _) = if is_small {
            wire::read(dialect, &body)?
        } else {
            (read_beside(&body, dialect).await?, Default::default())
        };
        let found = router::find(live, &call.model)?;
        // The first target's model tells the vocabulary: a public name may be anything.
        let model =
            found.targets.first().map_or(call.model.as_str(), |target| target.model.as_str()).to_owned();
        let estimate = if is_small && Encoding::of_model(&model).is_loaded() {
            count(&estimator, dialect, &model, &body)?
        } else {
            beside(move || count(&estimator, dialect, &model, &body)).await??
        };
        let cost = Cost {
            input: estimate.input,
            output: estimate.output,
            output_is_guess: estimate.output_is_guess,
        };
        self.metrics.overhead.observe(self.clock.now().since(began).as_secs_f64());
        Ok(Appraised { call, found, cost })
    }
}

/// Reads a large body on a thread that may block.
async fn read_beside(body: &Bytes, dialect: Dialect) -> Result<Call, Fault> {
    let body = body.clone();
    Ok(beside(move || wire::read(dialect, &body).map(|(call, _)| call)).await??)
}

fn count(estimator: &Estimator, dialect: Dialect, model: &str, body: &[u8]) -> Result<Estimate, BadCall> {
    let (call, content) = wire::read(dialect, body)?;
    Ok(estimator.estimate(model, &call, &content))
}

/// Runs `work` where it may take its time. A panic in it is a fault of this exchange alone.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Broken)
}
