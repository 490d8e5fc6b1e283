//! The built-in provider: a real HTTP server with limits, delays and faults.
