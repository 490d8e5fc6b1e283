//! What a provider says of its own limits, as facts: whoever reads headers and bodies brings these.
//!
//! Knows no names of headers and no vendor. A fact may be wrong, late or rounded; how far it is believed is for
//! the budget that hears it.

use super::budget::Dimension;
use crate::units::Moment;
use std::time::Duration;

/// What an answer says of one limit, as the provider saw it when it let the call in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which limit.
    pub dimension: Dimension,
    /// Units in one window; never 0.
    pub limit: Option<u64>,
    /// Units that were left, this call's own already taken.
    pub remaining: Option<u64>,
    /// How long after the answer the bucket would be full again, if nothing more were taken.
    pub full_in: Option<Duration>,
    /// `remaining` is rounded to the nearest multiple of this; at least 1.
    pub grain: u64,
}

/// A refusal for want of room: a 429 that waiting helps against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What is short.
    pub meaning: Meaning,
    /// Nobody is sent there before this moment.
    pub until: Moment,
    /// Which limit, if it was said.
    pub dimension: Option<Dimension>,
    /// That limit's units in one window, if they were said.
    pub limit: Option<u64>,
}

/// What a provider that refuses for want of room is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// A limit over a minute or less.
    Minute,
    /// A limit over a day.
    Day,
    /// No limit is reached, but traffic grows faster than the provider allows.
    Ramp,
}
