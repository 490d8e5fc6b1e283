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
        (r#"{"tool_calls":[{"index":0,"custom":{"name":"abcd","input":"12345"}}]}"#, 3),
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

fn told(dialect: Dialect, events: &[&str]) -> Tally {
    let mut tally = Tally::new(dialect);
    for event in events {
        tally.on_event(event.as_bytes());
    }
    tally
}

fn spent(tally: &Tally) -> Option<(u64, u64)> {
    tally.usage().map(|usage| (usage.input.0, usage.output.0))
}

#[test]
fn every_delta_of_messages_counts_and_no_signature_does() {
    for (delta, seen, output) in [
        (r#"{"type":"text_delta","text":"abcde"}"#, Seen::Content, 2),
        (r#"{"type":"thinking_delta","thinking":"abcde"}"#, Seen::Content, 2),
        (r#"{"type":"input_json_delta","partial_json":"{\"a\":"}"#, Seen::Content, 2),
        (r#"{"type":"input_json_delta","partial_json":""}"#, Seen::Other, 0),
        (r#"{"type":"signature_delta","signature":"abcdefgh"}"#, Seen::Other, 0),
        (r#"{"type":"citations_delta","citation":{"cited_text":"abc"}}"#, Seen::Other, 0),
    ] {
        let event = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
        check(Dialect::Messages, &event, seen, output);
    }
    let tool =
        r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"abcd","input":{}}}"#;
    check(Dialect::Messages, tool, Seen::Content, 1);
    check(Dialect::Messages, r#"{"type":"ping"}"#, Seen::Other, 0);
    check(Dialect::Messages, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Seen::Error, 0);
    check(Dialect::Messages, r#"{"error":{"message":"a proxy's"}}"#, Seen::Error, 0);
    check(Dialect::Messages, r#"{"type":"message_stop"}"#, Seen::Done, 0);
}

#[test]
fn a_message_that_breaks_off_costs_what_has_flowed_by() {
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":2,"cache_read_input_tokens":7,"output_tokens":1}}}"#;
    let text = r#"{"type":"content_block_delta","delta":{"text":"twelve bytes"}}"#;
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#;
    assert_eq!(spent(&told(Dialect::Messages, &[start])), Some((9, 1)));
    assert_eq!(spent(&told(Dialect::Messages, &[start, text])), Some((9, 3)));
    let whole = told(Dialect::Messages, &[start, text, end]);
    assert_eq!((spent(&whole), whole.finished(), whole.done()), (Some((9, 2)), true, false));
}

#[test]
fn each_part_of_the_usage_of_messages_is_the_largest_told() {
    let tally = told(
        Dialect::Messages,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":900,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"cache_read_input_tokens":50,"output_tokens":30}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"x"},"usage":{"input_tokens":8,"cache_creation_input_tokens":5,"output_tokens":40}}"#,
        ],
    );
    assert_eq!(spent(&tally), Some((955, 40)));
    assert_eq!(tally.usage().unwrap().cached_input, Tokens(50));
}

#[test]
fn every_delta_of_responses_counts_but_sound() {
    for (kind, output) in [
        ("output_text", 1),
        ("refusal", 1),
        ("function_call_arguments", 1),
        ("custom_tool_call_input", 1),
        ("reasoning_text", 1),
        ("reasoning_summary_text", 1),
        ("audio.transcript", 1),
        ("audio", 0),
    ] {
        let seen = if output > 0 { Seen::Content } else { Seen::Other };
        let event = format!(r#"{{"type":"response.{kind}.delta","delta":"abcd","sequence_number":3}}"#);
        check(Dialect::Responses, &event, seen, output);
        check(Dialect::Responses, &event.replace(".delta\"", ".done\""), Seen::Other, 0);
    }
    check(Dialect::Responses, r#"{"type":"error","code":"x","message":"m"}"#, Seen::Error, 0);
    check(Dialect::Responses, r#"{"error":{"message":"a proxy's"}}"#, Seen::Error, 0);
    check(Dialect::Responses, r#"{"type":"response.new","error":null}"#, Seen::Other, 0);
}

#[test]
fn a_response_ends_with_its_usage_however_it_ends() {
    let end = |kind: &str| {
        format!(
            r#"{{"type":"response.{kind}","response":{{"id":"r","usage":{{"input_tokens":3,"output_tokens":4}}}}}}"#
        )
    };
    for (kind, seen) in [
        ("completed", Seen::Done),
        ("incomplete", Seen::Done),
        ("cancelled", Seen::Done),
        ("failed", Seen::Error),
    ] {
        let mut tally = Tally::new(Dialect::Responses);
        assert_eq!(tally.on_event(end(kind).as_bytes()), seen, "{kind}");
        assert_eq!(spent(&tally), Some((3, 4)), "{kind}");
        tally.on_event(br#"{"type":"response.output_text.delta","delta":"late"}"#);
        assert_eq!(tally.output() == Tokens::ZERO, seen == Seen::Done, "{kind}");
    }
}

#[test]
fn the_mark_holds_only_an_id_that_can_be_written_anywhere() {
    let long = "r".repeat(129);
    for (id, kept) in [
        ("resp_1-a.b:c", Some("resp_1-a.b:c")),
        ("", None),
        (r#"a\"b"#, None),
        ("a b", None),
        ("é", None),
        (long.as_str(), None),
        (&long[..128], Some(&long[..128])),
    ] {
        let created =
            format!(r#"{{"type":"response.created","response":{{"id":"{id}"}},"sequence_number":5}}"#);
        let tally = told(Dialect::Responses, &[&created, r#"{"type":"x","sequence_number":-1}"#]);
        assert_eq!(tally.mark(), Mark { response: kept.map(Into::into), sequence: 5 }, "{id}");
    }
    let two = [
        r#"{"response":{"id":"one"},"sequence_number":1}"#,
        r#"{"response":{"id":"two"},"sequence_number":9}"#,
    ];
    let first = Mark { response: Some("one".to_owned()), sequence: 9 };
    assert_eq!(told(Dialect::Responses, &two).mark(), first);
}

#[test]
fn every_part_of_gemini_counts() {
    for (part, seen, output) in [
        (r#"{"text":"abcde"}"#, Seen::Content, 2),
        (r#"{"text":"abcd","thought":true}"#, Seen::Content, 1),
        (r#"{"functionCall":{"name":"f","args":{"a":12}}}"#, Seen::Content, 3),
        (r#"{"executableCode":{"code":"print(1)"}}"#, Seen::Content, 2),
        (r#"{"text":"","thoughtSignature":"abcd"}"#, Seen::Other, 0),
        (r#"{"inlineData":{"data":"AAAA"}}"#, Seen::Other, 0),
    ] {
        let event = format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}}}}]}}"#);
        check(Dialect::Gemini, &event, seen, output);
    }
    check(Dialect::Gemini, r#"{"error":{"code":503}}"#, Seen::Error, 0);
}

#[test]
fn gemini_is_whole_at_its_reason_and_its_last_usage_counts() {
    let first =
        r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":9,"thoughtsTokenCount":4}}"#;
    let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":4}}"#;
    let begun = told(Dialect::Gemini, &[first]);
    assert_eq!((spent(&begun), begun.finished()), (Some((9, 4)), false));
    let whole = told(Dialect::Gemini, &[first, last]);
    assert_eq!((spent(&whole), whole.finished(), whole.done()), (Some((9, 6)), true, false));
    assert!(told(Dialect::Gemini, &[r#"{"promptFeedback":{"blockReason":"OTHER"}}"#]).finished());
}

#[test]
fn hostile_data_is_survived() {
    let nest = "[".repeat(100_000);
    let odd = ["", "null", "[]", "{", r#"{"type":7}"#, r#"{"type":"message_start","message":[]}"#]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!(r#"{{"type":"content_block_delta","delta":{nest}"#),
            format!(r#"{{"type":"response.completed","response":{nest}"#),
            r#"{"candidates":[7,{"content":{"parts":7}},{"content":{"parts":[7,null]}}]}"#.to_owned(),
        ]);
    for data in odd {
        for dialect in Dialect::ALL {
            check(dialect, &data, Seen::Other, 0);
        }
    }
    let deep = format!("{{\"choices\":{}", "[".repeat(100_000));
    for data in ["", "null", "[]", "7", "{", "\"", r#"{"choices":7}"#, r#"{"choices":[7,null,[]]}"#, &deep] {
        check(Dialect::Chat, data, Seen::Other, 0);
    }
    check(Dialect::Chat, &delta(r#"{"content":"\ud800"}"#), Seen::Content, 2);
    assert_eq!(Tally::new(Dialect::Chat).on_event(b"{\"choices\":\xff}"), Seen::Other);
}
