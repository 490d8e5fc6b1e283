//! What came of a run, and how it reads: one table for virtual and for real time.

use crate::scenario::Scenario;
use std::fmt;
use std::time::Duration;

/// What one client has seen in the measured time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The number of its group.
    pub(crate) group: usize,
    /// Tokens of calls that were served: prompts as they were counted, and caps.
    pub(crate) tokens: u64,
    pub(crate) errors: u64,
    /// How much longer each served call took than its answer alone.
    pub(crate) waits: Vec<Duration>,
}

/// What the provider has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Tokens charged, to whomever.
    pub(crate) charged: u64,
    /// Requests from the clients that are measured, and how many of them were refused.
    pub(crate) received: u64,
    pub(crate) limited: u64,
    /// The same of the second program.
    pub(crate) second_received: u64,
    pub(crate) second_limited: u64,
}

impl Counts {
    /// What was counted since.
    pub(crate) fn since(self, earlier: Counts) -> Counts {
        Counts {
            charged: self.charged - earlier.charged,
            received: self.received - earlier.received,
            limited: self.limited - earlier.limited,
            second_received: self.second_received - earlier.second_received,
            second_limited: self.second_limited - earlier.second_limited,
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) scenario: Scenario,
    /// Tokens that the limit allowed in the measured time.
    pub(crate) allowed: f64,
    /// Tokens that were left in the account when that began, as far as it is known: a provider lets these pass too.
    pub(crate) left: f64,
    pub(crate) counts: Counts,
    pub(crate) clients: Vec<Seen>,
}

impl Measured {
    /// The part of the limit that was used.
    pub(crate) fn used(&self) -> f64 {
        float(self.counts.charged) / self.allowed
    }

    /// Whether no more was used than there was.
    pub(crate) fn is_possible(&self) -> bool {
        float(self.counts.charged) <= self.allowed * 1.001 + self.left
    }

    /// Upstream requests that ran into the limit, of a thousand.
    pub(crate) fn limited(&self) -> f64 {
        1_000.0 * float(self.counts.limited) / float(self.counts.received.max(1))
    }

    pub(crate) fn errors(&self) -> u64 {
        self.clients.iter().map(|seen| seen.errors).sum()
    }

    /// The longest wait of this part of a group's served calls.
    pub(crate) fn wait(&self, group: &str, part: f64) -> Duration {
        let mut waits: Vec<Duration> = self.group(group).flat_map(|seen| seen.waits.clone()).collect();
        waits.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
        let place = (float(waits.len() as u64) * part).ceil() as usize;
        waits.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Jain's index of fairness: 1 if all of a group have the same, one over their number if one has everything.
    pub(crate) fn jain(&self, group: &str) -> f64 {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for share in self.group(group).map(|seen| float(seen.tokens)) {
            (count, sum, squares) = (count + 1.0, sum + share, squares + share * share);
        }
        if squares > 0.0 { sum * sum / (count * squares) } else { 0.0 }
    }

    fn group(&self, name: &str) -> impl Iterator<Item = &Seen> {
        let index = self.scenario.groups.iter().position(|group| group.name == name);
        self.clients.iter().filter(move |seen| Some(seen.group) == index)
    }
}

/// The heading of the table.
pub(crate) const HEAD: &str = "\
scenario                                         used  429/1000  errors  group        served     p50 s     p99 s    Jain
";

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.scenario.groups.iter().enumerate() {
            match index {
                0 => write!(
                    f,
                    "{:<46}{:>5.1} {}{:>10.1}{:>8}",
                    self.scenario.title(),
                    100.0 * self.used(),
                    // More than there was cannot have been used, and was measured wrongly.
                    if self.is_possible() { "%" } else { "?" },
                    self.limited(),
                    self.errors()
                )?,
                _ => write!(f, "{:<71}", "")?,
            }
            let served: usize = self.group(group.name).map(|seen| seen.waits.len()).sum();
            let [half, most] = [0.5, 0.99].map(|part| self.wait(group.name, part).as_secs_f64());
            let jain = self.jain(group.name);
            writeln!(f, "  {:<11}{served:>8}{half:>10.2}{most:>10.2}{jain:>8.4}", group.name)?;
        }
        let Counts { second_received, second_limited, .. } = self.counts;
        if second_received > 0 {
            let rate = 1_000.0 * float(second_limited) / float(second_received);
            writeln!(f, "{:<46}{:>17.1}{:>10}{second_received:>11}", "", rate, "second")?;
        }
        Ok(())
    }
}

/// A count as a number for parts and rates.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52, for percentages")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
