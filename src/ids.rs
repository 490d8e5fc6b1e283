//! Names of things, each its own type so that one cannot stand for another.
//!
//! Providers, targets and routes are named, not numbered: a reload may reorder them, and what was
//! learned about one must stay with it. A clone costs one count.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $type {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

name! {
    /// The name of an upstream account: as in `[provider.NAME]`, or `NAME@ACCOUNT` where that has several.
    ProviderId
}

name! {
    /// The name of a budget: a provider's own is called as the provider is, a pool as its target, and a group of
    /// targets that share one limit has `group:` before its name.
    BudgetId
}

/// What stands between the name of a provider and that of one of its accounts. No other name of ours holds it.
pub const ACCOUNT_MARK: char = '@';

impl ProviderId {
    /// The name of one account of this provider.
    pub fn account(&self, name: &str) -> ProviderId {
        ProviderId::from(format!("{self}{ACCOUNT_MARK}{name}"))
    }
}

impl BudgetId {
    /// The budget of a group's configured limits.
    pub fn of_group(name: &str) -> BudgetId {
        BudgetId::from(format!("group:{name}"))
    }

    /// The pool that the members of a group have in common.
    pub fn of_group_pool(name: &str) -> BudgetId {
        BudgetId::from(format!("group:{name}/*"))
    }

    /// Whose budget it is: the provider's name without that of its account.
    pub fn owner(&self) -> &str {
        self.as_str().split(ACCOUNT_MARK).next().unwrap_or_default()
    }
}

name! {
    /// A model name; opaque, because every vendor has its own grammar for them.
    ModelName
}

name! {
    /// What one exchange is called in logs and headers. Kept from the client's `x-request-id` where it
    /// sent a usable one, else made so that ids sort by time.
    RequestId
}

/// A provider and one of its model names; written `provider/model`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The account.
    pub provider: ProviderId,
    /// The name that the provider knows the model by.
    pub model: ModelName,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for TargetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TargetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        // A provider's name has no slash; a model's may.
        let (provider, model) = written.split_once('/').unwrap_or((&written, ""));
        Ok(TargetId { provider: provider.into(), model: model.into() })
    }
}
