//! Bodies and streams that nobody should send: nothing panics, and what comes of them keeps to the order of a stream.

use super::*;
use proptest::collection::vec;
use proptest::sample::select;
use serde_json::{Value, json};

/// Keys and words of every dialect, so that chance gets past the first look.
const WORDS: &[&str] = &[
    "messages",
    "role",
    "user",
    "assistant",
    "system",
    "tool",
    "function",
    "content",
    "text",
    "type",
    "image_url",
    "url",
    "data:image/png;base64,AA",
    "tool_calls",
    "tool_call_id",
    "id",
    "name",
    "arguments",
    "custom",
    "input",
    "tools",
    "parameters",
    "tool_choice",
    "choices",
    "delta",
    "message",
    "finish_reason",
    "stop",
    "index",
    "usage",
    "prompt_tokens",
    "error",
    "reasoning_content",
    "refusal",
    "output",
    "output_index",
    "content_index",
    "summary_index",
    "item",
    "item_id",
    "call_id",
    "function_call",
    "custom_tool_call",
    "function_call_output",
    "reasoning",
    "summary",
    "encrypted_content",
    "tidegate:gemini:AA",
    "response",
    "status",
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "contents",
    "parts",
    "functionCall",
    "functionResponse",
    "inlineData",
    "candidates",
    "finishReason",
    "usageMetadata",
    "stream",
    "n",
];

fn json_of_words() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        select(WORDS).prop_map(Value::from),
        select(WORDS).prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..5_i64).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let keys = vec((select(WORDS), inner.clone()), 0..6);
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            keys.prop_map(|keys| keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// An event with the shape of its dialect's, and chance within.
fn event() -> impl Strategy<Value = Value> {
    let small = 0..3_u8;
    let item = (select(&["message", "reasoning", "function_call", "custom_tool_call"][..]), json_of_words());
    let kinds: Vec<&str> = WORDS.iter().copied().filter(|word| word.starts_with("response.")).collect();
    let of_item =
        (select(kinds), small.clone(), small.clone(), item).prop_map(|(kind, place, part, (what, any))| {
            json!({"type": kind, "output_index": place, "content_index": part, "delta": "x", "text": "xy",
            "item": {"type": what, "name": "f", "content": any}, "response": {"output": [any]}})
        });
    let of_chunk = (small.clone(), select(&["", "a", "b"][..]), small, json_of_words()).prop_map(
        |(place, id, kind, any)| match kind {
            0 => json!({"choices": [{"delta": {"content": "x"}, "finish_reason": any}]}),
            1 => json!({"choices": [{"delta": {"reasoning": "x", "refusal": any, "tool_calls": any}}]}),
            _ => json!({"choices": [{"delta": {"tool_calls": [
                {"index": place, "id": id, "function": {"name": id, "arguments": "1"}}]}}]}),
        },
    );
    prop_oneof![of_item, of_chunk, json_of_words()]
}

fn every_reading_of(body: &[u8]) {
    for from in Dialect::CONVERSATIONS {
        for stream in [false, true] {
            let mut losses = Losses::default();
            if let Ok(request) = read_request(from, body, stream, &mut losses) {
                for to in Dialect::CONVERSATIONS {
                    // Written or refused: either is an answer.
                    drop(write_request(&request, to, "gpt-5", &mut losses));
                }
            }
        }
        if let Ok(answer) = read_answer(from, body) {
            for to in Dialect::CONVERSATIONS {
                write_answer(&answer, to, &scene());
                stream(to, &events_of(answer.clone()));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body in vec(any::<u8>(), 0..200)) {
        every_reading_of(&body);
    }

    #[test]
    fn any_json_is_survived(body in json_of_words()) {
        every_reading_of(body.to_string().as_bytes());
        let message = json!({"messages": [body], "input": [body], "contents": [body], "max_tokens": 1});
        every_reading_of(message.to_string().as_bytes());
        let answer = json!({"choices": [{"message": body}], "output": [body], "content": [body],
            "candidates": [{"content": body}]});
        every_reading_of(answer.to_string().as_bytes());
    }

    #[test]
    fn any_stream_is_told_in_order(datas in vec(event(), 0..12), done in any::<bool>()) {
        for from in Dialect::CONVERSATIONS {
            let mut reader = StreamReader::new(from).unwrap();
            let mut events = Vec::new();
            for data in &datas {
                reader.on_event(data.to_string().as_bytes(), &mut events);
            }
            if done {
                reader.on_event(b"[DONE]", &mut events);
            }
            reader.finish(&mut events);
            whole(&events);
            let begins = events.first().is_none_or(|event| matches!(event, Event::Begin { .. }));
            prop_assert!(begins);
            for to in Dialect::CONVERSATIONS {
                stream(to, &events);
            }
        }
    }
}
