//! What the desk promises to those who wait while others keep coming.

use super::order_tests::{drawing_on, of, open_desk};
use super::tests::{ask, at, cost, effects, enter, run_until, tokens_per_second};
use super::*;
use crate::admission::{Limits, Meaning, Shortage};
use std::num::NonZeroU32;

fn tokens(per_minute: u32, burst: u32) -> Limits {
    Limits {
        tokens_per_minute: NonZeroU32::new(per_minute),
        burst_tokens: NonZeroU32::new(burst),
        ..Limits::default()
    }
}

fn granted(desk: &mut Desk) -> Vec<Ticket> {
    let is_grant = |(ticket, told): (Ticket, String)| (!told.contains(' ')).then_some(ticket);
    effects(desk).into_iter().filter_map(is_grant).collect()
}

#[test]
fn one_model_that_is_refused_does_not_hold_up_another_that_shares_a_day() {
    for limits in [
        Limits { requests_per_day: NonZeroU32::new(1_000), ..Limits::default() },
        Limits { tokens_per_day: NonZeroU32::new(1_000_000), ..Limits::default() },
        Limits {
            requests_per_day: NonZeroU32::new(1_000),
            day: crate::admission::DayReset::AtReset,
            ..Limits::default()
        },
    ] {
        let mut desk = open_desk(&[("a", limits)]);
        let (ticket, _) = enter(&mut desk, drawing_on(&["a"], "m1", 1_000, at(0.0)), at(0.0));
        let shortage = Shortage { meaning: Meaning::Minute, until: at(30.0), dimension: None, limit: None };
        desk.penalise(ticket, &shortage, at(0.0));
        assert_eq!(enter(&mut desk, drawing_on(&["a"], "m1", 1_000, at(0.0)), at(0.0)).1, "waits");
        assert_eq!(enter(&mut desk, drawing_on(&["a"], "m2", 1_000, at(0.0)), at(0.0)).1, "a", "{limits:?}");
    }
}

#[test]
fn what_is_left_to_others_is_back_in_time() {
    // Each call of the others is larger than the burst, and leaves a debt of nearly a minute: one of the two is always short.
    let mut desk = open_desk(&[("a", tokens(600, 60)), ("b", tokens(600, 60))]);
    enter(&mut desk, drawing_on(&["a"], "m", 600, at(0.0)), at(0.0));
    let (head, told) = enter(
        &mut desk,
        Ask { deadline: at(600.0), ..drawing_on(&["a", "b"], "both", 10, at(0.0)) },
        at(0.0),
    );
    assert_eq!(told, "waits");
    for tenth in 200..3_000 {
        let now = at(f64::from(tenth) / 10.0);
        for budget in ["a", "b"] {
            let other = Ask { deadline: now, ..drawing_on(&[budget], "m", 600, now) };
            desk.enter(other, now);
        }
        desk.poll(now);
        if granted(&mut desk).contains(&head) {
            assert!(tenth <= 600, "it was to be served after a minute, not after {tenth} tenths");
            return;
        }
    }
    panic!("the head is never served");
}

