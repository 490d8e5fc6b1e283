//! What clients get out of a limit through the gateway, in virtual time, against a provider that counts strictly.
//!
//! The same scenarios, clients and measures as `cargo bench --bench goodput`, with the desk and the simulated provider's account
//! alone, so that minutes pass in a second. Every run is the same again.

#[path = "../benches/goodput/client.rs"]
mod client;
#[path = "../benches/goodput/gate.rs"]
mod gate;
#[path = "../benches/goodput/measure.rs"]
mod measure;
#[path = "../benches/goodput/scenario.rs"]
mod scenario;
#[path = "../benches/goodput/virtual_time.rs"]
mod virtual_time;

use measure::{HEAD, Measured};
use scenario::{Knowledge, Scenario, Turn};
use std::time::Duration;
use tidegate::simulator::LimitHeaders;

const SEED: u64 = 1;

/// How long a burst, a sixth of what comes in a minute, takes to come back.
const BURST_REFILL: Duration = Duration::from_secs(10);

/// Runs every scenario of this name that is `wanted`, and fails with the table of those that break a promise.
fn check(name: &str, wanted: impl Fn(&Scenario) -> bool, more: impl Fn(&Measured) -> Vec<String>) {
    let chosen = scenario::all().into_iter().filter(|scenario| {
        scenario.name == name && scenario.knowledge != Knowledge::NoGateway && wanted(scenario)
    });
    let runs: Vec<Measured> = chosen.map(|scenario| virtual_time::run(&scenario, SEED)).collect();
    assert!(!runs.is_empty(), "nothing was tried");
    let broken: Vec<String> = runs
        .iter()
        .filter_map(|run| {
            let broken: Vec<String> = usual(run).into_iter().chain(more(run)).collect();
            (!broken.is_empty()).then(|| format!("{run}    broken: {}\n", broken.join(", ")))
        })
        .collect();
    assert!(broken.is_empty(), "{} of {} runs:\n{HEAD}{}", broken.len(), runs.len(), broken.concat());
}

/// What every run promises.
fn usual(run: &Measured) -> Vec<String> {
    let promises = [
        (run.used() >= 0.97, "at least 97 % of the limit is used"),
        (run.is_possible(), "no more is used than there is"),
        (run.limited() <= refused_most(run), "at most 1 request in 1,000 is refused upstream"),
        (run.errors() == 0, "no client sees an error"),
    ];
    promises.iter().filter(|(kept, _)| !kept).map(|(_, promise)| (*promise).to_owned()).collect()
}

/// A limit that is halved without a word can be noticed by refusals alone.
fn refused_most(run: &Measured) -> f64 {
    let is_untold = run.scenario.turn == Turn::Halved
        && run.scenario.headers == LimitHeaders::None
        && run.scenario.knowledge == Knowledge::Learned;
    if is_untold { 10.0 } else { 1.0 }
}

fn equally(group: &'static str) -> impl Fn(&Measured) -> Vec<String> {
    move |run| match run.jain(group) >= 0.99 {
        true => Vec::new(),
        false => vec![format!("Jain's index of {group} clients is at least 0.99")],
    }
}

fn nothing_more(_: &Measured) -> Vec<String> {
    Vec::new()
}

fn is_configured(scenario: &Scenario) -> bool {
    scenario.knowledge == Knowledge::Configured
}

fn counts_alike(scenario: &Scenario) -> bool {
    is_configured(scenario) && scenario.factor == 1.0
}

/// The waits of the same light clients where all are light.
fn beside_light(run: &Measured) -> f64 {
    let mut all = scenario::all().into_iter();
    let alike = |other: &Scenario| {
        let kind = |scenario: &Scenario| (scenario.knowledge, scenario.factor.to_bits(), scenario.headers);
        other.name == "equal" && kind(other) == kind(&run.scenario)
    };
    let equal = all.find(alike).expect("every kind is tried with equal clients");
    virtual_time::run(&equal, SEED).wait("light", 0.99).as_secs_f64()
}

#[test]
fn equal_clients_share_a_limit_that_is_known() {
    check("equal", counts_alike, equally("light"));
}

#[test]
fn equal_clients_share_a_limit_whose_tokens_are_larger_than_ours() {
    check("equal", |scenario| is_configured(scenario) && scenario.factor > 1.0, equally("light"));
}

#[test]
fn equal_clients_share_a_limit_that_headers_tell() {
    let told = |scenario: &Scenario| !is_configured(scenario) && scenario.headers != LimitHeaders::None;
    check("equal", told, equally("light"));
}

#[test]
fn equal_clients_share_a_limit_that_nobody_tells() {
    let untold = |scenario: &Scenario| !is_configured(scenario) && scenario.headers == LimitHeaders::None;
    check("equal", untold, equally("light"));
}

#[test]
fn light_clients_hardly_feel_heavy_ones() {
    check(
        "heavy",
        |_| true,
        |run| {
            let (beside_heavy, beside_light) = (run.wait("light", 0.99).as_secs_f64(), beside_light(run));
            match beside_heavy <= 1.5 * beside_light {
                true => Vec::new(),
                false => vec![format!(
                    "light clients wait 1.5 times as long, not {beside_heavy:.2} s for {beside_light:.2} s"
                )],
            }
        },
    );
}

#[test]
fn who_is_waited_for_by_a_person_does_not_wait_for_bulk_work() {
    check(
        "interactive",
        |_| true,
        |run| match run.wait("interactive", 0.99) <= BURST_REFILL {
            true => Vec::new(),
            false => vec!["interactive calls wait no longer than a burst takes to come back".to_owned()],
        },
    );
}

#[test]
fn another_program_on_the_same_account_is_made_room_for() {
    check("second", |scenario| scenario.turn == Turn::SecondProgram, equally("light"));
}

#[test]
fn a_limit_that_is_halved_is_followed() {
    check("halved", |scenario| scenario.turn == Turn::Halved, equally("light"));
}

#[test]
fn a_gateway_that_was_killed_goes_on_where_it_was() {
    check("killed", counts_alike, nothing_more);
}

#[test]
fn a_gateway_that_was_killed_goes_on_with_what_it_had_learned() {
    check("killed", |scenario| !counts_alike(scenario), nothing_more);
}

#[test]
fn a_run_is_the_same_again() {
    let scenario = scenario::all().into_iter().find(counts_alike).expect("there is one");
    let [once, again] = [1, 1].map(|seed| virtual_time::run(&scenario, seed).to_string());
    assert_eq!(once, again);
}
