//! What a call may cost, before anyone has counted it.