#[test]
fn the_order_of_a_line_does_not_hang_on_who_waits_elsewhere() {
    let mut desk = open_desk(&[("a", tokens_per_second(1)), ("b", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["b"], 60, at(0.0)), at(0.0));
    for _ in 0..10 {
        desk.enter(of(1, drawing_on(&["b"], "m2", 20, at(0.0))), at(0.0));
    }
    desk.enter(Ask { entered: at(0.5), ..ask(&["a"], 6, at(0.0)) }, at(0.5));
    let one = desk.enter(of(2, drawing_on(&["b"], "m1", 20, at(1.0))), at(1.0));
    let told = run_until(&mut desk, at(60.0));
    let served: Vec<Ticket> =
        told.into_iter().filter(|(_, _, told)| told == "b").map(|(_, ticket, _)| ticket).collect();
    let place = served.iter().position(|ticket| *ticket == one).expect("it is served");
    assert!(place <= 2, "{place} of the one with ten went before it");
}

#[test]
fn a_turn_that_was_had_elsewhere_is_no_burden() {
    let mut desk = open_desk(&[("a", tokens_per_second(100)), ("b", tokens_per_second(10))]);
    // Much has been served at `a`.
    enter(&mut desk, ask(&["a"], 600, at(0.0)), at(0.0));
    let first: Vec<Ticket> = (0..8).map(|_| desk.enter(ask(&["a"], 600, at(0.0)), at(0.0))).collect();
    let mut turn = None;
    while let Some(now) = desk.next_wakeup().filter(|now| *now < at(50.0)) {
        desk.poll(now);
        for effect in desk.take_effects() {
            if let Effect::Granted(grant) = effect {
                turn = Some(grant.turn);
            }
        }
    }
    assert!(turn.is_some_and(|turn| turn.start > 0) && !first.is_empty());
    let now = at(50.0);
    enter(&mut desk, ask(&["b"], 60, now), now);
    let others: Vec<Ticket> = (0..5).map(|_| desk.enter(of(2, ask(&["b"], 20, now)), now)).collect();
    let moved = desk.enter(Ask { turn, ..of(1, ask(&["b"], 20, now)) }, now);
    let told = run_until(&mut desk, at(200.0));
    let place = |whose: Ticket| told.iter().position(|(_, ticket, _)| *ticket == whose);
    assert!(place(moved) < place(others[1]), "{told:?}");
}

#[test]
fn who_was_not_served_is_not_charged() {
    let settings = QueueSettings { max_depth: 3, ..QueueSettings::default() };
    let mut desk = Desk::new(settings, [(BudgetId::from("a"), tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let others = [0; 3].map(|_| desk.enter(of(1, ask(&["a"], 20, at(0.0))), at(0.0)));
    for _ in 0..20 {
        assert!(enter(&mut desk, of(2, ask(&["a"], 20, at(0.0))), at(0.0)).1.starts_with("QueueFull"));
    }
    desk.leave(others[2], at(0.0));
    for _ in 0..20 {
        let impatient = desk.enter(of(2, ask(&["a"], 20, at(0.0))), at(0.0));
        desk.leave(impatient, at(0.0));
    }
    let (one, _) = enter(&mut desk, of(2, ask(&["a"], 20, at(0.0))), at(0.0));
    let more = desk.enter(of(1, ask(&["a"], 20, at(2.5))), at(2.5));
    let told = run_until(&mut desk, at(60.0));
    let place = |whose: Ticket| told.iter().position(|(_, ticket, _)| *ticket == whose);
    assert!(place(one) < place(more), "{told:?}");
}

#[test]
fn one_absurd_call_does_not_end_fairness() {
    let crowded = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let mut desk = open_desk(&[("a", crowded)]);
    let (mut open, _) = enter(&mut desk, ask(&["a"], 1, at(0.0)), at(0.0));
    let absurd = desk.enter(of(3, ask(&["a"], u64::MAX, at(0.0))), at(0.0));
    desk.settle(open, cost(1), at(0.0));
    assert_eq!(granted(&mut desk), [absurd]);
    open = absurd;
    for _ in 0..10 {
        desk.enter(of(1, ask(&["a"], 20, at(1.0))), at(1.0));
    }
    let one = desk.enter(of(2, ask(&["a"], 20, at(1.0))), at(1.0));
    let mut served = Vec::new();
    while served.len() < 11 {
        desk.settle(open, cost(1), at(2.0));
        open = granted(&mut desk)[0];
        served.push(open);
    }
    let place = served.iter().position(|ticket| *ticket == one).expect("it is served");
    assert!(place <= 2, "{place} went before it");
}

#[test]
fn a_choice_that_is_open_is_not_hidden_by_one_that_opens_later() {
    let mut desk = open_desk(&[
        ("a", tokens_per_second(1)),
        ("b", tokens_per_second(1)),
        ("c", tokens_per_second(1)),
        ("d", tokens_per_second(1)),
    ]);
    for full in ["a", "b", "c"] {
        enter(&mut desk, ask(&[full], 30, at(0.0)), at(0.0));
    }
    let mut late = ask(&["a", "b", "c", "d"], 6, at(0.0));
    late.choices[2].open_from = at(60.0);
    assert_eq!(enter(&mut desk, late, at(10.0)).1, "d", "from ten seconds on any but the third will do");
}

#[test]
fn those_who_have_aged_are_one_more_client_of_the_class_above() {
    let settings = QueueSettings { ageing: std::time::Duration::from_secs(10), ..QueueSettings::default() };
    let mut desk = Desk::new(settings, [(BudgetId::from("a"), tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let mut person = None;
    for second in 0..100 {
        let now = at(f64::from(second));
        // Twice what there is room for.
        for _ in 0..2 {
            desk.enter(of(1, ask(&["a"], 10, now)), now);
        }
        if second == 60 {
            let ask = Ask { priority: Priority::Interactive, ..of(2, ask(&["a"], 10, now)) };
            person = Some(desk.enter(ask, now));
        }
        desk.poll(now);
        if person.is_some_and(|person| granted(&mut desk).contains(&person)) {
            assert!(second <= 63, "a person waited until {second} s");
            return;
        }
    }
    panic!("a person is starved by those who have aged");
}

#[test]
fn one_who_has_aged_is_not_starved_by_the_reserve() {
    let settings = QueueSettings {
        ageing: std::time::Duration::from_secs(10),
        reserve: 500,
        ..QueueSettings::default()
    };
    let mut desk = Desk::new(settings, [(BudgetId::from("a"), tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 30, at(0.0)), at(0.0));
    let (normal, told) = enter(&mut desk, of(1, ask(&["a"], 15, at(0.0))), at(0.0));
    assert_eq!(told, "waits");
    for second in 0..100 {
        let now = at(f64::from(second));
        // People take all that there is.
        for client in [2, 3, 4] {
            let person =
                Ask { priority: Priority::Interactive, deadline: at(1e6), ..of(client, ask(&["a"], 5, now)) };
            desk.enter(person, now);
        }
        desk.poll(now);
        if granted(&mut desk).contains(&normal) {
            assert!(second <= 25, "it waited until {second} s");
            return;
        }
    }
    panic!("it is never served");
}
