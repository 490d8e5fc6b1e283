//! The gateway over real sockets: a daemon on a free port in front of simulated providers.
//!
//! - `world`: the daemon, its providers and a client for them.
//! - `raw`: bytes on a socket, for what no well-behaved client and no well-behaved provider sends.
//! - `answers`: what comes back, plain and streamed, and in which headers.
//! - `hostile`: bodies that are no calls, and calls that cannot be meant.
//! - `hostile_sizes`: what is too large, too slow, or never ends.
//! - `bodies`: bodies that are too many together.
//! - `hostile_http`: what is no proper HTTP, and what must not travel from one connection to another.
//! - `guard`: who may talk to the gateway at all, and requests that come round in circles.
//! - `explain`: the story of each exchange.
//! - `canary`: no key in anything that leaves.
//! - `passthrough`: paths that are passed on unread.
//! - `health`: what the gateway tells of itself, and its drain.
//! - `metrics`: the page that Prometheus reads, and what moves which number.
//! - `openmetrics`: a reader of that page.
//! - `listeners`: connections and Unix sockets.
//! - `reload`: settings that change while exchanges run and wait.
//! - `odd_streams`: streams as providers really send them, and what they cost.
//! - `beside`: what several tests do beside it.
//! - `waiting`: who finds no room waits for it.
//! - `kept`: who waits for a stream is kept alive.
//! - `refused_in_time`: who cannot be kept alive is refused before giving up.
//! - `learning`: estimates that learn, and counts that are remembered.
//! - `told_limits`: limits that the provider tells.
//! - `leaving`: clients that go away.
//! - `stalled`: clients that stop reading.
//! - `refused_for_now`: a provider's 429.
//! - `five_meanings`: what a 429 may mean, and what follows from each.
//! - `dialects`: each dialect within itself.
//! - `crossing`: plans that cross dialects.
//! - `borders`: where dialects, rules and providers meet.
//! - `odd_crossings`: answers that cross dialects and are odd.
//! - `tongues`: the dialects as clients speak them.
//! - `failover`: a provider that cannot serve.
//! - `breakers`: a provider that keeps failing.
//! - `broken_streams`: answers that go wrong after they have begun.
//! - `state`: what outlives the daemon.
//! - `odd`: providers that break off, fall silent, or answer in ways that none should.

mod accounts;
mod answers;
mod beside;
mod bodies;
mod borders;
mod breakers;
mod broken_streams;
mod canary;
mod crossing;
mod dialects;
mod explain;
mod failover;
mod five_meanings;
mod guard;
mod health;
mod hostile;
mod hostile_http;
mod hostile_sizes;
mod kept;
mod learning;
mod leaving;
mod listeners;
mod metrics;
mod odd;
mod odd_crossings;
mod odd_streams;
mod openmetrics;
mod passthrough;
mod raw;
mod refused_for_now;
mod refused_in_time;
mod reload;
mod stalled;
mod state;
mod told_limits;
mod tongues;
mod waiting;
mod world;
