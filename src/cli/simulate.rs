//! `tidegate simulate`: the built-in provider alone, to try clients and limits against.

use super::terminal::say;
use crate::config::Env;
use crate::daemon::{
    self, CountingWindow, LimitHeaders, OutputCharge, SimulatedCounting, SimulatedLimits, Simulation,
};
use crate::secret::Secret;
use crate::units::parse_duration;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// What to simulate. Delays and faults are set while it runs, at `/control`, and so may all of these be.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// Listen here.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8434")]
    listen: SocketAddr,
    /// A model to serve. May be repeated.
    #[arg(long = "model", value_name = "NAME", default_values_t = ["sim".to_owned()])]
    models: Vec<String>,
    /// What answers and errors are derived from.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    counting: CountingArguments,
}

/// What is enforced; 0 is no limit.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What is enforced; 0 is no limit")]
struct LimitArguments {
    /// Requests a minute.
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    requests_per_minute: u64,
    /// Requests a day.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    requests_per_day: u64,
    /// Input and output tokens together, a minute.
    #[arg(long, value_name = "NUMBER", default_value_t = 60_000)]
    tokens_per_minute: u64,
    /// Input and output tokens together, a day.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    tokens_per_day: u64,
    /// Input tokens a minute.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    input_tokens_per_minute: u64,
    /// Output tokens a minute.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    output_tokens_per_minute: u64,
    /// Requests at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    concurrent: u64,
}

/// What counts against that, and what is said of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What counts against it, and what is said of it")]
struct CountingArguments {
    /// Whose headers tell what is left: own (as the dialect's family), openai, anthropic, none.
    #[arg(long, value_name = "FAMILY", default_value = "own")]
    limit_headers: LimitHeaders,
    /// Refusals do not say when to come back.
    #[arg(long)]
    untold_wait: bool,
    /// Count, and report as usage, so many times the tokens.
    #[arg(long, value_name = "FACTOR", default_value = "1.0", value_parser = count_factor)]
    count_factor: f64,
    /// When output counts: own (as the dialect's family), at_admission, as_produced, never.
    #[arg(long, value_name = "WHEN", default_value = "own")]
    output_counts: OutputCharge,
    /// Whether input that its cache held counts; if not given, as with the dialect's family.
    #[arg(long, value_name = "true|false")]
    cached_input: Option<bool>,
    /// Give back at the end what was charged at admission and not written.
    #[arg(long)]
    gives_back: bool,
    /// Requests that are refused for a limit count as requests.
    #[arg(long)]
    refused_count: bool,
    /// Over what time requests are counted: continuous, minute, second.
    #[arg(long, value_name = "WINDOW", default_value = "continuous")]
    requests_window: CountingWindow,
    /// Over what time tokens are counted: continuous, minute, second.
    #[arg(long, value_name = "WINDOW", default_value = "continuous")]
    tokens_window: CountingWindow,
    /// How long a day is, counted from the start, such as 1d or 90s.
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = day)]
    day: Duration,
}

impl LimitArguments {
    fn limits(&self) -> SimulatedLimits {
        let limit = |number: u64| (number > 0).then_some(number);
        SimulatedLimits {
            requests_per_minute: limit(self.requests_per_minute),
            requests_per_day: limit(self.requests_per_day),
            tokens_per_minute: limit(self.tokens_per_minute),
            tokens_per_day: limit(self.tokens_per_day),
            input_tokens_per_minute: limit(self.input_tokens_per_minute),
            output_tokens_per_minute: limit(self.output_tokens_per_minute),
            concurrent: limit(self.concurrent),
        }
    }
}

impl CountingArguments {
    fn counting(&self) -> SimulatedCounting {
        SimulatedCounting {
            limit_headers: self.limit_headers,
            tells_wait: !self.untold_wait,
            count_factor: self.count_factor,
            output: self.output_counts,
            cached_input: self.cached_input,
            gives_back: self.gives_back,
            refused_count: self.refused_count,
            requests_window: self.requests_window,
            tokens_window: self.tokens_window,
            day: self.day,
        }
    }
}

fn count_factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| SimulatedCounting::is_factor(*factor));
    factor.ok_or_else(|| "a factor is a number above 0 and up to 100".to_owned())
}

fn day(text: &str) -> Result<Duration, String> {
    let day = parse_duration(text).filter(|day| !day.is_zero());
    day.ok_or_else(|| "a day is a duration such as 1d or 90s".to_owned())
}

/// The key that clients must bring, if any. A variable, because arguments stand in the process list.
const KEY_VARIABLE: &str = "TIDEGATE_SIMULATOR_KEY";

pub(super) fn run(arguments: &SimulateArguments) -> ExitCode {
    let env = Env::of_process();
    let simulation = Simulation {
        listen: arguments.listen,
        models: arguments.models.clone(),
        limits: arguments.limits.limits(),
        counting: arguments.counting.counting(),
        key: env.get(KEY_VARIABLE).map(|key| Secret::new(key.to_owned())),
        seed: arguments.seed,
    };
    daemon::raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("tidegate: no threads: {error}"));
            return ExitCode::from(71);
        }
    };
    match runtime.block_on(daemon::simulate(simulation, |address| greet(arguments, address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("tidegate: cannot listen on {}: {error}", arguments.listen));
            ExitCode::from(69)
        }
    }
}

fn greet(arguments: &SimulateArguments, address: SocketAddr) {
    say(&format!("tidegate {}: a simulated provider, which makes its answers up", env!("CARGO_PKG_VERSION")));
    say(&format!("  models: {}", arguments.models.join(", ")));
    say(&format!("  listening on http://{address}"));
    say("  paths: /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions (OpenAI),");
    say("         /v1/messages (Anthropic), /v1beta/models/MODEL:generateContent (Google)");
    say(&format!("  state, faults, limits: curl http://{address}/control"));
    say(&format!(
        "  to change them: curl http://{address}/control -d '{{\"faults\":{{\"error_rate\":0.5}}}}'"
    ));
}
