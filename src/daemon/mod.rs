//! The composition root: builds the parts, runs them, drains them.
