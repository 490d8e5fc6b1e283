//! What the desk promises.

use super::*;
use crate::admission::{Choice, Draws, Meaning, Share};
use crate::ids::{ModelName, ProviderId, TargetId};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn at(seconds: f64) -> Moment {
    Moment::START + Duration::from_secs_f64(seconds)
}

pub(super) fn cost(tokens: u64) -> Cost {
    Cost { input: Tokens(tokens), ..Cost::default() }
}

/// 60 tokens a minute for each unit, six seconds' worth at once.
pub(super) fn tokens_per_second(number: u32) -> Limits {
    Limits {
        tokens_per_minute: NonZeroU32::new(number * 60),
        burst_tokens: NonZeroU32::new(number * 6),
        ..Limits::default()
    }
}

pub(super) fn desk(limits: &[(&str, Limits)]) -> Desk {
    let settings = QueueSettings { max_depth: 3, ..QueueSettings::default() };
    Desk::new(settings, limits.iter().map(|(name, limits)| (BudgetId::from(*name), *limits)))
}

pub(super) fn ask(providers: &[&str], tokens: u64, now: Moment) -> Ask {
    let choice = |(rank, provider): (usize, &&str)| Choice {
        target: TargetId { provider: ProviderId::from(*provider), model: ModelName::from("m") },
        draws: Arc::new(Draws { configured: vec![BudgetId::from(*provider)], pool: None }),
        cost: cost(tokens),
        open_from: now + Duration::from_secs(if rank == 0 { 0 } else { 10 }),
    };
    Ask {
        choices: providers.iter().enumerate().map(choice).collect(),
        priority: Priority::Normal,
        share: Share::default(),
        entered: now,
        turn: None,
        deadline: now + Duration::from_secs(120),
    }
}

/// The same, but all choices will do from then on.
fn patient_until(until: Moment, mut ask: Ask) -> Ask {
    ask.choices.iter_mut().skip(1).for_each(|choice| choice.open_from = until);
    ask
}

fn shortage(until: Moment) -> Shortage {
    Shortage { meaning: Meaning::Minute, until, dimension: None, limit: None }
}

/// Enters and tells what came of it: the provider, "waits", or the refusal.
pub(super) fn enter(desk: &mut Desk, ask: Ask, now: Moment) -> (Ticket, String) {
    let ticket = desk.enter(ask, now);
    let told = effects(desk).into_iter().find(|(whose, _)| *whose == ticket);
    (ticket, told.map_or("waits".into(), |(_, what)| what))
}

pub(super) fn effects(desk: &mut Desk) -> Vec<(Ticket, String)> {
    let show = |effect| match effect {
        Effect::Granted(grant) => (grant.ticket, grant.target.provider.to_string()),
        Effect::Refused(ticket, refusal) => {
            let until = refusal.until.map(|until| until.since(Moment::START).as_secs_f64());
            (ticket, format!("{:?} {until:?}", refusal.why))
        }
    };
    desk.take_effects().into_iter().map(show).collect()
}

/// Polls at each moment the desk names, up to `end`, and tells what happened when.
pub(super) fn run_until(desk: &mut Desk, end: Moment) -> Vec<(f64, Ticket, String)> {
    let mut told = Vec::new();
    while let Some(now) = desk.next_wakeup().filter(|now| *now <= end) {
        desk.poll(now);
        let seconds = now.since(Moment::START).as_secs_f64();
        told.extend(effects(desk).into_iter().map(|(ticket, what)| (seconds, ticket, what)));
    }
    told
}

#[test]
fn an_ask_with_room_is_granted_at_once() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    assert_eq!(enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0)).1, "a");
    assert_eq!(desk.next_wakeup(), None);
}

#[test]
fn the_next_is_granted_at_the_moment_that_the_desk_names() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (ticket, told) = enter(&mut desk, ask(&["a"], 20, at(0.0)), at(0.0));
    assert_eq!((told.as_str(), desk.next_wakeup()), ("waits", Some(at(2.0))));
    assert_eq!(run_until(&mut desk, at(10.0)), [(2.0, ticket, "a".into())]);
}

#[test]
fn who_comes_first_is_served_first_even_if_a_later_one_would_fit() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 30, at(0.0)), at(0.0));
    let (large, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (small, told) = enter(&mut desk, ask(&["a"], 10, at(0.0)), at(0.0));
    assert_eq!(told, "waits");
    assert_eq!(run_until(&mut desk, at(10.0)), [(3.0, large, "a".into()), (4.0, small, "a".into())]);
}

