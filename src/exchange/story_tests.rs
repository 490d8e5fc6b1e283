//! What a story and the chronicle promise about their size.

use super::*;
use crate::ids::{ProviderId, TargetId};
use crate::observe::{StatusNext, StatusTokens};

fn begin(chronicle: &Chronicle, clock: Clock, id: &str) -> Telling {
    chronicle.begin(clock, &RequestId::from(id), clock.now(), "chat", false)
}

fn find(chronicle: &Chronicle, id: &str) -> Option<(StatusStory, u32)> {
    chronicle.find(&RequestId::from(id))
}

/// What an exchange tells that nothing happens to.
fn usual(telling: &Telling, target: &TargetId) {
    telling.head(|story| {
        story.model = Some(ModelName::from("a-usual-model-name"));
        story.targets = vec![target.clone()];
        story.estimated = Some(StatusTokens { input: 1, output: 2 });
    });
    telling.tell(StatusStep::Granted { target: target.clone(), held: 3, waited_us: 0 });
    telling.tell(StatusStep::Sent { attempt: 1 });
    telling.tell(StatusStep::Begun { status: 200 });
    telling.tell(StatusStep::FirstByte);
    telling.tell(StatusStep::Settled {
        used: StatusTokens { input: 1, output: 2 },
        cached: 0,
        counted_by: "provider".into(),
        ending: "complete".into(),
    });
}

#[tokio::test]
async fn the_chronicle_forgets_the_oldest_beyond_its_bound() {
    let (clock, chronicle) = (Clock::start(), Chronicle::new(3));
    for id in ["a", "b", "c", "d"] {
        begin(&chronicle, clock, id);
    }
    assert_eq!(chronicle.kept(), (3, 3));
    assert!(find(&chronicle, "a").is_none());
    let ids =
        |count| chronicle.newest(count).into_iter().map(|brief| brief.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(9), ["d", "c", "b"]);
    assert_eq!(ids(1), ["d"]);
    chronicle.keep(1);
    assert_eq!((chronicle.kept(), ids(9)), ((1, 1), vec!["d".to_owned()]));
    chronicle.keep(0);
    let silent = begin(&chronicle, clock, "e");
    silent.tell(StatusStep::Left);
    assert_eq!(chronicle.kept(), (0, 0));
    assert!(chronicle.kept.lock().by_id.is_empty(), "names are forgotten with their stories");
}

#[tokio::test]
async fn of_one_id_the_newest_is_found_while_it_is_kept() {
    let (clock, chronicle) = (Clock::start(), Chronicle::new(3));
    begin(&chronicle, clock, "same").tell(StatusStep::Sent { attempt: 1 });
    begin(&chronicle, clock, "same").tell(StatusStep::Sent { attempt: 2 });
    begin(&chronicle, clock, "other");
    let (story, earlier) = find(&chronicle, "same").expect("it is kept");
    assert_eq!((&story.events[0].step, earlier), (&StatusStep::Sent { attempt: 2 }, 1));
    begin(&chronicle, clock, "more");
    assert_eq!(find(&chronicle, "same").map(|(_, earlier)| earlier), Some(0), "the first is forgotten");
    begin(&chronicle, clock, "more");
    assert!(find(&chronicle, "same").is_none());
    assert_eq!(find(&chronicle, "more").map(|(_, earlier)| earlier), Some(1));
}

#[tokio::test]
async fn a_story_keeps_its_beginning_and_its_end() {
    let (clock, chronicle) = (Clock::start(), Chronicle::new(1));
    let telling = begin(&chronicle, clock, "long");
    for attempt in 0..1_000 {
        telling.tell(StatusStep::Sent { attempt });
    }
    telling.tell(StatusStep::Left);
    let (story, _) = find(&chronicle, "long").expect("it is kept");
    assert_eq!(story.events.len(), EVENTS_MAX);
    assert_eq!(story.left_out, 1_001 - 64);
    assert_eq!(story.events[31].step, StatusStep::Sent { attempt: 31 });
    assert_eq!(story.events[32].step, StatusStep::Sent { attempt: 969 });
    assert_eq!((story.state().as_ref(), story.has_ended()), ("client_left", true));
}

#[tokio::test]
async fn texts_are_cut_between_letters() {
    let (clock, chronicle) = (Clock::start(), Chronicle::new(1));
    let telling = begin(&chronicle, clock, "x");
    telling.heard(vec!["ä".repeat(1_000)]);
    let (story, _) = find(&chronicle, "x").expect("it is kept");
    assert_eq!(story.events[0].step, StatusStep::Heard { what: "ä".repeat(TEXT_MAX).into() });
    assert_eq!(clipped_model(&"m".repeat(9_999).into()).as_str().len(), TEXT_MAX);
    assert_eq!(&*clipped("short"), "short");
}

/// The bound that the documentation names: 10,000 usual stories take 10 MB.
#[tokio::test]
async fn a_usual_story_takes_less_than_a_kibibyte() {
    let (clock, chronicle) = (Clock::start(), Chronicle::new(1));
    let target = TargetId { provider: ProviderId::from("p"), model: ModelName::from("m") };
    let telling = begin(&chronicle, clock, "req_0123456789abcdef0123456789abcdef");
    usual(&telling, &target);
    let (story, _) = find(&chronicle, "req_0123456789abcdef0123456789abcdef").expect("it is kept");
    let kept = telling.entry.as_ref().expect("it is told").story.lock().events.capacity();
    assert_eq!(kept, story.events.len(), "nothing is kept ready for what does not come");
    let counts = 2 * size_of::<usize>();
    let names = (36 + counts) + (18 + counts);
    let index = 2 * size_of::<(RequestId, (u64, u32))>() + size_of::<Arc<Entry>>();
    let events = kept * size_of::<StatusEvent>() + size_of::<TargetId>();
    let bytes = size_of::<Entry>() + counts + names + index + events;
    assert!(bytes <= 1_024, "{bytes} bytes, of them {} an event", size_of::<StatusEvent>());
}

#[test]
fn what_is_told_can_be_read_again() {
    let target = TargetId { provider: ProviderId::from("p"), model: ModelName::from("org/m") };
    let judged = StatusStep::Judged {
        status: Some(429),
        outcome: "rate_limited".into(),
        told_wait_ms: Some(7_000),
        next: StatusNext::PausedMs(7_000),
    };
    let used = StatusTokens { input: 1, output: 2 };
    let settled =
        StatusStep::Settled { used, cached: 0, counted_by: "provider".into(), ending: "complete".into() };
    let granted = StatusStep::Granted { target: target.clone(), held: 9, waited_us: 1 };
    let steps = [granted, judged, StatusStep::FirstByte, settled];
    let events = steps.into_iter().map(|step| StatusEvent { at_us: 5, step }).collect();
    let story = StatusStory {
        id: RequestId::from("x"),
        arrived_ms: 1,
        dialect: "chat".into(),
        model: None,
        stream: true,
        priority: Some("normal".into()),
        client: None,
        estimated: Some(used),
        targets: vec![target],
        events,
        left_out: 0,
    };
    let text = serde_json::to_string(&story).expect("it is plain");
    assert_eq!(serde_json::from_str::<StatusStory>(&text).expect("it was just written"), story);
}
