//! What makes a body a call, and what does not.

use super::*;
use crate::wire::Image;

fn chat(body: &str) -> Result<(Call, Content<'_>), BadCall> {
    read(&Asked::in_body(Dialect::Chat), body.as_bytes())
}

fn refused(dialect: Dialect, body: &str) -> String {
    read(&Asked::in_body(dialect), body.as_bytes()).expect_err(body).to_string()
}

#[test]
fn a_wrong_key_is_named_with_what_it_must_be() {
    for (extra, wanted) in [
        (r#""max_tokens":-1"#, "`max_tokens` must be a whole number that is not negative"),
        (r#""max_tokens":1.5"#, "`max_tokens` must be a whole number that is not negative"),
        (
            r#""max_completion_tokens":"9""#,
            "`max_completion_tokens` must be a whole number that is not negative",
        ),
        (r#""max_output_tokens":1e99"#, "`max_output_tokens` must be a whole number that is not negative"),
        (r#""n":0"#, "`n` must be a whole number of at least 1"),
        (r#""n":4294967296"#, "`n` must be a whole number of at least 1"),
        (r#""stream":"true""#, "`stream` must be true or false"),
        (r#""stream_options":true"#, "`stream_options` must be an object"),
        (r#""stream_options":{"include_usage":1}"#, "`stream_options.include_usage` must be true or false"),
        (
            r#""stream_options":{"include_usage":true,"include_usage":false}"#,
            "`stream_options.include_usage` must be given once",
        ),
        (r#""model":"b""#, "`model` must be given once"),
        (r#""mod\u0065l":"b""#, "`model` must be given once"),
        (r#""stream":true,"stream":true"#, "`stream` must be given once"),
        (r#""stream_options":{},"stream_options":null"#, "`stream_options` must be given once"),
    ] {
        let body = format!(r#"{{"model":"a","messages":[],{extra}}}"#);
        assert_eq!(refused(Dialect::Chat, &body), wanted);
    }
}

#[test]
fn a_model_is_a_name_that_can_be_printed() {
    let long = format!("{:?}", "m".repeat(513));
    for model in ["null", "\"\"", "7", r#""\ud800""#, r#""a\nb""#, &long] {
        let body = format!(r#"{{"model":{model},"messages":[]}}"#);
        assert_eq!(refused(Dialect::Chat, &body), "`model` must be a name of 1 to 512 bytes");
    }
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(refused(Dialect::Chat, r#"{"messages":[]}"#), "`model` is missing");
    assert_eq!(refused(Dialect::Chat, r#"{"model":"a"}"#), "`messages` is missing");
    assert_eq!(refused(Dialect::Chat, r#"{"model":"a","messages":{}}"#), "`messages` must be an array");
    assert_eq!(refused(Dialect::Completions, r#"{"model":"a"}"#), "`prompt` is missing");
    assert_eq!(refused(Dialect::Embeddings, r#"{"model":"a"}"#), "`input` is missing");
}

#[test]
fn prompts_are_texts_or_tokens() {
    for wrong in ["7", "{}", "[null]", "[{}]", "[-1]"] {
        let body = format!(r#"{{"model":"a","prompt":{wrong}}}"#);
        assert!(refused(Dialect::Completions, &body).starts_with("`prompt` must be"), "{wrong}");
    }
    for (prompt, texts, encoded, choices) in [
        (r#""x""#, 1, 0, 3),
        (r#"["x","y"]"#, 2, 0, 6),
        ("[1,2,3]", 0, 3, 3),
        ("[[1,2],[3]]", 0, 3, 6),
        ("[]", 0, 0, 3),
        ("null", 0, 0, 3),
    ] {
        let body = format!(r#"{{"model":"a","n":2,"best_of":3,"prompt":{prompt}}}"#);
        let (call, content) = read(&Asked::in_body(Dialect::Completions), body.as_bytes()).unwrap();
        let got = (content.texts.len(), content.encoded, call.choices);
        assert_eq!(got, (texts, Tokens(encoded), choices), "{prompt}");
    }
}

#[test]
fn what_is_no_object_is_refused_without_quoting_it() {
    for body in ["", " ", "secret", "\"secret\"", "[1]", "{\"model\":\"secret\"", "\u{feff}{}", "{} secret"] {
        let words = refused(Dialect::Chat, body);
        assert!(words.starts_with("the body is not a JSON object: ") && !words.contains("secret"), "{words}");
    }
    let words = read(&Asked::in_body(Dialect::Chat), b"{\"model\":\"\xff\"}").unwrap_err().to_string();
    assert_eq!(words, "the body is not a JSON object: it is not UTF-8 after byte 10");
}

#[test]
fn nulls_mean_not_given() {
    let (call, content) = chat(
        r#"{"model":"a","messages":[{"role":"user","content":null}],"max_tokens":null,"n":null,
            "stream":null,"stream_options":null,"tools":null,"functions":null,"response_format":null}"#,
    )
    .unwrap();
    assert_eq!((call.output_cap, call.choices, call.stream, call.wants_usage), (None, 1, false, false));
    assert_eq!((content.messages, content.texts.len(), content.schemas.len()), (1, 0, 0));
}

#[test]
fn spans_stand_for_what_was_read() {
    let body =
        "\n { \"stream_options\" : {\"include_usage\" : false } , \"model\":\"a\\u0062\",\"messages\":[]}";
    let (call, _) = chat(body).unwrap();
    assert_eq!(call.model.as_str(), "ab");
    assert_eq!(&body[call.spans.models[0].clone()], "\"a\\u0062\"");
    assert_eq!(&body[call.spans.stream_options.unwrap()], "{\"include_usage\" : false }");
    assert_eq!(&body[call.spans.include_usage.unwrap()], "false");
    assert_eq!(&body[..call.spans.insert], "\n {");
}

#[test]
fn hostile_depth_and_halves_of_characters_are_read() {
    let nest = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for place in ["x", "tools", "functions", "response_format", "metadata"] {
        let body = format!(r#"{{"{place}":{nest},"model":"a","messages":[{{"content":{nest}}}, {nest}]}}"#);
        assert_eq!(chat(&body).unwrap().1.messages, 2, "{place}");
    }
    let body = r#"{"model":"a","messages":[{"\ud800":0,"content":"half \ud83d"}]}"#;
    assert_eq!(chat(body).unwrap().1.texts, [r"half \ud83d"]);
}

#[test]
fn the_last_of_two_keys_counts() {
    let body = r#"{"model":"a","messages":[{"content":"first"}],"max_tokens":9,
        "messages":[{"content":"x","content":"last"}],"max_tokens":4}"#;
    let (call, content) = chat(body).unwrap();
    assert_eq!((call.output_cap, content.texts), (Some(Tokens(4)), vec!["last".into()]));
}

#[test]
fn odd_parts_cost_what_can_be_seen_of_them() {
    let body = r#"{"model":"a","messages":[7,{"content":[
        "bare",{"type":"new","text":"t"},{"type":"image_url","image_url":"data:image/gif;base64,R0lGODlhAQACAA=="},
        {"type":"input_image","image_url":{"url":"https://x/y.png","detail":"low"}},
        {"type":"file","file":{"filename":"f.txt","file_data":"data:text/plain;base64,aGVsbG8="}},
        {"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}},
        {"type":"file","file":{"file_id":"f-1"}}, null, [1]]},
        {"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},5]},{"content":{"text":"object"}}]}"#;
    let (_, content) = chat(body).unwrap();
    assert_eq!(content.texts, ["bare", "t", "f.txt", "hello", "f", "{\"a\":1}", "object"]);
    let unknown = Image { size: None, low_detail: false };
    let wanted = [Image { size: Some((1, 2)), ..unknown }, Image { low_detail: true, ..unknown }, unknown];
    assert_eq!(content.images, wanted);
    assert_eq!(content.messages, 4);
}

#[test]
fn embeddings_have_no_output() {
    let body = r#"{"model":"a","input":["x",[1,2]],"max_tokens":-5,"n":9,"stream":true}"#;
    let (call, content) = read(&Asked::in_body(Dialect::Embeddings), body.as_bytes()).unwrap();
    assert_eq!((call.output_cap, call.choices, call.stream), (None, 1, false));
    assert_eq!((content.texts.len(), content.encoded), (1, Tokens(2)));
}
