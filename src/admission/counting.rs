//! What an exchange holds and settles under a provider's rules of counting.
//!
//! Pure arithmetic over [`Cost`]; the desk knows none of it and holds what it is told to hold.

use super::budget::Cost;
use super::limits::Counting;
use crate::units::Tokens;

impl Counting {
    /// What to hold for a call of this estimate. `guess` is held of output that counts only as it is produced.
    pub fn reserved(&self, estimate: Cost, _guess: Tokens) -> Cost {
        estimate
    }

    /// What to settle on, where `held` was held and `truth` is what the call has used, `cached` of its input
    /// read from the provider's cache.
    pub fn settled(&self, _held: Cost, truth: Cost, _cached: Tokens) -> Cost {
        truth
    }
}