#[test]
fn a_higher_class_goes_before_those_who_wait() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let batch = Ask { priority: Priority::Batch, ..ask(&["a"], 10, at(0.0)) };
    let person = Ask { priority: Priority::Interactive, ..ask(&["a"], 10, at(0.0)) };
    let (batch, _) = enter(&mut desk, batch, at(0.0));
    let (person, _) = enter(&mut desk, person, at(0.0));
    assert_eq!(run_until(&mut desk, at(10.0)), [(1.0, person, "a".into()), (2.0, batch, "a".into())]);
}

#[test]
fn the_first_choice_is_awaited_within_patience() {
    let mut desk = desk(&[("a", tokens_per_second(10)), ("b", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (ticket, told) = enter(&mut desk, ask(&["a", "b"], 50, at(0.0)), at(0.0));
    assert_eq!(told, "waits", "b stands idle, but a comes in 5 s");
    assert_eq!(run_until(&mut desk, at(60.0)), [(5.0, ticket, "a".into())]);
}

#[test]
fn nobody_waits_for_a_first_choice_that_comes_too_late() {
    let mut desk = desk(&[("a", tokens_per_second(10)), ("b", tokens_per_second(10))]);
    let (ticket, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    desk.penalise(ticket, &shortage(at(30.0)), at(0.0));
    assert_eq!(enter(&mut desk, ask(&["a", "b"], 50, at(0.0)), at(0.0)).1, "b");
}

#[test]
fn when_patience_ends_any_choice_will_do() {
    let crowded = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let mut desk = desk(&[("a", crowded), ("b", crowded)]);
    enter(&mut desk, ask(&["a"], 1, at(0.0)), at(0.0));
    let (ticket, told) = enter(&mut desk, ask(&["a", "b"], 1, at(0.0)), at(0.0));
    assert_eq!(told, "waits");
    assert_eq!(run_until(&mut desk, at(60.0)), [(10.0, ticket, "b".into())]);
}

#[test]
fn a_waiter_for_one_provider_does_not_hold_up_another() {
    let mut desk = desk(&[("a", tokens_per_second(1)), ("b", tokens_per_second(1))]);
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    assert_eq!(enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0)).1, "waits");
    assert_eq!(enter(&mut desk, ask(&["b"], 6, at(0.0)), at(0.0)).1, "b");
}

#[test]
fn a_full_queue_refuses_and_says_when() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    for _ in 0..4 {
        enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    }
    assert_eq!(enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0)).1, "QueueFull Some(24.0)");
}

#[test]
fn a_deadline_refuses_and_says_when() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let hasty = Ask { deadline: at(7.0), ..ask(&["a"], 60, at(0.0)) };
    let (ticket, told) = enter(&mut desk, hasty, at(0.0));
    assert_eq!(told, "waits", "those before may still give back");
    let told = run_until(&mut desk, at(60.0));
    assert_eq!(told[1], (7.0, ticket, "Deadline Some(12.0)".into()));
}

#[test]
fn who_could_not_be_served_in_time_by_an_empty_queue_is_refused_at_once() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let (ticket, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    desk.penalise(ticket, &shortage(at(3_600.0)), at(0.0));
    assert_eq!(enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0)).1, "Deadline Some(3600.0)");
}

#[test]
fn what_no_limit_can_hold_is_refused_or_goes_where_it_fits() {
    let mut desk = desk(&[("a", tokens_per_second(1)), ("b", tokens_per_second(10))]);
    let (_, told) = enter(&mut desk, ask(&["a"], 61, at(0.0)), at(0.0));
    assert!(told.starts_with("TooLarge") && told.contains("limit: 60, asked: 61"), "{told}");
    assert_eq!(enter(&mut desk, ask(&["a", "b"], 61, at(0.0)), at(0.0)).1, "b");
    assert_eq!(enter(&mut desk, ask(&["c"], 1, at(0.0)), at(0.0)).1, "NoProvider None");
}

#[test]
fn what_is_given_back_goes_to_the_next_at_once() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let (first, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (second, _) = enter(&mut desk, ask(&["a"], 50, at(0.0)), at(0.0));
    desk.settle(first, cost(10), at(0.0));
    assert_eq!(effects(&mut desk), [(second, "a".to_owned())]);
}

#[test]
fn who_leaves_frees_its_place_and_its_room() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let (first, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (second, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (third, _) = enter(&mut desk, ask(&["a"], 30, at(0.0)), at(0.0));
    desk.leave(second, at(0.0));
    desk.leave(first, at(0.0));
    assert_eq!(effects(&mut desk), [(third, "a".to_owned())]);
    desk.leave(first, at(0.0));
    assert_eq!(desk.view(at(0.0))[0].open, 1, "leaving twice gives back once");
}

#[test]
fn output_beyond_the_reservation_is_taken_while_it_comes() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let (ticket, _) = enter(&mut desk, ask(&["a"], 20, at(0.0)), at(0.0));
    desk.true_up(ticket, Tokens(15), at(0.0));
    desk.true_up(ticket, Tokens(10), at(0.0));
    assert_eq!(desk.view(at(0.0))[0].levels[0].level, 25);
    desk.settle(ticket, Cost { input: Tokens(20), output: Tokens(16), output_is_guess: false }, at(0.0));
    assert_eq!(desk.view(at(0.0))[0].levels[0].level, 24);
}

