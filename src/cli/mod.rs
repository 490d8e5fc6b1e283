//! The command line, one file a command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes follow sysexits.

mod check;
mod explain;
mod explained;
mod plan;
mod plan_table;
mod run;
mod simulate;
mod terminal;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Makes requests to LLM providers wait the right time instead of failing.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Without a command, `tidegate` is `tidegate run`. Point an OpenAI SDK at http://127.0.0.1:8433/v1."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway.
    #[command(alias = "serve")]
    Run(run::RunArguments),
    /// Check a configuration and say what is wrong with it.
    Check(check::CheckArguments),
    /// Tell what happened to one of the last requests, and why it waited.
    Explain(explain::ExplainArguments),
    /// Replay an access log under other limits, and say what would have waited.
    Plan(plan::PlanArguments),
    /// Start the built-in simulated provider alone.
    Simulate(simulate::SimulateArguments),
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    match arguments.command {
        None => run::run(arguments.run),
        Some(Command::Run(arguments)) => run::run(arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Plan(arguments)) => plan::run(&arguments),
        Some(Command::Simulate(arguments)) => simulate::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
