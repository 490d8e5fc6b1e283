//! What the exchanges of a gateway need to know: providers, routes, and the rules between them.

use crate::admission::{Limits, Priority, QueueSettings};
use crate::dialect::Family;
use crate::ids::{ModelName, ProviderId, TargetId};
use crate::routing::{BreakerPolicy, RetryPolicy};
use crate::upstream::UpstreamSettings;

/// One upstream account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub id: ProviderId,
    /// The dialects that it speaks.
    pub family: Family,
    /// How it is reached.
    pub upstream: UpstreamSettings,
    /// What it allows.
    pub limits: Limits,
    /// When its targets count as sick.
    pub breaker: BreakerPolicy,
    /// Models known to be its own. May be empty: then it serves what is named with its prefix, and
    /// everything if it is the only or the default provider.
    pub models: Vec<ModelName>,
}

/// A public model name and its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What clients ask for.
    pub name: ModelName,
    /// Who may serve it, in failover order; at least one.
    pub targets: Vec<TargetId>,
    /// The class of its exchanges, unless the client names another.
    pub priority: Priority,
}

/// Everything that a reload may change for exchanges to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// The accounts.
    pub providers: Vec<Provider>,
    /// The public names.
    pub routes: Vec<Route>,
    /// Where models that nobody lists and paths that are not understood go.
    pub default_provider: Option<ProviderId>,
    /// How exchanges wait.
    pub queue: QueueSettings,
    /// How attempts are spaced.
    pub retry: RetryPolicy,
    /// Output tokens reserved for a call that names no cap.
    pub output_guess: u32,
}
