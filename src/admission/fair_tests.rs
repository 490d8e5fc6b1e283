//! What the fair order promises.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn share(group: u64, flow: u64, weight: u32) -> Share {
    Share { payer: group, flow, weight }
}

/// Clients that always have a call waiting, each of its size: who is served, in order.
fn served(clients: &[(Share, u64)], calls: usize) -> Vec<usize> {
    let mut fair = Fair::default();
    let mut waiting = BTreeSet::new();
    for (client, (share, tokens)) in clients.iter().enumerate() {
        waiting.insert((fair.enter(*share, Tokens(*tokens)).start, client));
    }
    let mut order = Vec::new();
    for _ in 0..calls {
        let (start, client) = waiting.pop_first().expect("everybody always waits");
        let (share, tokens) = clients[client];
        fair.serve(start);
        fair.leave(share);
        order.push(client);
        waiting.insert((fair.enter(share, Tokens(tokens)).start, client));
        assert!(fair.is_consistent());
    }
    order
}

/// The tokens that each client got.
fn tokens(clients: &[(Share, u64)], calls: usize) -> Vec<f64> {
    let mut got = vec![0.0; clients.len()];
    for client in served(clients, calls) {
        got[client] += (clients[client].1 + CALL) as f64;
    }
    got
}

fn assert_close(got: f64, wanted: f64, within: f64) {
    assert!((got / wanted - 1.0).abs() < within, "{got} is not {wanted}");
}

#[test]
fn equal_clients_get_equal_tokens_whatever_the_size_of_their_calls() {
    let got =
        tokens(&[(share(1, 0, 1_000), 100), (share(2, 0, 1_000), 4_000), (share(3, 0, 1_000), 900)], 20_000);
    assert_close(got[1], got[0], 0.01);
    assert_close(got[2], got[0], 0.01);
}

#[test]
fn a_weight_is_a_share() {
    let got =
        tokens(&[(share(1, 0, 500), 100), (share(2, 0, 1_000), 100), (share(3, 0, 3_000), 100)], 20_000);
    assert_close(got[1], 2.0 * got[0], 0.01);
    assert_close(got[2], 6.0 * got[0], 0.01);
}

#[test]
fn a_client_with_forty_programs_gets_no_more_than_one_with_a_single_program() {
    let mut clients: Vec<_> = (0..40).map(|flow| (share(1, flow, 1_000), 100)).collect();
    clients.push((share(2, 0, 1_000), 100));
    let got = tokens(&clients, 20_000);
    assert_close(got[..40].iter().sum(), got[40], 0.05);
}

#[test]
fn large_calls_that_come_together_are_not_served_together() {
    let mut clients: Vec<_> = (0..28).map(|client| (share(client, 0, 1_000), 100)).collect();
    clients.extend((28..32).map(|client| (share(client, 0, 1_000), 1_000)));
    let order = served(&clients, 10_000);
    let mut in_a_row: BTreeMap<usize, usize> = BTreeMap::new();
    for calls in order[1_000..].chunk_by(|one, other| (*one >= 28) == (*other >= 28)) {
        if calls[0] >= 28 {
            *in_a_row.entry(calls.len()).or_default() += 1;
        }
    }
    let most = in_a_row.keys().max().copied().unwrap_or_default();
    assert!(most <= 2, "so many large calls went one behind the other: {in_a_row:?}");
}

#[test]
fn who_comes_back_is_owed_nothing_for_the_time_away() {
    let mut fair = Fair::default();
    for _ in 0..100 {
        let start = fair.enter(share(1, 0, 1_000), Tokens(100)).start;
        fair.serve(start);
        fair.leave(share(1, 0, 1_000));
    }
    let [busy, back] = [1, 2].map(|client| fair.enter(share(client, 0, 1_000), Tokens(100)).start);
    assert!(back >= fair.now(), "it would be served for all that it missed");
    assert!(
        back.abs_diff(busy) <= fair.ends[&key(share(1, 0, 1_000))] - busy,
        "it waits for one call at most"
    );
}

#[test]
fn absurd_sizes_and_weights_saturate() {
    let mut fair = Fair::default();
    let one = share(1, 0, 0);
    for _ in 0..20_000 {
        let tag = fair.enter(one, Tokens(u64::MAX));
        fair.serve(tag.start);
    }
    assert_eq!(fair.enter(one, Tokens(1)).start, u64::MAX);
}

#[test]
fn a_call_of_any_size_leaves_virtual_time_for_all_others() {
    let mut fair = Fair::default();
    for _ in 0..1_000 {
        let tag = fair.enter(share(1, 0, 1_000), Tokens(u64::MAX));
        fair.serve(tag.start);
        fair.leave(share(1, 0, 1_000));
    }
    assert!(fair.now() < u64::MAX / 1_000);
}

#[test]
fn what_was_not_served_is_not_charged() {
    let (mut fair, one) = (Fair::default(), share(1, 0, 1_000));
    let tags = [100, 200, 300].map(|tokens| fair.enter(one, Tokens(tokens)));
    fair.leave(one);
    fair.refund(one, tags[1].size);
    assert_eq!(fair.enter(one, Tokens(1)).start, tags[2].start + tags[2].size - tags[1].size);
}

#[test]
fn the_memory_is_bounded() {
    let mut fair = Fair::default();
    for client in 0..2 * FLOWS_MAX as u64 {
        fair.enter(share(client, 0, 1_000), Tokens(1));
        fair.leave(share(client, 0, 1_000));
    }
    assert!(fair.ends.len() <= FLOWS_MAX && fair.waiting.is_empty() && fair.programs.is_empty());
}

proptest! {
    /// Goyal, Vin and Cheng, theorem 1: between two clients that always have calls waiting, what each has had by its
    /// weight differs by at most one call of either.
    #[test]
    fn no_client_is_ahead_of_another_by_more_than_a_call_of_each(
        clients in prop::collection::vec((1_u64..3_000, 100_u32..5_000), 2..8),
    ) {
        let shares: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(client, (tokens, weight))| (share(client as u64, 0, *weight), *tokens))
            .collect();
        let size = |client: usize| (clients[client].0 + CALL) as f64 / f64::from(clients[client].1);
        let mut had = vec![0.0; clients.len()];
        for client in served(&shares, 400) {
            had[client] += size(client);
            for (one, other) in (0..clients.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
                // One call more of each: those that began together begin within their first call's length.
                let most = 2.0 * (size(one) + size(other));
                prop_assert!((had[one] - had[other]).abs() <= most * 1.000_001);
            }
        }
    }
}
