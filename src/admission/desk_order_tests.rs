//! What the desk promises of the order of service: between clients, between classes, over several budgets.

use super::tests::{ask, at, cost, desk, effects, enter, run_until, tokens_per_second};
use super::*;
use crate::admission::{Choice, Draws, Lack, Limits, Meaning, Reason, Share, Shortage};
use crate::ids::{ModelName, ProviderId, TargetId};
use std::num::NonZeroU32;
use std::sync::Arc;

pub(super) fn of(group: u64, ask: Ask) -> Ask {
    Ask { share: Share { payer: group, ..Share::default() }, ..ask }
}

/// An ask for one model of provider `a`, which may draw on groups too.
pub(super) fn drawing_on(budgets: &[&str], model: &str, tokens: u64, now: Moment) -> Ask {
    let target = TargetId { provider: ProviderId::from(budgets[0]), model: ModelName::from(model) };
    let draws = Draws {
        configured: budgets.iter().map(|name| BudgetId::from(*name)).collect(),
        pool: Some(BudgetId::from(target.to_string())),
    };
    let choice = Choice { target, draws: Arc::new(draws), cost: cost(tokens), open_from: now };
    Ask { choices: vec![choice], ..ask(&[], tokens, now) }
}

pub(super) fn open_desk(limits: &[(&str, Limits)]) -> Desk {
    Desk::new(QueueSettings::default(), limits.iter().map(|(name, limits)| (BudgetId::from(*name), *limits)))
}

fn names(told: &[(f64, Ticket, String)]) -> Vec<Ticket> {
    told.iter().map(|(_, ticket, _)| *ticket).collect()
}

#[test]
fn a_client_with_one_call_does_not_wait_for_all_of_another() {
    let mut desk = open_desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let many: Vec<Ticket> =
        (0..10).map(|_| enter(&mut desk, of(1, ask(&["a"], 20, at(0.0))), at(0.0)).0).collect();
    let (one, _) = enter(&mut desk, of(2, ask(&["a"], 20, at(0.0))), at(0.0));
    let served = names(&run_until(&mut desk, at(60.0)));
    let place = served.iter().position(|ticket| *ticket == one).expect("it is served");
    assert!(place <= 2, "{place} went before it");
    let rest: Vec<Ticket> = served.into_iter().filter(|ticket| *ticket != one).collect();
    assert_eq!(rest, many, "the calls of one client stay in order");
}

#[test]
fn who_has_waited_long_moves_up_a_class() {
    let mut desk = open_desk(&[("a", tokens_per_second(1))]);
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    let late = Ask { deadline: at(600.0), priority: Priority::Normal, ..of(1, ask(&["a"], 6, at(0.0))) };
    let (normal, _) = enter(&mut desk, late, at(0.0));
    // Somebody in a hurry comes whenever there is room: before the ageing, it goes first every time.
    let mut when = None;
    for second in 1..200 {
        let now = at(f64::from(second));
        let person = Ask { priority: Priority::Interactive, ..of(2, ask(&["a"], 6, now)) };
        if second % 5 == 1 {
            desk.enter(person, now);
        }
        desk.poll(now);
        if effects(&mut desk).iter().any(|(ticket, _)| *ticket == normal) {
            when = Some(second);
            break;
        }
    }
    let when = when.expect("it is served in the end");
    assert!((60..=72).contains(&when), "it was served after {when} s");
}

#[test]
fn what_is_kept_for_people_is_not_given_to_others() {
    let mut desk = open_desk(&[("a", tokens_per_second(10))]);
    desk.retune(
        QueueSettings { reserve: 500, ..QueueSettings::default() },
        [(BudgetId::from("a"), tokens_per_second(10))],
        at(0.0),
    );
    let batch = |tokens| Ask { priority: Priority::Batch, ..ask(&["a"], tokens, at(0.0)) };
    assert_eq!(enter(&mut desk, batch(30), at(0.0)).1, "a");
    let (waits, told) = enter(&mut desk, batch(10), at(0.0));
    assert_eq!(told, "waits");
    let person = Ask { priority: Priority::Interactive, ..ask(&["a"], 30, at(0.0)) };
    assert_eq!(enter(&mut desk, person, at(0.0)).1, "a");
    assert_eq!(run_until(&mut desk, at(60.0)), [(4.0, waits, "a".into())]);
    let (large, _) = enter(&mut desk, batch(60), at(4.0));
    let told = run_until(&mut desk, at(60.0));
    assert_eq!(told, [(7.0, large, "a".into())], "what is larger than the rest waits for a full bucket");
}

