//! What the exchanges of a gateway need to know: providers, routes, and the rules between them.

use crate::admission::{Counting, Limits, Priority, QueueSettings};
use crate::dialect::Family;
use crate::ids::{ModelName, ProviderId, TargetId};
use crate::routing::{BreakerPolicy, RetryPolicy};
use crate::upstream::UpstreamSettings;
use std::collections::BTreeMap;
use std::time::Duration;

/// One upstream account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub id: ProviderId,
    /// The provider that it is an account of, where that has several: what targets and prefixes name.
    pub account_of: Option<ProviderId>,
    /// The dialects that it speaks.
    pub family: Family,
    /// How it is reached.
    pub upstream: UpstreamSettings,
    /// What it allows.
    pub limits: Limits,
    /// When a day's limits come back, where they do so all at once.
    pub day_end: Option<DayEnd>,
    /// What it charges against that.
    pub counting: Counting,
    /// How long it keeps the beginning of a conversation that it has read.
    pub cache_life: Duration,
    /// When its targets count as sick.
    pub breaker: BreakerPolicy,
    /// Models known to be its own. May be empty: then it serves what is named with its prefix, and
    /// everything if it is the only or the default provider.
    pub models: Vec<ModelName>,
    /// Prefixes of model names that are known to be this provider's, such as `claude-`: for a model that no
    /// route and nobody's `models` names. Of several that fit, the longest tells.
    pub claims: Vec<String>,
}

impl Provider {
    /// How long the vendors say that they keep what they have read: OpenAI five to ten minutes, Anthropic five.
    pub const CACHE_LIFE: Duration = Duration::from_secs(5 * 60);

    /// The provider as targets and prefixes name it.
    pub fn name(&self) -> &ProviderId {
        self.account_of.as_ref().unwrap_or(&self.id)
    }
}

/// When a day's limits come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayEnd {
    /// Minutes after midnight.
    pub minute: u16,
    /// By whose clock.
    pub zone: Zone,
}

/// A clock on somebody's wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Minutes that it is ahead of UTC in winter.
    pub ahead: i16,
    /// Whether it is put forward in summer as in the United States.
    pub is_american: bool,
}

/// Targets that share one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whose calls count.
    pub members: Vec<Member>,
    /// What they may use together.
    pub limits: Option<Limits>,
    /// When a day's limits come back, where they do so all at once.
    pub day_end: Option<DayEnd>,
    /// Whether what the answers to one member tell of its limits holds for all of them.
    pub learn_together: bool,
}

/// Which targets belong to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The provider, which means all of its accounts, or one account.
    pub provider: ProviderId,
    /// Which of its models.
    pub models: MemberModels,
}

/// Models of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberModels {
    /// All.
    All,
    /// This one.
    One(ModelName),
    /// Those whose names begin so.
    Beginning(String),
}

impl MemberModels {
    /// Whether this model is one of them.
    pub fn hold(&self, model: &str) -> bool {
        match self {
            MemberModels::All => true,
            MemberModels::One(one) => one.as_str() == model,
            MemberModels::Beginning(beginning) => model.starts_with(beginning.as_str()),
        }
    }

    /// Whether some model may be one of both.
    pub fn meet(&self, other: &MemberModels) -> bool {
        use MemberModels::{All, Beginning, One};
        match (self, other) {
            (All, _) | (_, All) => true,
            (One(one), models) | (models, One(one)) => models.hold(one.as_str()),
            (Beginning(one), Beginning(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
        }
    }
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

/// How a streaming client is kept alive until its answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// How long after its request it gets the head of its answer; `None` if it gets it with the answer alone.
    pub after: Option<Duration>,
    /// How often it then gets a sign of life.
    pub every: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        KeepAlive { after: Some(Duration::from_secs(15)), every: Duration::from_secs(10) }
    }
}

/// Everything that a reload may change for exchanges to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// The accounts.
    pub providers: Vec<Provider>,
    /// Those of their targets that share limits.
    pub groups: Vec<Group>,
    /// The public names.
    pub routes: Vec<Route>,
    /// Where models that nobody lists and paths that are not understood go.
    pub default_provider: Option<ProviderId>,
    /// How exchanges wait.
    pub queue: QueueSettings,
    /// How streaming clients are kept alive while they wait.
    pub keepalive: KeepAlive,
    /// How much room a client gets beside others, in thousandths of the usual: by the name that it gives itself, its
    /// session, its user or its address.
    pub weights: BTreeMap<String, u32>,
    /// How attempts are spaced.
    pub retry: RetryPolicy,
    /// Output tokens reserved for a call that names no cap, where nothing is known of answers like its own.
    pub output_guess: u32,
    /// How many of the last exchanges can be told of; 0 tells of none.
    pub exchanges_kept: usize,
    /// What estimates learn.
    pub learning: LearningSettings,
}

/// What estimates learn from usage that providers report, and remember of what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningSettings {
    /// Whether estimates are corrected, and outputs guessed, by what was reported before.
    pub learn: bool,
    /// How many answers of a hundred are to be no longer than the output that is reserved without a cap.
    pub output_percentile: u8,
    /// How many counts of texts are remembered.
    pub memo_entries: u32,
}

impl Default for LearningSettings {
    fn default() -> Self {
        LearningSettings { learn: true, output_percentile: 90, memo_entries: 65_536 }
    }
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        ExchangeSettings {
            providers: Vec::new(),
            groups: Vec::new(),
            routes: Vec::new(),
            default_provider: None,
            queue: QueueSettings::default(),
            keepalive: KeepAlive::default(),
            weights: BTreeMap::new(),
            retry: RetryPolicy::default(),
            output_guess: 1_024,
            exchanges_kept: 10_000,
            learning: LearningSettings::default(),
        }
    }
}