#[test]
fn an_exchange_that_asks_again_keeps_its_place() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let first = desk.enter(ask(&["a"], 60, at(0.0)), at(0.0));
    let turn = match desk.take_effects().as_slice() {
        [Effect::Granted(grant)] => Some(grant.turn),
        other => panic!("{other:?}"),
    };
    let (other, _) = enter(&mut desk, ask(&["a"], 30, at(1.0)), at(1.0));
    desk.penalise(first, &shortage(at(5.0)), at(2.0));
    let (again, _) = enter(&mut desk, Ask { turn, ..ask(&["a"], 60, at(0.0)) }, at(2.0));
    let told = run_until(&mut desk, at(60.0));
    assert_eq!(told, [(5.0, again, "a".into()), (8.0, other, "a".into())]);
}

#[test]
fn a_reload_keeps_those_who_wait_and_refuses_those_whose_provider_is_gone() {
    let mut desk = desk(&[("a", tokens_per_second(1)), ("b", tokens_per_second(1))]);
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    let (held, _) = enter(&mut desk, ask(&["b"], 6, at(0.0)), at(0.0));
    let (stays, _) = enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    let (goes, _) = enter(&mut desk, ask(&["b"], 6, at(0.0)), at(0.0));
    let settings = QueueSettings { max_depth: 1, ..QueueSettings::default() };
    desk.retune(settings, [(BudgetId::from("a"), tokens_per_second(10))], at(0.0));
    assert_eq!(effects(&mut desk), [(goes, "NoProvider None".to_owned())]);
    desk.settle(held, cost(1), at(0.0));
    assert_eq!(run_until(&mut desk, at(10.0)), [(0.6, stays, "a".into())]);
}

#[test]
fn a_closed_desk_lets_nobody_wait_and_settles_what_is_open() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let (first, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let (second, _) = enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    desk.close(at(1.0));
    assert_eq!(effects(&mut desk), [(second, "Closed Some(1.0)".to_owned())]);
    assert_eq!(desk.next_wakeup(), None);
    assert_eq!(enter(&mut desk, ask(&["a"], 60, at(2.0)), at(2.0)).1, "Closed Some(2.0)");
    desk.settle(first, cost(0), at(2.0));
    assert_eq!(enter(&mut desk, ask(&["a"], 10, at(2.0)), at(2.0)).1, "a", "what needs no wait is served");
}

#[test]
fn a_new_process_waits_as_the_old_one_would_have() {
    let mut before = desk(&[("a", tokens_per_second(10))]);
    enter(&mut before, ask(&["a"], 60, at(100.0)), at(100.0));
    let saved = before.save(at(100.0), WallTime(1_000_000));
    let mut after = desk(&[("a", tokens_per_second(10))]);
    after.restore(&saved, at(0.0), WallTime(1_002_000));
    let (ticket, _) = enter(&mut after, ask(&["a"], 60, at(0.0)), at(0.0));
    assert_eq!(run_until(&mut after, at(60.0)), [(4.0, ticket, "a".into())]);
    let mut back = desk(&[("a", tokens_per_second(10))]);
    back.restore(&saved, at(0.0), WallTime(5));
    assert_eq!(back.view(at(0.0))[0].levels[0].level, 0, "a clock that was set back refills nothing");
}

#[test]
fn who_waits_for_an_exchange_to_end_takes_other_room_that_comes_before() {
    let crowded = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let mut desk = desk(&[("a", crowded), ("b", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 1, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["b"], 60, at(0.0)), at(0.0));
    let hasty = patient_until(at(0.0), ask(&["a", "b"], 50, at(0.0)));
    let (ticket, told) = enter(&mut desk, hasty, at(0.0));
    assert_eq!(told, "waits");
    let (later, _) = enter(&mut desk, ask(&["b"], 10, at(1.0)), at(1.0));
    assert_eq!(run_until(&mut desk, at(60.0)), [(5.0, ticket, "b".into()), (6.0, later, "b".into())]);
}

#[test]
fn after_its_deadline_an_exchange_still_moves_on_to_room_but_waits_no_more() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    let late = Ask { entered: at(0.0), ..ask(&["a"], 60, at(0.0)) };
    assert_eq!(enter(&mut desk, late.clone(), at(300.0)).1, "a");
    assert_eq!(enter(&mut desk, late, at(300.0)).1, "Deadline Some(306.0)");
}

