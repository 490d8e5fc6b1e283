//! `tidegate run`: starts the gateway and says, in a few lines, what it found and how to try it.

use super::terminal::{config_error, say, with_causes};
use crate::config::{self, Env, ListenAddress, Loaded};
use crate::daemon::{self, BoundAddress, Daemon, Ended, Source};
use std::path::PathBuf;
use std::process::ExitCode;

/// How to start.
#[derive(Debug, Default, clap::Args)]
pub(super) struct RunArguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of where the configuration says: HOST:PORT or unix:/PATH. May be repeated.
    #[arg(long, value_name = "ADDRESS", value_parser = config::loopback_address)]
    listen: Vec<ListenAddress>,
}

pub(super) fn run(arguments: RunArguments) -> ExitCode {
    let source = Source { path: arguments.config, listen: arguments.listen, env: Env::of_process() };
    let loaded = match source.read() {
        Ok(loaded) => loaded,
        Err(error) => return config_error(&error, &source.env),
    };
    if let Err(error) = daemon::start_logging(&loaded.settings.log) {
        say(&format!("tidegate: the log filter cannot be read: {error}"));
        return ExitCode::from(78);
    }
    daemon::raise_descriptor_limit();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_name("tidegate");
    if loaded.settings.server.workers > 0 {
        runtime.worker_threads(loaded.settings.server.workers);
    }
    let ended = match runtime.build() {
        Ok(runtime) => {
            let ended = runtime.block_on(serve(source, loaded));
            // What a second signal leaves behind is not waited for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            say(&format!("tidegate: no threads: {error}"));
            return ExitCode::from(71);
        }
    };
    ended.unwrap_or_else(|(message, code)| {
        say(&format!("tidegate: {message}"));
        ExitCode::from(code)
    })
}

async fn serve(source: Source, mut loaded: Loaded) -> Result<ExitCode, (String, u8)> {
    let inherited =
        daemon::inherited_sockets().map_err(|error| (format!("an inherited socket: {error}"), 71))?;
    loaded.discover(&source.env).await;
    let (origin, notes) = (loaded.origin(), loaded.notes.clone());
    let started = |daemon: &Daemon| greet(daemon, &origin, &notes);
    match daemon::run(source, loaded, inherited, started).await {
        Ok(Ended::Drained | Ended::BrokenOff) => Ok(ExitCode::SUCCESS),
        // What a shell shows for a program that an interrupt has ended.
        Ok(Ended::Forced) => Ok(ExitCode::from(130)),
        Err(error) => Err((with_causes(&error), error.exit_code())),
    }
}

/// The first lines that a newcomer sees.
fn greet(daemon: &Daemon, origin: &str, notes: &[String]) {
    say(&format!("tidegate {} ({origin})", env!("CARGO_PKG_VERSION")));
    for note in notes {
        say(&format!("  note: {note}"));
    }
    let exchange = &daemon.settings().exchange;
    if daemon.simulator().is_some() {
        say("  no provider found: serving the built-in simulated one, which makes its answers up");
        say("  set OPENAI_API_KEY or another provider's key, or start a local model server, for real ones");
    }
    for provider in &exchange.providers {
        let models = match provider.models.len() {
            0 => String::new(),
            1 => format!(", model {}", provider.models[0]),
            count => format!(", {count} models"),
        };
        let spoken = provider.upstream.spoken.iter().map(|spoken| spoken.dialect.name());
        let spoken = spoken.collect::<Vec<_>>().join(", ");
        say(&format!("  provider {}: {}{models}; speaks {spoken}", provider.id, provider.upstream.base_url));
    }
    let store = daemon.vitals().store();
    say(&format!("  {}: {}", if store.healthy { "state" } else { "note" }, store.detail));
    for address in daemon.addresses() {
        say(&format!("  listening on {address}"));
    }
    if let Some(url) = daemon.url() {
        say(&format!(
            "  point clients here: OPENAI_BASE_URL={url}/v1 ANTHROPIC_BASE_URL={url} \
             GOOGLE_GEMINI_BASE_URL={url}"
        ));
    }
    if let Some(address) = daemon.url().or_else(|| by_socket(daemon)) {
        let model = example_model(daemon);
        say(&format!(
            "  try: curl {address}/v1/chat/completions -H 'content-type: application/json' \
             -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
        ));
    }
}

/// What curl needs to reach a gateway that listens on a Unix socket alone.
fn by_socket(daemon: &Daemon) -> Option<String> {
    daemon.addresses().iter().find_map(|address| match address {
        BoundAddress::Unix(path) => Some(format!("--unix-socket '{}' http://localhost", path.display())),
        BoundAddress::Tcp(_) => None,
    })
}

/// A model that the first provider will know.
fn example_model(daemon: &Daemon) -> String {
    let exchange = &daemon.settings().exchange;
    if let Some(route) = exchange.routes.first() {
        return route.name.to_string();
    }
    let Some(provider) = exchange.providers.first() else { return "MODEL".to_owned() };
    if let Some(model) = provider.models.first() {
        return model.to_string();
    }
    let known = [
        ("openai", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-flash"),
        ("mistral", "mistral-small-latest"),
        ("groq", "llama-3.3-70b-versatile"),
        ("openrouter", "openai/gpt-4o-mini"),
        ("deepseek", "deepseek-chat"),
        ("xai", "grok-3-mini"),
    ];
    let known = known.iter().find(|(name, _)| *name == provider.name().as_str());
    known.map_or("MODEL", |(_, model)| model).to_owned()
}
