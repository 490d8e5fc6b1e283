//! What is learned of the length of answers.

use super::*;
use proptest::prelude::*;

fn model() -> ModelName {
    ModelName::from("m")
}

fn taught(client: u64, lengths: impl IntoIterator<Item = u64>) -> OutputLengths {
    let mut outputs = OutputLengths::default();
    lengths.into_iter().for_each(|length| outputs.teach(client, &model(), Tokens(length)));
    outputs
}

fn check(outputs: &mut OutputLengths, client: u64, percentile: u8) -> Option<u64> {
    outputs.quantile(client, &model(), percentile).map(|tokens| tokens.0)
}

#[test]
fn too_few_answers_tell_nothing_and_empty_ones_do_not_count() {
    assert_eq!(check(&mut taught(1, [500; 5]), 1, 90), None);
    assert_eq!(check(&mut taught(1, [0; 500]), 1, 90), None);
    let known = check(&mut taught(1, [500; 6]), 1, 90).expect("six are enough");
    assert!((500..600).contains(&known), "{known}");
}

#[test]
fn a_client_that_is_not_known_gets_what_all_others_got() {
    let mut outputs = taught(1, [100; 50]);
    let others = check(&mut outputs, 2, 90);
    assert_eq!(others, check(&mut outputs, 1, 90));
    for _ in 0..10 {
        outputs.teach(2, &model(), Tokens(4_000));
    }
    let (first, second) = (check(&mut outputs, 1, 90), check(&mut outputs, 2, 90));
    assert!(first < Some(120) && second >= Some(4_000), "{first:?} {second:?}");
    assert_eq!(outputs.quantile(1, &ModelName::from("other"), 90), None);
}

#[test]
fn a_higher_percentile_reserves_for_the_rare_long_answer() {
    let lengths = (0..200).map(|number| if number % 5 == 0 { 8_000 } else { 100 });
    let mut outputs = taught(1, lengths);
    let (half, most) = (check(&mut outputs, 1, 50), check(&mut outputs, 1, 90));
    assert!(half < Some(120) && most >= Some(8_000), "{half:?} {most:?}");
}

#[test]
fn what_was_long_ago_fades() {
    let mut outputs = taught(1, [8_000; 500]);
    for _ in 0..300 {
        outputs.teach(1, &model(), Tokens(50));
    }
    assert!(check(&mut outputs, 1, 90) < Some(60));
}

#[test]
fn every_length_lies_within_its_range() {
    for length in (1..5_000).chain([1 << 16, (1 << 20) - 1, 1_000_000]) {
        let end = end_of(range_of(Tokens(length))).0;
        assert!(end >= length && end <= length + length / 5 + 1, "{length} {end}");
    }
    assert_eq!(range_of(Tokens(0)), 0);
    assert_eq!(range_of(Tokens(u64::MAX)), RANGES - 1);
    assert_eq!(end_of(RANGES - 1), Tokens(1 << 20));
}

#[test]
fn a_flood_of_clients_stays_within_the_bound() {
    let mut outputs = OutputLengths::default();
    for client in 0..3_000 {
        for length in 0..8 {
            outputs.teach(client, &model(), Tokens(1 << (2 * length)));
        }
        assert!(outputs.len() <= ENTRIES_MAX);
    }
    let saved = outputs.save();
    assert_eq!(saved.len(), SAVED_MAX);
    assert!(check(&mut outputs, 0, 90).is_some(), "the model is in use and stays");
    let mut again = OutputLengths::default();
    again.restore(&saved);
    assert_eq!(check(&mut again, 0, 90), check(&mut outputs, 0, 90), "the model is among what is saved");
}

#[test]
fn what_is_saved_is_bounded_even_where_every_range_is_in_use() {
    let mut outputs = OutputLengths::default();
    for client in 0..200 {
        for range in 0..160 {
            outputs.teach(client, &model(), end_of(range % RANGES));
        }
    }
    let bytes = serde_json::to_vec(&outputs.save()).expect("numbers can be written").len();
    assert!(bytes < 100_000, "{bytes}");
}

proptest! {
    #[test]
    fn a_quantile_is_within_a_fifth_of_the_true_one(
        mut lengths in prop::collection::vec(1..200_000_u64, 10..80),
        percentile in 1..=99_u8,
    ) {
        let told = check(&mut taught(1, lengths.clone()), 1, percentile).expect("enough");
        lengths.sort_unstable();
        // Older answers fade, so that which one is meant may shift by some places.
        let place = |percent: usize| lengths[(lengths.len() * percent / 100).min(lengths.len() - 1)];
        let (low, high) = (place(usize::from(percentile).saturating_sub(25)), place(usize::from(percentile) + 25));
        prop_assert!(told >= low && told <= high + high / 5 + 1, "{} is not in {}..{}", told, low, high);
    }

    #[test]
    fn what_is_saved_is_restored_as_it_was(lengths in prop::collection::vec(any::<u64>(), 0..60)) {
        let outputs = taught(7, lengths);
        let text = serde_json::to_string(&outputs.save()).expect("numbers can be written");
        let mut again = OutputLengths::default();
        again.restore(&serde_json::from_str::<Vec<SavedLengths>>(&text).expect("as written"));
        prop_assert_eq!(outputs.save(), again.save());
    }

    #[test]
    fn nonsense_is_never_believed(
        ranges in prop::collection::vec(any::<(u8, f32)>(), 0..200),
        percentile in any::<u8>(),
    ) {
        let mut outputs = OutputLengths::default();
        let of_ours = keys(1, &model());
        outputs.restore(&of_ours.map(|key| SavedLengths(key, ranges.clone())));
        outputs.teach(1, &model(), Tokens(100));
        if let Some(length) = check(&mut outputs, 1, percentile) {
            prop_assert!((1..=1 << 20).contains(&length));
        }
    }
}
