//! `tidegate plan`: replays an access log under other limits.

use super::plan_table::{json, table};
use super::terminal::{config_error, say};
use crate::config::{self, Env};
use crate::daemon::{self, PlanLimits, PlanQuestion};
use crate::units::parse_duration;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What to replay, and under which limits.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: how would yesterday have been with half the limit and twice the traffic?

  tidegate plan --log yesterday.log --limits openai:tokens_per_minute=300000 --times 2

The log is what `tidegate run` writes on standard error with `[log] format = \"json\"`, which it also does by itself \
where that is no terminal. Each exchange comes when it came then, to the provider that it had then.")]
pub(super) struct PlanArguments {
    /// The access log; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Limits: NAME=NUMBER,... for every provider, or PROVIDER:NAME=NUMBER,... for one. May be repeated.
    #[arg(long, value_name = "LIMITS", value_parser = daemon::plan_limits, required_unless_present = "config")]
    limits: Vec<PlanLimits>,
    /// Take limits, the longest wait and the depth of the queue from a configuration.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The longest that an exchange may wait, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_wait: Option<Duration>,
    /// So many times the traffic: everything comes so much sooner.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = times)]
    times: u32,
    /// Look for the least limits under which 99 of 100 exchanges wait no longer than this.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    within: Option<Duration>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("write a number and a unit, such as 500ms, 30s or 2m")
}

/// In thousandths.
fn times(text: &str) -> Result<u32, &'static str> {
    let times: f64 = text.parse().map_err(|_| "write a number such as 2 or 1.5")?;
    if !(0.01..=1_000.0).contains(&times) {
        return Err("write a number from 0.01 to 1000");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within its range")]
    let permille = (times * 1_000.0).round() as u32;
    Ok(permille)
}

pub(super) fn run(arguments: &PlanArguments) -> ExitCode {
    let env = Env::of_process();
    let mut question = match &arguments.config {
        None => PlanQuestion::default(),
        Some(path) => match config::read(Some(path), &env) {
            Ok(loaded) => PlanQuestion::of(&loaded.settings),
            Err(error) => return config_error(&error, &env),
        },
    };
    arguments.limits.iter().for_each(|limits| question.put(limits));
    question.queue.max_wait = arguments.max_wait.unwrap_or(question.queue.max_wait);
    question.times = arguments.times;
    question.goal = arguments.within;

    let name = arguments.log.display();
    let report = if arguments.log.as_os_str() == "-" {
        daemon::plan(&question, io::stdin().lock())
    } else {
        File::open(&arguments.log).and_then(|file| daemon::plan(&question, BufReader::new(file)))
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            say(&format!("tidegate: {name}: {error}"));
            return ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 66 } else { 74 });
        }
    };
    if let Some((line, wrong)) = report.first_bad {
        say(&format!(
            "tidegate: {name}: {} not read; the first is line {line}: {wrong}",
            lines(report.bad_lines)
        ));
    }
    if report.providers.is_empty() {
        say(&format!(
            "tidegate: {name}: no exchange found in {}; is it the log of `tidegate run`, with `[log] format = \"json\"`?",
            lines(report.other_lines + report.bad_lines)
        ));
        return ExitCode::from(65);
    }
    for provider in arguments.limits.iter().filter_map(PlanLimits::provider) {
        if !report.providers.contains_key(provider) {
            let known: Vec<&str> = report.providers.keys().map(String::as_str).collect();
            say(&format!(
                "tidegate: {name}: no exchange with `{provider}`, whose limits were given; there is {}",
                known.join(", ")
            ));
        }
    }
    let shown = if arguments.json { json(&question, &report) } else { table(&question, &report) };
    // Whoever reads may have gone, as `head` does.
    let _ = io::stdout().lock().write_all(shown.as_bytes());
    ExitCode::SUCCESS
}

fn lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}
