//! What a call may cost, before anyone has counted it.
//!
//! [`Estimator::estimate`] is the door: a model's name, a call and its content in, tokens out. [`Memo`] keeps it
//! from counting twice; [`Corrections`] and [`OutputLengths`] learn from what providers report.
//! Pure and blocking; counting past [`INLINE_BYTES_MAX`] belongs on a blocking thread.

mod correction;
mod encoding;
mod estimator;
mod family;
mod generations;
mod image;
mod kind;
mod memo;
mod output;
mod pieces;
mod tools;
mod vocabulary;

pub use correction::{Correction, Corrections, FACTOR_MAX, FACTOR_MIN, SavedLevel};
pub use encoding::Encoding;
pub use estimator::{Estimate, Estimator, EstimatorSettings, INLINE_BYTES_MAX, counted_bytes};
pub use kind::Kind;
pub use memo::{Memo, Work};
pub use output::{OutputLengths, SavedLengths};
