//! Who may serve an exchange: the plan, with sick targets left out, and what it asks of the desk.

use super::Gateway;
use super::beginning::GivenBack;
use super::fault::Fault;
use super::learned::Sizing;
use super::live::Live;
use crate::admission::{Ask, Choice, Priority, Share, Turn};
use crate::ids::{ModelName, TargetId};
use crate::routing::{Found, Plan};
use crate::units::Moment;
use http::HeaderMap;

/// The header with which a client names its class.
const PRIORITY_HEADER: &str = "x-tidegate-priority";

/// How much of an unknown model's name is shown in an error.
const SHOWN_NAME_MAX: usize = 80;

/// The course of one exchange, from its plan to its end.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) plan: Plan,
    /// The call, as it was estimated for its first target.
    pub(super) sizing: Sizing,
    /// The last refusal of a provider that could be given back.
    pub(super) refusal: Option<GivenBack>,
    pub(super) priority: Priority,
    pub(super) entered: Moment,
    /// Whose it is.
    pub(super) share: Share,
    /// Its place in the order of service, once it was granted room.
    pub(super) turn: Option<Turn>,
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
        sizing: Sizing,
        (priority, share): (Priority, Share),
        entered: Moment,
        deadline: Moment,
    ) -> Course {
        Course {
            plan: Plan::new(found.targets, live.settings.retry, deadline),
            sizing,
            refusal: None,
            priority,
            share,
            entered,
            turn: None,
            patient_until: entered + live.settings.queue.patience,
            deadline,
        }
    }

    /// What to ask of the desk: all targets of the plan that are not known to be sick.
    pub(super) fn ask(&self, gateway: &Gateway, live: &Live, now: Moment) -> Result<Ask, Fault> {
        let targets =
            gateway.health.well(self.plan.remaining(), now).map_err(|until| Fault::AllSick { until })?;
        let choice = |(rank, target): (usize, TargetId)| {
            let foresight = gateway.learned.foresee(&self.sizing, &target);
            let cost = foresight.reserved(live.counting(&target.provider));
            let open_from = if rank == 0 { self.entered } else { self.patient_until };
            Choice { draws: live.draws(&target), target, cost, open_from }
        };
        Ok(Ask {
            choices: targets.into_iter().enumerate().map(choice).collect(),
            priority: self.priority,
            share: self.share,
            entered: self.entered,
            turn: self.turn,
            deadline: self.deadline,
        })
    }
}
