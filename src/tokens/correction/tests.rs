//! What is learned of a provider's counting, and what is not.

use super::*;
use proptest::prelude::*;

const TEXT: Tokens = Tokens(2_000);

fn names() -> (ProviderId, ModelName) {
    (ProviderId::from("a"), ModelName::from("m"))
}

fn taught(reports: impl IntoIterator<Item = (u64, u64)>) -> Corrections {
    let (provider, model) = names();
    let mut corrections = Corrections::default();
    for (estimated, truth) in reports {
        corrections.teach(&provider, &model, Kind::Prose, Tokens(estimated), Tokens(truth));
    }
    corrections
}

fn check(corrections: &mut Corrections) -> Correction {
    let (provider, model) = names();
    corrections.of(&provider, &model, Kind::Prose)
}

#[test]
fn nothing_seen_changes_nothing() {
    let correction = check(&mut Corrections::default());
    assert_eq!(correction, Correction::NONE);
    for tokens in [0, 1, 999, u64::MAX] {
        assert_eq!((correction.mean(Tokens(tokens)).0, correction.high(Tokens(tokens)).0), (tokens, tokens));
    }
}

#[test]
fn no_usage_teaches_nothing() {
    assert!(taught([(100, 0), (0, 100), (0, 0)]).is_empty());
}

#[test]
fn other_kinds_and_models_start_where_their_neighbours_are() {
    let (provider, model) = names();
    let mut corrections = taught([(2_000, 2_600); 20]);
    let kind = corrections.of(&provider, &model, Kind::Code).permille();
    let of_provider = corrections.of(&provider, &ModelName::from("other"), Kind::Code).permille();
    assert!((1_250..1_300).contains(&kind) && (1_200..kind).contains(&of_provider), "{kind} {of_provider}");
    assert_eq!(corrections.of_provider(&provider).permille(), of_provider);
    assert_eq!(corrections.of(&ProviderId::from("b"), &model, Kind::Prose), Correction::NONE);
    for _ in 0..30 {
        corrections.teach(&provider, &model, Kind::Code, TEXT, TEXT);
    }
    assert!(corrections.of(&provider, &model, Kind::Code).permille() <= 1_020, "it has seen enough itself");
}

#[test]
fn a_kind_that_was_learned_is_not_forgotten_for_another() {
    let (provider, model) = names();
    let mut corrections = Corrections::default();
    for _ in 0..40 {
        corrections.teach(&provider, &model, Kind::Prose, TEXT, Tokens(2_000));
        corrections.teach(&provider, &model, Kind::Cjk, TEXT, Tokens(3_000));
    }
    let of = |kind, corrections: &mut Corrections| corrections.of(&provider, &model, kind).permille();
    let (prose, cjk) = (of(Kind::Prose, &mut corrections), of(Kind::Cjk, &mut corrections));
    assert!((1_000..1_050).contains(&prose) && (1_420..1_510).contains(&cjk), "{prose} {cjk}");
}

#[test]
fn what_strays_is_reserved_with_a_margin_and_reported_without() {
    let steady = check(&mut taught([(2_000, 2_400); 50]));
    assert!(steady.high - steady.mean <= 15, "{steady:?}");
    let straying = check(&mut taught([(2_000, 2_200), (2_000, 2_600)].repeat(40)));
    assert!((1_180..1_220).contains(&straying.mean), "{straying:?}");
    assert!((1_270..1_360).contains(&straying.high), "{straying:?}");
    let wild = check(&mut taught([(2_000, 600), (2_000, 7_000)].repeat(40)));
    assert!(wild.high * 100 <= wild.mean * 126, "the margin is bounded: {wild:?}");
}

#[test]
fn short_calls_teach_little() {
    let short = check(&mut taught([(8, 24)])).permille();
    let long = check(&mut taught([(8_000, 24_000)])).permille();
    assert!(short < 1_350 && long > 1_500, "{short} {long}");
    let mut corrections = taught([(8_000, 8_000); 20]);
    let (provider, model) = names();
    for _ in 0..3 {
        corrections.teach(&provider, &model, Kind::Prose, Tokens(8), Tokens(24));
    }
    assert!(check(&mut corrections).permille() < 1_040);
}

#[test]
fn a_flood_of_model_names_stays_within_the_bound() {
    let mut corrections = Corrections::default();
    let provider = ProviderId::from("a");
    for number in 0..5_000 {
        let model = ModelName::from(number.to_string());
        corrections.teach(&provider, &model, Kind::Prose, TEXT, Tokens(3_000));
        assert!(corrections.len() <= ENTRIES_MAX);
    }
    assert!(corrections.of_provider(&provider).permille() > 1_200, "the provider is in use and stays");
    let saved = corrections.save();
    assert_eq!(saved.len(), SAVED_MAX);
    let bytes = serde_json::to_vec(&saved).expect("numbers can be written").len();
    assert!(bytes < 80 * SAVED_MAX, "{bytes}");
    let mut again = Corrections::default();
    again.restore(&saved);
    assert_eq!(again.of_provider(&provider), corrections.of_provider(&provider));
}

