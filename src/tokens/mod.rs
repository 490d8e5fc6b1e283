//! What a call may cost, before anyone has counted it.
//!
//! [`Estimator::estimate`] is the door: a model's name, a call and its content in, tokens out.
//! Pure and blocking; counting past [`INLINE_BYTES_MAX`] belongs on a blocking thread.

mod encoding;
mod estimator;
mod family;
mod image;
mod pieces;
mod tools;
mod vocabulary;

pub use encoding::Encoding;
pub use estimator::{Estimate, Estimator, EstimatorSettings, INLINE_BYTES_MAX, counted_bytes};