#[test]
fn a_group_is_taken_from_with_the_provider_or_not_at_all() {
    let mut desk = open_desk(&[
        ("a", tokens_per_second(100)),
        ("b", tokens_per_second(100)),
        ("group:shared", tokens_per_second(10)),
    ]);
    assert_eq!(enter(&mut desk, drawing_on(&["a", "group:shared"], "m", 60, at(0.0)), at(0.0)).1, "a");
    let (ticket, told) = enter(&mut desk, drawing_on(&["b", "group:shared"], "m", 20, at(0.0)), at(0.0));
    assert_eq!(told, "waits", "the other provider has room, and the account behind both has none");
    let view = desk.view(at(0.0));
    let other = view.iter().find(|view| view.budget.as_str() == "b").expect("it is configured");
    assert_eq!(other.levels[0].level, 600, "nothing was taken from the provider meanwhile");
    assert_eq!(run_until(&mut desk, at(60.0)), [(2.0, ticket, "b".into())]);
}

#[test]
fn one_model_that_is_refused_does_not_hold_up_another() {
    let mut desk = open_desk(&[("a", Limits::default())]);
    let (ticket, _) = enter(&mut desk, drawing_on(&["a"], "m1", 10, at(0.0)), at(0.0));
    let shortage = Shortage { meaning: Meaning::Minute, until: at(30.0), dimension: None, limit: None };
    desk.penalise(ticket, &shortage, at(0.0));
    assert_eq!(enter(&mut desk, drawing_on(&["a"], "m1", 10, at(0.0)), at(0.0)).1, "waits");
    assert_eq!(enter(&mut desk, drawing_on(&["a"], "m2", 10, at(0.0)), at(0.0)).1, "a");
}

#[test]
fn who_waited_is_told_what_for() {
    let crowded = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let mut desk = open_desk(&[("a", crowded), ("b", tokens_per_second(10))]);
    let (held, _) = enter(&mut desk, ask(&["a"], 1, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["b"], 60, at(0.0)), at(0.0));
    let mut reasons = Vec::new();
    for provider in ["a", "b"] {
        let ticket = desk.enter(ask(&[provider], 10, at(0.0)), at(0.0));
        let standing = desk.standing(ticket, at(0.0)).expect("it waits");
        reasons.push(standing.reason.expect("it waits for something"));
    }
    let places = Reason { budget: BudgetId::from("a"), lack: Lack::Places, until: None };
    let tokens = Lack::Limit(crate::admission::Dimension::TokensPerMinute);
    assert_eq!(
        reasons,
        [places.clone(), Reason { budget: BudgetId::from("b"), lack: tokens, until: Some(at(1.0)) }]
    );
    desk.leave(held, at(0.0));
    match desk.take_effects().as_slice() {
        [Effect::Granted(grant)] => assert_eq!(grant.reason, Some(places)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_lane_is_looked_at_no_further_than_its_head() {
    let mut desk = desk(&[("a", tokens_per_second(1)), ("b", tokens_per_second(1))]);
    desk.retune(
        QueueSettings { max_depth: 10_000, ..QueueSettings::default() },
        ["a", "b"].map(|name| (BudgetId::from(name), tokens_per_second(1))),
        at(0.0),
    );
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    for _ in 0..300 {
        desk.enter(ask(&["a"], 6, at(0.0)), at(0.0));
    }
    assert_eq!(enter(&mut desk, ask(&["b"], 6, at(0.0)), at(0.0)).1, "b", "another lane is not held up");
    let last = desk.enter(Ask { deadline: at(5.0), ..ask(&["a"], 1, at(0.0)) }, at(0.0));
    let told = run_until(&mut desk, at(5.0));
    assert_eq!(
        told.last().map(|(when, ticket, _)| (*when, *ticket)),
        Some((5.0, last)),
        "its deadline is kept"
    );
}

#[test]
fn places_are_counted_from_the_front() {
    let mut desk = open_desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let tickets: Vec<Ticket> = (0..3).map(|_| desk.enter(ask(&["a"], 30, at(0.0)), at(0.0))).collect();
    let standing = desk.standing(tickets[2], at(0.0)).expect("it waits");
    assert_eq!((standing.before, standing.expected), (2, Some(at(9.0))));
    assert_eq!(desk.standing(Ticket(0), at(0.0)), None);
}
