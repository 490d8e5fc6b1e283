//! Several accounts of one provider: which is strained more, and that no client gains by them.

use crate::admission::{
    Ask, Choice, Cost, Desk, Draws, Effect, Limits, Meaning, Priority, QueueSettings, Share, Shortage, Slices,
};
use crate::ids::{BudgetId, ModelName, ProviderId, TargetId};
use crate::units::{Moment, Tokens};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn draws(account: &str) -> Arc<Draws> {
    Arc::new(Draws { configured: vec![BudgetId::from(account)], pool: None })
}

/// An ask of a client for any of these accounts, the first first.
fn ask(client: u64, accounts: &[&str], tokens: u64, now: Moment) -> Ask {
    let choice = |account: &&str| Choice {
        target: TargetId { provider: ProviderId::from(*account), model: ModelName::from("m") },
        draws: draws(account),
        cost: Cost { input: Tokens(tokens), ..Cost::default() },
        open_from: now,
    };
    Ask {
        choices: accounts.iter().map(choice).collect(),
        priority: Priority::Normal,
        share: Share { payer: client, ..Share::default() },
        entered: now,
        turn: None,
        deadline: now + Duration::from_secs(600),
    }
}

fn desk(limits: Limits) -> Desk {
    let budgets = ["p@a", "p@b"].map(|account| (BudgetId::from(account), limits));
    Desk::new(QueueSettings::default(), budgets)
}

/// Tokens a minute, all of them at once after a rest.
fn tokens(per_minute: u32) -> Limits {
    let limit = NonZeroU32::new(per_minute);
    Limits { tokens_per_minute: limit, burst_tokens: limit, ..Limits::default() }
}

#[test]
fn an_account_is_strained_by_what_is_used_and_by_what_is_open() {
    let strains = |desk: &Desk| [desk.strain(&draws("p@a"), at(0)), desk.strain(&draws("p@b"), at(0))];
    let mut limited = desk(tokens(600));
    let [a, b] = strains(&limited);
    assert_eq!(a, b);
    limited.enter(ask(1, &["p@a"], 300, at(0)), at(0));
    let [a, b] = strains(&limited);
    assert!(a > b, "{a:?} {b:?}");
    let ticket = limited.enter(ask(1, &["p@b"], 10, at(0)), at(0));
    let [a, b] = strains(&limited);
    assert!(a > b, "both are open, of one more is used: {a:?} {b:?}");
    let shortage = Shortage { meaning: Meaning::Minute, until: at(5), dimension: None, limit: None };
    limited.penalise(ticket, &shortage, at(0));
    let [a, b] = strains(&limited);
    assert!(b > a, "whoever was refused comes last: {a:?} {b:?}");

    let mut open = desk(Limits::default());
    open.enter(ask(1, &["p@b"], 1, at(0)), at(0));
    let [a, b] = strains(&open);
    assert!(b > a, "nothing is limited, one more is open: {a:?} {b:?}");
}

#[test]
fn whose_turn_it_is_does_not_hang_on_the_account_that_was_named_first() {
    let mut desk = desk(tokens(60));
    for account in ["p@a", "p@b"] {
        desk.enter(ask(0, &[account], 60, at(0)), at(0));
    }
    desk.take_effects();
    for _ in 0..10 {
        desk.enter(ask(1, &["p@a", "p@b"], 10, at(0)), at(0));
    }
    let light = desk.enter(ask(2, &["p@b", "p@a"], 10, at(1)), at(1));
    let mut served = Vec::new();
    for second in 1..100 {
        desk.poll(at(second));
        for effect in desk.take_effects() {
            let Effect::Granted(grant) = effect else { panic!("nobody is refused: {effect:?}") };
            served.push(grant.ticket);
        }
    }
    assert_eq!(served.len(), 11);
    let place = served.iter().position(|ticket| *ticket == light).unwrap();
    assert!(place <= 2, "the client with one call came after {place} of the one with ten");
}

#[test]
fn a_burst_is_what_a_slice_holds() {
    let burst = |limit: u32, slice: Duration| {
        let slices = Slices { tokens: slice, ..Slices::default() };
        let limits = Limits { tokens_per_minute: NonZeroU32::new(limit), slices, ..Limits::default() };
        desk(limits).view(at(0))[0].levels[0].level
    };
    assert_eq!(burst(600, Duration::from_secs(10)), 100);
    assert_eq!(burst(600, Duration::from_secs(1)), 10);
    assert_eq!(burst(601, Duration::from_secs(1)), 11);
    assert_eq!(burst(30, Duration::from_secs(1)), 1);
    assert_eq!(burst(600, Duration::from_secs(3_600)), 600);
}
