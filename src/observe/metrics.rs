//! Every metric, by name, in one place.
//!
//! Names carry the prefix `tidegate_` and base units. Label values come from configuration or from a
//! closed set, never from a client, so that nobody can make the page grow without bound.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A set of labels: names and values.
pub type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge<f64, AtomicU64>>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Bucket edges of durations, in seconds: those of OpenTelemetry's `gen_ai.client.operation.duration`,
/// so that both can be drawn on one graph.
const DURATIONS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bucket edges of our own work, in seconds: it is to stay under a millisecond.
const OVERHEADS: [f64; 9] = [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 0.1, 1.0];
/// Bucket edges of truth divided by estimate.
const RATIOS: [f64; 10] = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0];

fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

fn ratios() -> Histogram {
    Histogram::new(RATIOS)
}

/// The metrics of one daemon. Fields are named as the metric, without the prefix and the unit.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Labels: dialect, provider, status (`2xx` and so on).
    pub requests: Counters<3>,
    /// Labels: dialect, provider.
    pub request_duration: Histograms<2>,
    /// Labels: provider.
    pub time_to_first_token: Histograms<1>,
    /// Labels: provider, priority.
    pub queue_wait: Histograms<2>,
    /// Labels: priority. Set when the page is read.
    pub queue_depth: Gauges<1>,
    /// Labels: reason.
    pub refused: Counters<1>,
    /// Reading, estimating and planning.
    pub overhead: Histogram,
    /// Labels: provider, type.
    pub tokens: Counters<2>,
    /// Labels: provider.
    pub token_estimate_error: Histograms<1>,
    /// Labels: how.
    pub estimated_bytes: Counters<1>,
    /// Labels: provider. Set when the page is read.
    pub estimate_correction: Gauges<1>,
    /// Labels: what. Set when the page is read.
    pub learned_entries: Gauges<1>,
    /// Labels: provider, model (empty for the provider's configured limits), limit. Set when the page is read.
    pub bucket_available_tokens: Gauges<3>,
    /// Labels: provider, model (as above), limit. Set when the page is read.
    pub bucket_available_requests: Gauges<3>,
    /// Labels: provider, model, limit. Set when the page is read.
    pub limit_used_elsewhere: Gauges<3>,
    /// Labels: provider. Set when the page is read.
    pub reservations_open: Gauges<1>,
    /// Labels: provider, model. 0 closed, 1 probing, 2 open. Set when the page is read.
    pub breaker_state: Gauges<2>,
    /// Labels: provider, status.
    pub upstream_requests: Counters<2>,
    /// Labels: provider, kind.
    pub upstream_errors: Counters<2>,
    /// Labels: reason.
    pub retries: Counters<1>,
    /// Labels: from, to.
    pub failovers: Counters<2>,
    /// Labels: from (the client's dialect), to (the target's).
    pub translated: Counters<2>,
    /// Labels: provider.
    pub targets_skipped: Counters<1>,
    /// Labels: provider.
    pub streams_broken: Counters<1>,
    /// Labels: stage.
    pub cancelled: Counters<1>,
    /// Labels: dialect.
    pub kept_alive: Counters<1>,
    /// Labels: provider.
    pub passthrough: Counters<1>,
    /// Labels: reason. What was turned away before it became an exchange.
    pub rejected: Counters<1>,
    /// Client connections.
    pub connections_open: Gauge,
    /// Times that a new connection had to wait for another to end.
    pub accepts_delayed: Counter,
    /// Request bodies, in bytes.
    pub bodies_held: Gauge,
    /// Exchanges that can be told of. Set when the page is read.
    pub exchanges_kept: Gauge,
    /// Clients that took nothing of their answers any more and were cut off.
    pub clients_stalled: Counter,
    /// 1 or 0.
    pub config_last_reload_successful: Gauge,
    /// Seconds since 1970.
    pub config_last_reload_timestamp: Gauge,
    /// Checkpoints written.
    pub checkpoints: Counter,
    /// 1 while state outlives the process.
    pub store_healthy: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(durations),
            time_to_first_token: Family::new_with_constructor(durations),
            queue_wait: Family::new_with_constructor(durations),
            queue_depth: Family::default(),
            refused: Family::default(),
            overhead: Histogram::new(OVERHEADS),
            tokens: Family::default(),
            token_estimate_error: Family::new_with_constructor(ratios),
            estimated_bytes: Family::default(),
            estimate_correction: Family::default(),
            learned_entries: Family::default(),
            bucket_available_tokens: Family::default(),
            bucket_available_requests: Family::default(),
            limit_used_elsewhere: Family::default(),
            reservations_open: Family::default(),
            breaker_state: Family::default(),
            upstream_requests: Family::default(),
            upstream_errors: Family::default(),
            retries: Family::default(),
            failovers: Family::default(),
            translated: Family::default(),
            targets_skipped: Family::default(),
            streams_broken: Family::default(),
            cancelled: Family::default(),
            kept_alive: Family::default(),
            passthrough: Family::default(),
            rejected: Family::default(),
            connections_open: Gauge::default(),
            accepts_delayed: Counter::default(),
            bodies_held: Gauge::default(),
            exchanges_kept: Gauge::default(),
            clients_stalled: Counter::default(),
            config_last_reload_successful: Gauge::default(),
            config_last_reload_timestamp: Gauge::default(),
            checkpoints: Counter::default(),
            store_healthy: Gauge::default(),
        };
        metrics.register_exchange();
        metrics.register_upstream();
        metrics.register_daemon();
        metrics
    }

    /// The page that Prometheus reads, in the OpenMetrics text format.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut page, &self.registry);
        page
    }

    fn register_exchange(&mut self) {
        let r = &mut self.registry;
        r.register("tidegate_requests", "Exchanges that were answered", self.requests.clone());
        r.register(
            "tidegate_request_duration_seconds",
            "From the request's last byte to the answer's last byte",
            self.request_duration.clone(),
        );
        r.register(
            "tidegate_time_to_first_token_seconds",
            "From sending upstream to the first byte of the answer's body",
            self.time_to_first_token.clone(),
        );
        r.register("tidegate_queue_wait_seconds", "Time spent waiting for room", self.queue_wait.clone());
        r.register("tidegate_queue_depth", "Exchanges that wait for room", self.queue_depth.clone());
        r.register("tidegate_refused", "Exchanges that tidegate itself refused", self.refused.clone());
        r.register("tidegate_overhead_seconds", "Reading, estimating and planning", self.overhead.clone());
        r.register("tidegate_tokens", "Tokens that were settled", self.tokens.clone());
        r.register(
            "tidegate_token_estimate_error_ratio",
            "Input tokens that the provider counted, divided by those estimated",
            self.token_estimate_error.clone(),
        );
        r.register(
            "tidegate_estimated_bytes",
            "Bytes of text that were estimated, counted or remembered",
            self.estimated_bytes.clone(),
        );
        r.register(
            "tidegate_estimate_correction_ratio",
            "What estimates of input are multiplied by for a model that is new at the provider",
            self.estimate_correction.clone(),
        );
        r.register(
            "tidegate_learned_entries",
            "Entries of what estimates have learned; bounded",
            self.learned_entries.clone(),
        );
        r.register("tidegate_cancelled", "Exchanges whose client went away", self.cancelled.clone());
        r.register(
            "tidegate_kept_alive",
            "Streams whose head went out before their answer began",
            self.kept_alive.clone(),
        );
        r.register("tidegate_passthrough", "Requests passed on unread", self.passthrough.clone());
    }

    fn register_upstream(&mut self) {
        let r = &mut self.registry;
        r.register(
            "tidegate_bucket_available_tokens",
            "Tokens that could be taken now; negative in debt",
            self.bucket_available_tokens.clone(),
        );
        r.register(
            "tidegate_bucket_available_requests",
            "Requests that could be taken now",
            self.bucket_available_requests.clone(),
        );
        r.register(
            "tidegate_limit_used_elsewhere",
            "Units that others took from a limit of the account in the last minute",
            self.limit_used_elsewhere.clone(),
        );
        r.register("tidegate_reservations_open", "Exchanges at the provider", self.reservations_open.clone());
        r.register(
            "tidegate_breaker_state",
            "0 closed, 1 probing, 2 open; targets that have never failed are absent",
            self.breaker_state.clone(),
        );
        r.register(
            "tidegate_upstream_requests",
            "Attempts, by the status class of the answer",
            self.upstream_requests.clone(),
        );
        r.register("tidegate_upstream_errors", "Attempts that failed, by kind", self.upstream_errors.clone());
        r.register("tidegate_retries", "Attempts beyond the first of an exchange", self.retries.clone());
        r.register("tidegate_failovers", "Attempts at another provider than before", self.failovers.clone());
        r.register("tidegate_translated", "Answers that crossed dialects", self.translated.clone());
        r.register(
            "tidegate_targets_skipped",
            "Targets left out because their dialect cannot say what was asked",
            self.targets_skipped.clone(),
        );
        r.register(
            "tidegate_streams_broken",
            "Answers that broke after they had begun",
            self.streams_broken.clone(),
        );
    }

    fn register_daemon(&mut self) {
        let build = Family::<Labels<1>, Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        let r = &mut self.registry;
        r.register("tidegate_build_info", "What runs", build);
        r.register("tidegate_rejected", "Requests and connections turned away unread", self.rejected.clone());
        r.register("tidegate_connections_open", "Client connections", self.connections_open.clone());
        r.register(
            "tidegate_accepts_delayed",
            "Times that a new connection waited for another to end",
            self.accepts_delayed.clone(),
        );
        r.register(
            "tidegate_bodies_held_bytes",
            "Request bodies that are being read, or whose exchanges have no answer yet",
            self.bodies_held.clone(),
        );
        r.register(
            "tidegate_exchanges_kept",
            "Exchanges whose stories are kept",
            self.exchanges_kept.clone(),
        );
        r.register(
            "tidegate_clients_stalled",
            "Clients that stopped reading their answers and were cut off",
            self.clients_stalled.clone(),
        );
        r.register(
            "tidegate_config_last_reload_successful",
            "1 if the last reload took effect",
            self.config_last_reload_successful.clone(),
        );
        r.register(
            "tidegate_config_last_reload_timestamp_seconds",
            "When the last reload was tried",
            self.config_last_reload_timestamp.clone(),
        );
        r.register("tidegate_checkpoints", "Checkpoints written", self.checkpoints.clone());
        r.register(
            "tidegate_store_healthy",
            "1 while state outlives the process",
            self.store_healthy.clone(),
        );
    }
}

/// The class of an HTTP status as a label: `2xx`.
pub fn status_class(status: u16) -> String {
    format!("{}xx", status / 100)
}

/// A duration as metrics count it.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_bears_the_prefix_and_is_explained() {
        let metrics = Metrics::new();
        let _ = metrics.requests.get_or_create(&[
            ("dialect", "chat".into()),
            ("provider", "a".into()),
            ("status", status_class(200)),
        ]);
        let page = metrics.page();
        assert!(page.contains("tidegate_requests_total{dialect=\"chat\",provider=\"a\",status=\"2xx\"} 0"));
        let typed: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(typed.len() >= 8 && typed.iter().all(|name| name.starts_with("tidegate_")), "{typed:?}");
    }
}
