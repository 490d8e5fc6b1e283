//! Reading a call and estimating its cost, off the async threads where that takes long.

use super::affinity::{Affinity, CACHED_MIN, Prompt};
use super::learned::{Learned, Sizing};
use super::live::Live;
use super::ways::{Interpreted, Skipped, sort_out};
use super::{Fault, Gateway, Request, router};
use crate::admission::Cost;
use crate::routing::Found;
use crate::tokens::{Encoding, Estimator, EstimatorSettings, INLINE_BYTES_MAX};
use crate::units::Tokens;
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
    /// As counted, for nobody yet.
    pub(super) sizing: Sizing,
    /// What is expected at the first target, under nobody's rules yet.
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
            appraised(
                live,
                (&self.learned, &self.affinity),
                &request.asked,
                &request.body,
                &interpreted,
                false,
            )?
        } else {
            None
        };
        let appraised = match at_once {
            Some(appraised) => appraised,
            None => {
                let (live, asked, body) = (Arc::clone(live), request.asked.clone(), request.body.clone());
                let gateway = Arc::clone(self);
                let work = move || {
                    let known = (&*gateway.learned, &gateway.affinity);
                    appraised(&live, known, &asked, &body, &interpreted, true)
                };
                beside(work).await??.expect("it may wait for the vocabulary")
            }
        };
        let work = appraised.sizing.estimate.work;
        for (how, bytes) in [("counted", work.counted), ("remembered", work.remembered)] {
            self.metrics.estimated_bytes.get_or_create(&[("how", how.to_owned())]).inc_by(bytes as u64);
        }
        self.metrics.overhead.observe(self.clock.now().since(began).as_secs_f64());
        Ok(appraised)
    }
}

/// Reads the body once for all that is asked of it. `None` if the vocabulary must be loaded first, and that
/// takes too long here.
fn appraised(
    live: &Live,
    (learned, affinity): (&Learned, &Affinity),
    asked: &Asked,
    body: &[u8],
    interpreted: &Arc<Interpreted>,
    may_load: bool,
) -> Result<Option<Appraised>, Fault> {
    let (call, content) = wire::read(asked, body)?;
    let mut found = router::find(live, &call.model)?;
    // The first target's model tells the vocabulary: a public name may be anything.
    let first = found.targets.first().cloned();
    let model = first.as_ref().map_or(call.model.clone(), |target| target.model.clone());
    if !may_load && !Encoding::of_model(model.as_str()).is_loaded() {
        return Ok(None);
    }
    let output_guess = Tokens(u64::from(live.settings.output_guess));
    let estimator = Estimator::new(EstimatorSettings { output_guess }).with_memo(Arc::clone(&learned.memo));
    let estimate = estimator.estimate(model.as_str(), &call, &content);
    let sizing = Sizing {
        estimate,
        model,
        choices: call.choices,
        client: 0,
        output_guess,
        settings: live.settings.learning,
    };
    let cost = first.map(|target| learned.foresee(&sizing, &target).cost).unwrap_or_default();
    let (targets, skipped) = sort_out(live, interpreted, found.targets);
    found.targets = targets;
    let interpreted = Arc::clone(interpreted);
    let prompt = match live.has_accounts() && cost.input >= CACHED_MIN {
        true => affinity.prompt(&call.model, &content),
        false => Prompt::default(),
    };
    Ok(Some(Appraised { call, found, skipped, sizing, cost, prompt, interpreted }))
}

/// Runs `work` where it may take its time. A panic in it is a fault of this exchange alone.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Broken)
}
