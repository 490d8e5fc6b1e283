//! What the newer dialects say, and where they leave a judgement to the provider.

use super::*;

fn of_path(dialect: Dialect, model: Option<&str>) -> Asked {
    Asked { model: model.map(ModelName::from), ..Asked::in_body(dialect) }
}

fn refused(asked: &Asked, body: &str) -> String {
    read(asked, body.as_bytes()).expect_err(body).to_string()
}

/// The body of every dialect with nothing in it but what must be there.
const LEAST: [(Dialect, &str); 5] = [
    (Dialect::Responses, r#"{"model":"a"}"#),
    (Dialect::Messages, r#"{"model":"a","messages":[]}"#),
    (Dialect::Gemini, r#"{"contents":[]}"#),
    (Dialect::GeminiEmbed, r#"{"content":{}}"#),
    (Dialect::GeminiBatchEmbed, r#"{"requests":[]}"#),
];

#[test]
fn the_least_body_is_a_call() {
    for (dialect, body) in LEAST {
        let (call, content) = read(&of_path(dialect, Some("a")), body.as_bytes()).unwrap();
        assert_eq!((call.dialect, call.model.as_str()), (dialect, "a"));
        assert_eq!((call.stream, call.output_cap, call.choices), (false, None, 1), "{dialect}");
        assert!(content.texts.is_empty() && content.schemas.is_empty(), "{dialect}");
    }
}

#[test]
fn a_model_in_the_path_is_a_name_as_in_a_body() {
    let long = "m".repeat(513);
    for (dialect, body) in LEAST.into_iter().skip(2) {
        assert_eq!(refused(&of_path(dialect, None), body), "`model` is missing");
        for model in ["", "a\nb", &long] {
            let words = refused(&of_path(dialect, Some(model)), body);
            assert_eq!(words, "`model` must be a name of 1 to 512 bytes", "{dialect}");
        }
    }
}

#[test]
fn the_path_alone_says_whether_gemini_streams() {
    for stream in [true, false] {
        let asked = Asked { stream, ..of_path(Dialect::Gemini, Some("a")) };
        let body = br#"{"contents":[],"stream":7,"n":"x","max_tokens":-1}"#;
        assert_eq!(read(&asked, body).unwrap().0.stream, stream);
    }
}

#[test]
fn a_wrong_key_is_named() {
    for (dialect, body, wanted) in [
        (Dialect::Messages, r#"{"messages":[]}"#, "`model` is missing"),
        (Dialect::Messages, r#"{"model":"a","messages":{}}"#, "`messages` must be an array"),
        (
            Dialect::Messages,
            r#"{"model":"a","messages":[],"max_tokens":1.5}"#,
            "`max_tokens` must be a whole number that is not negative",
        ),
        (Dialect::Messages, r#"{"model":"a","model":"b","messages":[]}"#, "`model` must be given once"),
        (Dialect::Responses, r#"{"model":"a","stream":1}"#, "`stream` must be true or false"),
        (Dialect::Responses, r#"{"model":"a","stream":true,"stream":true}"#, "`stream` must be given once"),
        (Dialect::Responses, r#"{"model":"a","input":{}}"#, "`input` must be a string or an array"),
        (Dialect::Gemini, r#"{"contents":"x"}"#, "`contents` must be an array"),
        (Dialect::Gemini, r#"{"contents":null}"#, "`contents` must be an array"),
        (Dialect::Gemini, r#"{"generateContentRequest":{}}"#, "`contents` is missing"),
        (
            Dialect::Gemini,
            r#"{"contents":[],"generation_config":{"max_output_tokens":"-1"}}"#,
            "`max_output_tokens` must be a whole number that is not negative",
        ),
        (Dialect::Gemini, r#"{"generateContentRequest":[]}"#, "`generateContentRequest` must be an object"),
        (
            Dialect::Gemini,
            r#"{"generateContentRequest":{"contents":[],"model":"a","model":"b"}}"#,
            "`model` must be given once",
        ),
    ] {
        assert_eq!(refused(&of_path(dialect, Some("a")), body), wanted, "{body}");
    }
}

#[test]
fn a_small_cap_cannot_hide_a_large_one() {
    let body = r#"{"contents":[],"generationConfig":{"maxOutputTokens":1,"candidateCount":1},
        "generation_config":{"max_output_tokens":900,"candidate_count":3}}"#;
    let (call, _) = read(&of_path(Dialect::Gemini, Some("a")), body.as_bytes()).unwrap();
    assert_eq!((call.output_cap, call.choices), (Some(Tokens(900)), 3));
}

#[test]
fn nothing_hides_behind_a_deeper_request() {
    let body = r#"{"contents":[{"parts":[{"text":"outer"}]}],"model":"models/a","generateContentRequest":
        {"contents":[{"parts":[{"text":"inner"}]}],"model":"models/b","generationConfig":{"maxOutputTokens":7}}}"#;
    let (call, content) = read(&of_path(Dialect::Gemini, Some("a")), body.as_bytes()).unwrap();
    assert_eq!((content.texts, call.output_cap), (vec!["outer".into(), "inner".into()], Some(Tokens(7))));
    let models: Vec<&str> = call.spans.models.iter().map(|span| &body[span.clone()]).collect();
    assert_eq!(models, [r#""models/a""#, r#""models/b""#]);
}

#[test]
fn blocks_within_blocks_are_read_so_far_and_then_cost_their_json() {
    let wrap = |inner: &str| format!(r#"[{{"type":"tool_result","content":{inner}}}]"#);
    let mut blocks = r#"[{"type":"text","text":"inmost"}]"#.to_owned();
    for depth in 0..8 {
        let body = format!(r#"{{"model":"a","messages":[{{"role":"user","content":{blocks}}}]}}"#);
        let (_, content) = read(&Asked::in_body(Dialect::Messages), body.as_bytes()).unwrap();
        assert_eq!(content.texts.len(), 1);
        assert_eq!(content.texts[0] == "inmost", depth < 4, "{depth} deep");
        assert!(content.texts[0].contains("inmost"));
        blocks = wrap(&blocks);
    }
}

#[test]
fn hostile_depth_is_read_in_every_place() {
    let nest = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let block = r#"[{"content":"#.repeat(20_000) + &"}]".repeat(20_000);
    for deep in [nest, block.replace(r#""content":}"#, r#""content":0}"#)] {
        for (dialect, body) in LEAST {
            for key in ["system", "tools", "output_config", "input", "text", "generationConfig", "title", "x"]
            {
                let body = body.replacen('{', &format!(r#"{{"{key}":{deep},"#), 1);
                read(&of_path(dialect, Some("a")), body.as_bytes()).expect("depth is no mistake");
            }
        }
        let messages = format!(r#"{{"model":"a","messages":[{{"content":{deep}}},{deep}]}}"#);
        read(&Asked::in_body(Dialect::Messages), messages.as_bytes()).unwrap();
        let input = format!(r#"{{"model":"a","input":[{{"content":{deep},"output":{deep}}},{deep}]}}"#);
        read(&Asked::in_body(Dialect::Responses), input.as_bytes()).unwrap();
        let contents =
            format!(r#"{{"contents":[{{"parts":{deep}}},{{"parts":[{{"text":{deep}}},{deep}]}}]}}"#);
        read(&of_path(Dialect::Gemini, Some("a")), contents.as_bytes()).unwrap();
    }
}

#[test]
fn tools_are_told_from_other_schemas() {
    for (dialect, body, tools, schemas) in [
        (
            Dialect::Messages,
            r#"{"model":"a","messages":[],"tools":[{},{}],"output_format":{"schema":{}}}"#,
            2,
            3,
        ),
        (Dialect::Responses, r#"{"model":"a","tools":[{}],"text":{"format":{"schema":{}}}}"#, 1, 2),
        (
            Dialect::Gemini,
            r#"{"contents":[],"tools":[{"functionDeclarations":[{},{}]},{"googleSearch":{}}],
                "generationConfig":{"responseSchema":{}}}"#,
            3,
            4,
        ),
        (Dialect::Gemini, r#"{"contents":[],"tools":[{"functionDeclarations":[]}]}"#, 0, 0),
    ] {
        let (_, content) = read(&of_path(dialect, Some("a")), body.as_bytes()).unwrap();
        assert_eq!((content.tools, content.schemas.len()), (tools, schemas), "{body}");
    }
}

#[test]
fn for_whom_a_call_is_asked_is_read_where_each_dialect_says_it() {
    let user = |dialect, key: &str| {
        let body = format!(r#"{{"model":"m","messages":[],"input":"i","prompt":"p",{key}}}"#);
        read(&Asked::in_body(dialect), body.as_bytes()).expect(key).0.user.map(String::from)
    };
    for dialect in [Dialect::Chat, Dialect::Completions, Dialect::Embeddings, Dialect::Responses] {
        let all = r#""prompt_cache_key":"c","safety_identifier":"s","user":"u""#;
        assert_eq!(user(dialect, all).as_deref(), Some("u"), "{dialect}");
        let newer = r#""prompt_cache_key":"c","safety_identifier":"s","user":null"#;
        assert_eq!(user(dialect, newer).as_deref(), Some("s"), "{dialect}");
        assert_eq!(user(dialect, r#""prompt_cache_key":"\u0063","user":"""#).as_deref(), Some("c"));
        assert_eq!(user(dialect, r#""user":7,"metadata":{"user_id":"m"}"#), None, "{dialect}");
    }
    assert_eq!(user(Dialect::Messages, r#""metadata":{"user_id":"m"},"user":"u""#).as_deref(), Some("m"));
    for odd in [r#""metadata":null"#, r#""metadata":"user_id""#, r#""metadata":{"user_id":[]}"#] {
        assert_eq!(user(Dialect::Messages, odd), None, "{odd}");
    }
}

#[test]
fn a_long_user_is_cut_within_its_bound_and_between_characters() {
    let body = format!(r#"{{"model":"m","messages":[],"user":"a{}"}}"#, "é".repeat(400));
    let (call, _) = read(&Asked::in_body(Dialect::Chat), body.as_bytes()).expect("a call");
    assert_eq!(call.user.map(|user| user.len()), Some(511));
}
