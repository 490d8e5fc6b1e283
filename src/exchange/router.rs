//! Who may serve an exchange: the plan, with sick targets left out, and what it asks of the desk.

use super::Gateway;
use super::beginning::GivenBack;
use super::fault::Fault;
use super::live::Live;
use crate::admission::{Ask, Choice, Cost, Priority, Share};
use crate::ids::{ModelName, TargetId};
use crate::routing::{Found, Plan};
use crate::units::{Moment, Tokens};
use http::HeaderMap;

/// The header with which a client names its class.
const PRIORITY_HEADER: &str = "x-tidegate-priority";

/// How much of an unknown model's name is shown in an error.
const SHOWN_NAME_MAX: usize = 80;

/// The course of one exchange, from its plan to its end.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) plan: Plan,
    cost: Cost,
    /// Held of output that counts only as it is produced.
    output_guess: Tokens,
    /// The last refusal of a provider that could be given back.
    pub(super) refusal: Option<GivenBack>,
    pub(super) priority: Priority,
    share: Share,
    pub(super) entered: Moment,
    patient_until: Moment,
    deadline: Moment,
}

/// What a model name means here.
pub(super) fn find(live: &Live, model: &ModelName) -> Result<Found, Fault> {
    live.catalogue.find(model.as_str()).map_err(|unknown| Fault::UnknownModel {
        model: model.as_str().chars().take(SHOWN_NAME_MAX).collect(),
        suggestions: unknown.suggestions,
    })
}

/// The class of an exchange: what its client names, else what its route says.
pub(super) fn priority(live: &Live, found: &Found, headers: &HeaderMap) -> Result<Priority, Fault> {
    let of_route = || found.route.as_ref().and_then(|route| live.priorities.get(route)).copied();
    match headers.get(PRIORITY_HEADER) {
        None => Ok(of_route().unwrap_or_default()),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(Priority::from_name)
            .ok_or(Fault::BadHeader { name: PRIORITY_HEADER, must_be: "interactive, normal or batch" }),
    }
}

impl Course {
    pub(super) fn new(
        live: &Live,
        found: Found,
        cost: Cost,
        (priority, share): (Priority, Share),
        entered: Moment,
    ) -> Course {
        let queue = &live.settings.queue;
        let deadline = entered + queue.max_wait;
        Course {
            plan: Plan::new(found.targets, live.settings.retry, deadline),
            cost,
            output_guess: Tokens(u64::from(live.settings.output_guess)),
            refusal: None,
            priority,
            share,
            entered,
            patient_until: entered + queue.patience,
            deadline,
        }
    }

    /// What to ask of the desk: all targets of the plan that are not known to be sick.
    pub(super) fn ask(&self, gateway: &Gateway, live: &Live, now: Moment) -> Result<Ask, Fault> {
        let targets =
            gateway.health.well(self.plan.remaining(), now).map_err(|until| Fault::AllSick { until })?;
        let choice = |target: TargetId| {
            let cost = live.counting(&target.provider).reserved(self.cost, self.output_guess);
            Choice { target, cost }
        };
        Ok(Ask {
            choices: targets.into_iter().map(choice).collect(),
            priority: self.priority,
            share: self.share,
            entered: self.entered,
            patient_until: self.patient_until,
            deadline: self.deadline,
        })
    }
}