#[test]
fn twice_the_bound_is_not_taken_over() {
    let mut corrections = Corrections::default();
    let many: Vec<SavedLevel> = (0..100_000).map(|key| SavedLevel(key, 1.0, 0.1, 0.0)).collect();
    corrections.restore(&many);
    assert_eq!(corrections.len(), SAVED_MAX);
}

proptest! {
    #[test]
    fn a_constant_factor_is_known_after_twenty_reports(factor in 0.4..2.5_f64, estimated in 500..100_000_u64) {
        let reports = 20;
        let truth = permille(factor.ln()) * estimated / 1_000;
        let correction = check(&mut taught(std::iter::repeat_n((estimated, truth), reports)));
        let off = correction.permille() as f64 / 1_000.0 / factor;
        prop_assert!((0.98..=1.02).contains(&off), "{factor} is {} off", off);
    }

    #[test]
    fn a_factor_that_changes_is_followed(before in 0.8..1.3_f64, after in 0.8..1.3_f64) {
        let truth = |factor: f64| permille(factor.ln()) * 5;
        let reports = [vec![(5_000, truth(before)); 30], vec![(5_000, truth(after)); 45]].concat();
        let off = check(&mut taught(reports)).permille() as f64 / 1_000.0 / after;
        prop_assert!((0.98..=1.02).contains(&off), "{after} is {} off", off);
    }

    #[test]
    fn whatever_is_reported_no_factor_leaves_its_bounds(
        reports in prop::collection::vec(any::<(u64, u64)>(), 0..60),
    ) {
        let mut corrections = taught(reports);
        let correction = check(&mut corrections);
        prop_assert!((FACTOR_MIN..=FACTOR_MAX).contains(&correction.mean));
        prop_assert!((FACTOR_MIN..=FACTOR_MAX).contains(&correction.high));
        prop_assert!(correction.mean <= correction.high);
    }

    #[test]
    fn one_absurd_report_moves_what_is_known_by_a_twelfth_at_most(
        factor in 0.5..2.0_f64,
        estimated in 1..u64::MAX,
        absurd in 1..u64::MAX,
    ) {
        let (provider, model) = names();
        let mut corrections = taught([(10_000, permille(factor.ln()) * 10); 30]);
        let before = check(&mut corrections).permille() as f64;
        corrections.teach(&provider, &model, Kind::Prose, Tokens(estimated), Tokens(absurd));
        let after = check(&mut corrections).permille() as f64;
        prop_assert!((before / 1.085..=before * 1.085).contains(&after), "{} became {}", before, after);
    }

    #[test]
    fn one_absurd_report_at_the_very_first_moves_by_less_than_it_is_heard(absurd in any::<(u64, u64)>()) {
        let correction = check(&mut taught([absurd]));
        prop_assert!((590..=1_700).contains(&correction.mean), "{:?}", correction);
    }

    #[test]
    fn what_is_saved_is_restored_as_it_was(reports in prop::collection::vec((1..100_000_u64, 1..100_000_u64), 0..40)) {
        let mut corrections = taught(reports);
        let text = serde_json::to_string(&corrections.save()).expect("numbers can be written");
        let mut again = Corrections::default();
        again.restore(&serde_json::from_str::<Vec<SavedLevel>>(&text).expect("as written"));
        let (was, is) = (check(&mut corrections), check(&mut again));
        prop_assert!(was.mean.abs_diff(is.mean) <= 1 && was.high.abs_diff(is.high) <= 1, "{:?} {:?}", was, is);
    }

    #[test]
    fn nonsense_is_never_believed(
        saved in prop::collection::vec((any::<u64>(), prop::num::f32::ANY, prop::num::f32::ANY, prop::num::f32::ANY), 0..20),
    ) {
        let (provider, model) = names();
        let mut corrections = Corrections::default();
        let of_ours = keys(&provider, &model, Kind::Prose);
        let saved = saved.into_iter().enumerate();
        let saved: Vec<SavedLevel> =
            saved.map(|(at, (_, w, m, v))| SavedLevel(of_ours[at % 3], w, m, v)).collect();
        corrections.restore(&saved);
        let correction = check(&mut corrections);
        prop_assert!((FACTOR_MIN..=FACTOR_MAX).contains(&correction.mean));
        prop_assert!(correction.mean <= correction.high && correction.high <= FACTOR_MAX);
        for _ in 0..60 {
            corrections.teach(&provider, &model, Kind::Prose, TEXT, TEXT);
        }
        let correction = check(&mut corrections);
        prop_assert!((950..=1_050).contains(&correction.mean), "it learns none the less: {:?}", correction);
    }
}
