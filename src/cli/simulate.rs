//! `tidegate simulate`: the built-in provider alone, to try clients and limits against.

use super::terminal::say;
use crate::config::Env;
use crate::daemon::{self, Simulation};
use crate::secret::Secret;
use std::net::SocketAddr;
use std::process::ExitCode;

/// What to simulate. Delays and faults are set while it runs, at `/control`.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// Listen here.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8434")]
    listen: SocketAddr,
    /// A model to serve. May be repeated.
    #[arg(long = "model", value_name = "NAME", default_values_t = ["sim".to_owned()])]
    models: Vec<String>,
    /// Requests a minute that are enforced; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 60)]
    requests_per_minute: u64,
    /// Tokens a minute that are enforced; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 60_000)]
    tokens_per_minute: u64,
    /// Requests at a time that are allowed; 0 is no limit.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    concurrent: u64,
    /// What answers and errors are derived from.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// The key that clients must bring, if any. A variable, because arguments stand in the process list.
const KEY_VARIABLE: &str = "TIDEGATE_SIMULATOR_KEY";

pub(super) fn run(arguments: &SimulateArguments) -> ExitCode {
    let env = Env::of_process();
    let limit = |number: u64| (number > 0).then_some(number);
    let simulation = Simulation {
        listen: arguments.listen,
        models: arguments.models.clone(),
        requests_per_minute: limit(arguments.requests_per_minute),
        tokens_per_minute: limit(arguments.tokens_per_minute),
        concurrent: limit(arguments.concurrent),
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
    say(&format!("  state and faults: curl http://{address}/control"));
    say(&format!(
        "  to change them: curl http://{address}/control -d '{{\"faults\":{{\"error_rate\":0.5}}}}'"
    ));
}
