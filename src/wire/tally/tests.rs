//! Chunks of every vendor, and chunks of nobody.

use super::*;

fn check(dialect: Dialect, data: &str, seen: Seen, output: u64) {
    let mut tally = Tally::new(dialect);
    assert_eq!(tally.on_event(data.as_bytes()), seen, "{data}");
    assert_eq!(tally.output(), Tokens(output), "{data}");
    assert_eq!((tally.done(), tally.errored()), (seen == Seen::Done, seen == Seen::Error), "{data}");
}

fn delta(delta: &str) -> String {
    format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta}}}],"usage":null}}"#)
}

#[test]
fn every_kind_of_text_counts() {
    for (text, output) in [
        (r#"{"content":"a"}"#, 1),
        (r#"{"content":"abcd"}"#, 1),
        (r#"{"content":"abcde"}"#, 2),
        (r#"{"content":"\u00e9\n\ud83d\ude00"}"#, 2),
        (r#"{"reasoning_content":"abcd","reasoning":"abcd"}"#, 1),
        (r#"{"reasoning":"abcde"}"#, 2),
        (r#"{"refusal":"no"}"#, 1),
        (r#"{"tool_calls":[{"index":0,"function":{"name":"abcd","arguments":""}}]}"#, 1),
        (r#"{"tool_calls":[{"function":{"arguments":"{\"a\":1"}},{"function":{"arguments":"12"}}]}"#, 2),
        (r#"{"function_call":{"arguments":"12345"}}"#, 2),
        (r#"{"content":[{"type":"text","text":"abc"}]}"#, 8),
    ] {
        check(Dialect::Chat, &delta(text), Seen::Content, output);
    }
    check(
        Dialect::Chat,
        r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#,
        Seen::Content,
        2,
    );
    check(Dialect::Completions, r#"{"choices":[{"text":"abcde"}]}"#, Seen::Content, 2);
}

#[test]
fn what_carries_no_text_costs_nothing() {
    for text in ["{}", "null", r#"{"role":"assistant","content":""}"#, r#"{"content":null}"#] {
        check(Dialect::Chat, &delta(text), Seen::Other, 0);
    }
    check(Dialect::Completions, &delta(r#"{"content":"a"}"#), Seen::Other, 0);
    check(Dialect::Chat, r#"{"choices":[],"prompt_filter_results":[],"usage":null}"#, Seen::Other, 0);
    check(Dialect::Chat, r#"{"object":"ping"}"#, Seen::Other, 0);
}

#[test]
fn the_extra_chunk_is_told_from_usage_that_rides_along() {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
    check(Dialect::Chat, &format!(r#"{{"choices":[],{usage}}}"#), Seen::UsageOnly, 0);
    check(Dialect::Chat, r#"{"choices":[],"usage":{"prompt_tokens":0}}"#, Seen::UsageOnly, 0);
    check(Dialect::Chat, &format!(r#"{{{usage}}}"#), Seen::Other, 0);
    check(Dialect::Chat, &format!(r#"{{"choices":[{{"delta":{{}}}}],{usage}}}"#), Seen::Other, 0);
}

#[test]
fn the_last_usage_that_says_something_counts() {
    let mut tally = Tally::new(Dialect::Chat);
    tally.on_event(br#"{"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}"#);
    tally.on_event(br#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":2}}}"#);
    let usage = Usage { input: Tokens(9), output: Tokens(2), ..Usage::default() };
    assert_eq!(tally.usage(), Some(usage));
    tally.on_event(br#"{"choices":[],"usage":null}"#);
    tally.on_event(br#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#);
    assert_eq!(tally.usage(), Some(usage));
    assert_eq!(tally.output(), Tokens(1));
}

#[test]
fn the_end_and_errors_are_seen() {
    check(Dialect::Chat, "[DONE]", Seen::Done, 0);
    check(Dialect::Chat, " [DONE] ", Seen::Done, 0);
    check(Dialect::Chat, "[DONE]x", Seen::Other, 0);
    check(Dialect::Chat, r#"{"error":{"message":"overloaded"}}"#, Seen::Error, 0);
    check(Dialect::Chat, r#"{"error":"text","choices":[{"delta":{"content":"a"}}]}"#, Seen::Error, 1);
    check(Dialect::Chat, r#"{"error":null,"choices":[{"delta":{"content":"a"}}]}"#, Seen::Content, 1);
}

#[test]
fn an_answer_is_whole_at_its_reason_its_usage_chunk_or_its_end() {
    let finished = |data: &str| {
        let mut tally = Tally::new(Dialect::Chat);
        tally.on_event(data.as_bytes());
        tally.finished()
    };
    assert!(finished("[DONE]"));
    assert!(finished(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#));
    assert!(finished(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#));
    assert!(!finished(
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":1}}"#
    ));
}

#[test]
fn hostile_data_is_survived() {
    let deep = format!("{{\"choices\":{}", "[".repeat(100_000));
    for data in ["", "null", "[]", "7", "{", "\"", r#"{"choices":7}"#, r#"{"choices":[7,null,[]]}"#, &deep] {
        check(Dialect::Chat, data, Seen::Other, 0);
    }
    check(Dialect::Chat, &delta(r#"{"content":"\ud800"}"#), Seen::Content, 2);
    assert_eq!(Tally::new(Dialect::Chat).on_event(b"{\"choices\":\xff}"), Seen::Other);
}