#[test]
fn who_was_granted_and_left_before_anything_was_sent_used_no_request() {
    let limits = Limits { requests_per_day: NonZeroU32::new(2), ..Limits::default() };
    let mut desk = desk(&[("a", limits)]);
    for _ in 0..3 {
        let (ticket, told) = enter(&mut desk, ask(&["a"], 1, at(0.0)), at(0.0));
        assert_eq!(told, "a");
        desk.leave(ticket, at(0.0));
    }
}

#[test]
fn a_reload_tells_those_that_have_become_too_large_for_it() {
    let mut desk = desk(&[("a", tokens_per_second(10))]);
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["a"], 30, at(0.0)), at(0.0));
    let (large, _) = enter(&mut desk, ask(&["a"], 61, at(0.0)), at(0.0));
    desk.retune(QueueSettings::default(), [(BudgetId::from("a"), tokens_per_second(1))], at(0.0));
    let told = effects(&mut desk);
    assert_eq!(told[0].0, large);
    assert!(told[0].1.starts_with("TooLarge"), "{told:?}");
}

#[test]
fn a_deadline_behind_a_long_queue_is_kept() {
    let mut desk = desk(&[("a", tokens_per_second(1))]);
    enter(&mut desk, ask(&["a"], 6, at(0.0)), at(0.0));
    enter(&mut desk, ask(&["a"], 60, at(0.0)), at(0.0));
    let hasty = Ask { deadline: at(3.0), ..ask(&["a"], 1, at(0.0)) };
    let (ticket, _) = enter(&mut desk, hasty, at(0.0));
    assert_eq!(run_until(&mut desk, at(3.0)), [(3.0, ticket, "Deadline Some(61.0)".into())]);
}

/// Whoever polls before the moment that the desk has named finds nothing to do: else somebody who could go
/// would be left waiting. Patience and crowded providers are not tried together: what waits for an exchange to
/// end is of unknown length, and the guess whether it is worth the patience moves with time. Nor are patience and
/// several limits: one that is full gains nothing while its first waiter waits for another.
#[test]
fn nothing_can_be_done_before_the_moment_that_is_named() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = |random: &mut fastrand::Rng| Limits {
            tokens_per_minute: NonZeroU32::new(random.u32(0..3) * 600),
            requests_per_minute: NonZeroU32::new(random.u32(0..2) * 60).filter(|_| seed % 2 == 0),
            concurrent: NonZeroU32::new(random.u32(0..4)).filter(|_| seed % 2 == 0),
            ..Limits::default()
        };
        let names = ["a", "b", "c"];
        let limits = names.map(|name| (BudgetId::from(name), limits(&mut random)));
        let settings = QueueSettings { max_depth: 20, ..QueueSettings::default() };
        let mut desk = Desk::new(settings, limits);
        let (mut now, mut open) = (at(0.0), Vec::new());
        for step in 0..400 {
            now = now + Duration::from_millis(random.u64(0..400));
            let early = desk.next_wakeup().is_none_or(|named| now < named);
            desk.poll(now);
            let effects = desk.take_effects();
            assert!(!early || effects.is_empty(), "seed {seed}, step {step}: {effects:?}");
            open.extend(effects.into_iter().filter_map(granted));
            let ticket = (!open.is_empty()).then(|| random.usize(0..open.len()));
            match (random.u8(0..5), ticket) {
                (0, Some(index)) => desk.settle(open.swap_remove(index), cost(random.u64(0..150)), now),
                (1, Some(index)) if random.u8(0..5) == 0 => {
                    desk.penalise(
                        open.swap_remove(index),
                        &shortage(now + Duration::from_millis(random.u64(0..20_000))),
                        now,
                    );
                }
                (2, Some(index)) => desk.leave(open.swap_remove(index), now),
                _ => {
                    let mut choices = names.to_vec();
                    random.shuffle(&mut choices);
                    choices.truncate(random.usize(1..=3));
                    let ask = Ask {
                        deadline: now + Duration::from_secs(random.u64(1..60)),
                        ..ask(&choices, random.u64(1..150), now)
                    };
                    let patience = Duration::from_secs(random.u64(0..10) * (seed % 2));
                    desk.enter(patient_until(now + patience, ask), now);
                }
            }
            open.extend(desk.take_effects().into_iter().filter_map(granted));
        }
    }
}

fn granted(effect: Effect) -> Option<Ticket> {
    match effect {
        Effect::Granted(grant) => Some(grant.ticket),
        Effect::Refused(..) => None,
    }
}
