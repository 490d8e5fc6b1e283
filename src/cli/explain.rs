//! `tidegate explain`: asks the gateway that runs what happened to a request, and tells it.

use super::explained;
use super::terminal::{config_error, say};
use crate::config::{self, Env};
use crate::daemon::{NoAnswer, Running};
use crate::observe::StatusStory;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which request, and where the gateway is.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// The request, as the header `x-tidegate-request-id` of its answer names it. Without it, the last ones are listed.
    #[arg(value_name = "REQUEST_ID")]
    id: Option<String>,
    /// Where the gateway listens: http://HOST:PORT or unix:/PATH. Without it, where the configuration says.
    #[arg(long, value_name = "URL")]
    url: Option<Running>,
    /// The configuration file of the gateway.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what the gateway tells as it is, in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ExplainArguments) -> ExitCode {
    let env = Env::of_process();
    let places = match &arguments.url {
        Some(url) => vec![url.clone()],
        None => match config::listen_addresses(arguments.config.as_deref(), &env) {
            Ok(addresses) => addresses.iter().filter_map(Running::at).collect(),
            Err(error) => return config_error(&error, &env),
        },
    };
    let path = match &arguments.id {
        Some(id) => format!("/admin/exchanges/{}", encoded(id)),
        None => "/admin/exchanges".to_owned(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("tidegate: no threads: {error}"));
            return ExitCode::from(71);
        }
    };
    match runtime.block_on(asked(&places, &path)) {
        Ok((200, told)) => shown(arguments, &told),
        Ok((404, told)) if told["error"]["code"] == "unknown_exchange" => {
            let message = told["error"]["message"].as_str().unwrap_or("no such exchange");
            say(&format!("tidegate: {message}"));
            say("  `tidegate explain` without an id lists the last ones");
            ExitCode::from(66)
        }
        Ok((status, _)) => {
            say(&format!("tidegate: the gateway answered {status}; is it of another version?"));
            ExitCode::from(69)
        }
        Err(error) => no_answer(error),
    }
}

/// The first that answers; a gateway may listen at several addresses, of which the machine has not every one.
async fn asked(places: &[Running], path: &str) -> Result<(u16, Value), Option<NoAnswer>> {
    let mut first = None;
    for place in places {
        match place.ask(path).await {
            Ok(answer) => return Ok(answer),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first)
}

fn no_answer(error: Option<NoAnswer>) -> ExitCode {
    match error {
        None => {
            say("tidegate: the configuration names no address with a port");
            say("  say where the gateway listens, as it printed at its start: --url http://127.0.0.1:PORT");
        }
        Some(error) => {
            say(&format!("tidegate: {error}"));
            say(
                "  is it started? If it listens elsewhere, say where: --url http://127.0.0.1:8433, or --config FILE",
            );
        }
    }
    ExitCode::from(69)
}

fn shown(arguments: &ExplainArguments, told: &Value) -> ExitCode {
    let text = if arguments.json {
        Some(format!("{told:#}\n"))
    } else if arguments.id.is_some() {
        let now_us = told["now_us"].as_u64().unwrap_or_default();
        let earlier = told["earlier"].as_u64().unwrap_or_default();
        let story = serde_json::from_value::<StatusStory>(told.clone()).ok();
        story.map(|story| explained::story(&story, now_us, earlier))
    } else {
        let list = serde_json::from_value(told["exchanges"].clone()).ok();
        list.map(|list: Vec<_>| explained::list(&list))
    };
    let Some(text) = text else {
        say("tidegate: the gateway tells it in another way; is it of another version? Try --json");
        return ExitCode::from(69);
    };
    // Who reads may have had enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// An id as one piece of a path.
fn encoded(id: &str) -> String {
    let mut text = String::new();
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
