//! How much of a provider's limit clients get out of it, how often they run into it, and how long they wait.
//!
//! `cargo bench --bench goodput` plays every scenario in real time, against the provider as a process of its own and through
//! the gateway as another, most of a minute each. After `--`: `--virtual` plays them in virtual time, in seconds;
//! `--only TEXT` (more than once) those whose title holds a text; `--seconds NUMBER` measures so long in real time;
//! `--list` names them all.
//!
//! - `scenario`: what is tried; `client`: what clients do; `measure`: what comes of it, and the table.
//! - `virtual_time` with `gate`: the desk and the provider's account alone. `tests/goodput.rs` holds their figures.
//! - `real_time` with `processes`: all of it over sockets.

mod client;
mod gate;
mod measure;
mod processes;
#[path = "../world/prose.rs"]
mod prose;
mod real_time;
mod scenario;
mod virtual_time;

use scenario::Scenario;
use std::io::Write as _;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The seed of the table in virtual time.
const SEED: u64 = 1;

/// How it was called.
struct Arguments {
    is_virtual: bool,
    lists: bool,
    only: Vec<String>,
    measured: Duration,
}

impl Arguments {
    fn read() -> Arguments {
        let mut read = Arguments {
            is_virtual: false,
            lists: false,
            only: Vec::new(),
            measured: Duration::from_secs(30),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--virtual" => read.is_virtual = true,
                "--list" => read.lists = true,
                "--only" => read.only.push(words.next().expect("--only is followed by a part of a title")),
                "--seconds" => {
                    let seconds = words.next().and_then(|seconds| seconds.parse().ok());
                    read.measured = Duration::from_secs(seconds.expect("--seconds is followed by a number"));
                }
                // Cargo's own, and the default said aloud.
                "--bench" | "--real" => {}
                other => {
                    panic!("{other} is none of --virtual, --real, --list, --only TEXT, --seconds NUMBER")
                }
            }
        }
        read
    }

    fn takes(&self, scenario: &Scenario) -> bool {
        let title = scenario.title();
        self.only.is_empty() || self.only.iter().any(|text| title.contains(text.as_str()))
    }
}

fn main() {
    let arguments = Arguments::read();
    let runtime = Runtime::new().expect("threads can be started");
    let mut out = std::io::stdout();
    let _ = write!(out, "{}", measure::HEAD);
    for scenario in scenario::all().iter().filter(|scenario| arguments.takes(scenario)) {
        let _ = match arguments {
            Arguments { lists: true, .. } => writeln!(out, "{}", scenario.title()),
            Arguments { is_virtual: true, .. } => write!(out, "{}", virtual_time::run(scenario, SEED)),
            Arguments { measured, .. } => {
                write!(out, "{}", runtime.block_on(real_time::run(scenario, measured)))
            }
        };
    }
}
