//! Reading a call and estimating its cost, off the async threads where that takes long.

use super::affinity::{CACHED_MIN, Prompt};
use super::live::Live;
use super::ways::{Interpreted, Skipped, sort_out};
use super::{Fault, Gateway, Request, router};
use crate::admission::Cost;
use crate::routing::Found;
use crate::tokens::{Encoding, INLINE_BYTES_MAX};
use crate::wire::{self, Asked, Call};
use std::sync::Arc;

/// What is known of a request before anybody is asked.
#[derive(Debug)]
pub(super) struct Appraised {
    pub(super) call: Call,
    /// Who may serve it: targets that can be told what is asked.
    pub(super) found: Found,
    /// Targets that cannot.
    pub(super) skipped: Vec<Skipped>,
    /// As counted, under nobody's rules yet.
    pub(super) cost: Cost,
    /// What it may continue, where a provider has several accounts.
    pub(super) prompt: Prompt,
    /// The request for those who speak another dialect.
    pub(super) interpreted: Arc<Interpreted>,
}

impl Gateway {
    /// Reads the call, finds out what its model means, and estimates.
    pub(super) async fn appraise(
        self: &Arc<Self>,
        live: &Arc<Live>,
        request: &Request,
    ) -> Result<Appraised, Fault> {
        let began = self.clock.now();
        let interpreted = Arc::new(Interpreted::new(request.asked.clone(), request.body.clone()));
        let at_once = if request.body.len() <= INLINE_BYTES_MAX {
            self.appraised(live, &request.asked, &request.body, &interpreted, false)?
        } else {
            None
        };
        let appraised = match at_once {
            Some(appraised) => appraised,
            None => {
                let (live, asked, body) = (Arc::clone(live), request.asked.clone(), request.body.clone());
                let gateway = Arc::clone(self);
                let whole =
                    beside(move || gateway.appraised(&live, &asked, &body, &interpreted, true)).await??;
                whole.expect("it may wait for the vocabulary")
            }
        };
        self.metrics.overhead.observe(self.clock.now().since(began).as_secs_f64());
        Ok(appraised)
    }

    /// Reads the body once for all that is asked of it. `None` if the vocabulary must be loaded first, and that
    /// takes too long here.
    fn appraised(
        &self,
        live: &Live,
        asked: &Asked,
        body: &[u8],
        interpreted: &Arc<Interpreted>,
        may_load: bool,
    ) -> Result<Option<Appraised>, Fault> {
        let (call, content) = wire::read(asked, body)?;
        let mut found = router::find(live, &call.model)?;
        // The first target's model tells the vocabulary: a public name may be anything.
        let model = found.targets.first().map_or(call.model.clone(), |target| target.model.clone());
        if !may_load && !Encoding::of_model(model.as_str()).is_loaded() {
            return Ok(None);
        }
        let estimate = Gateway::estimator(live).estimate(model.as_str(), &call, &content);
        let cost = Cost {
            input: estimate.input,
            output: estimate.output,
            output_is_guess: estimate.output_is_guess,
        };
        let (targets, skipped) = sort_out(live, interpreted, found.targets);
        found.targets = targets;
        let interpreted = Arc::clone(interpreted);
        let prompt = match live.has_accounts() && cost.input >= CACHED_MIN {
            true => self.affinity.prompt(&call.model, &content),
            false => Prompt::default(),
        };
        Ok(Some(Appraised { call, found, skipped, cost, prompt, interpreted }))
    }
}

/// Runs `work` where it may take its time. A panic in it is a fault of this exchange alone.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Broken)
}
