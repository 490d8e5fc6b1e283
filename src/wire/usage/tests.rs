//! Usage as every vendor tells it.

use super::*;

fn check(object: &str, wanted: Option<(u64, u64, u64, u64)>) {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        check_as(dialect, object, wanted);
    }
}

fn check_as(dialect: Dialect, object: &str, wanted: Option<(u64, u64, u64, u64)>) {
    let wanted = wanted.map(|(input, output, cached, reasoning)| Usage {
        input: Tokens(input),
        output: Tokens(output),
        cached_input: Tokens(cached),
        reasoning: Tokens(reasoning),
    });
    assert_eq!(Usage::read(dialect, object.as_bytes()), wanted, "{object}");
}

#[test]
fn every_vendor_is_understood() {
    check(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, Some((10, 5, 0, 0)));
    check(
        r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":3}}"#,
        Some((10, 5, 4, 3)),
    );
    check(
        r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4},
            "output_tokens_details":{"reasoning_tokens":3}}"#,
        Some((10, 5, 4, 3)),
    );
    check(r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8}"#, Some((10, 5, 8, 0)));
    check(r#"{"prompt_tokens":8,"total_tokens":8}"#, Some((8, 0, 0, 0)));
    check(r#"{"total_tokens":8}"#, Some((8, 0, 0, 0)));
}

#[test]
fn reasoning_left_out_of_the_output_is_found_in_the_total() {
    check(
        r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,
            "completion_tokens_details":{"reasoning_tokens":20}}"#,
        Some((10, 25, 0, 20)),
    );
}

#[test]
fn zeros_and_nonsense_are_no_usage() {
    for object in ["{}", "null", "[]", "", "7", r#"{"prompt_tokens":0,"completion_tokens":0}"#, "{\"x"] {
        check(object, None);
    }
    check(
        r#"{"prompt_tokens":null,"completion_tokens":5.0,"prompt_tokens_details":null}"#,
        Some((0, 5, 0, 0)),
    );
    check(r#"{"prompt_tokens":-9,"completion_tokens":"x","total_tokens":1e9}"#, None);
    check(
        r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9},
            "completion_tokens_details":7}"#,
        Some((1, 1, 1, 0)),
    );
}

#[test]
fn anthropics_counts_are_no_part_of_one_another() {
    let check = |object, wanted| check_as(Dialect::Messages, object, wanted);
    check(r#"{"input_tokens":10,"output_tokens":5}"#, Some((10, 5, 0, 0)));
    check(
        r#"{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,
            "cache_creation":{"ephemeral_5m_input_tokens":100},"output_tokens":5,"service_tier":"standard",
            "output_tokens_details":{"thinking_tokens":3}}"#,
        Some((1110, 5, 1000, 3)),
    );
    check(r#"{"input_tokens":10,"cache_read_input_tokens":null,"output_tokens":"x"}"#, Some((10, 0, 0, 0)));
    check(r#"{"input_tokens":0,"output_tokens":0}"#, None);
    check(r#"{"prompt_tokens":10,"total_tokens":10}"#, None);
    check(r#"{"input_tokens":18446744073709551615,"cache_read_input_tokens":9}"#, Some((u64::MAX, 0, 9, 0)));
}

#[test]
fn geminis_thoughts_are_output_and_its_tools_input() {
    for dialect in [Dialect::Gemini, Dialect::GeminiEmbed, Dialect::GeminiBatchEmbed] {
        let check = |object, wanted| check_as(dialect, object, wanted);
        check(
            r#"{"promptTokenCount":100,"toolUsePromptTokenCount":20,"candidatesTokenCount":17,
                "thoughtsTokenCount":50,"cachedContentTokenCount":64,"totalTokenCount":187}"#,
            Some((120, 67, 64, 50)),
        );
        check(r#"{"promptTokenCount":9,"totalTokenCount":9}"#, Some((9, 0, 0, 0)));
        check(r#"{"promptTokenCount":9,"thoughtsTokenCount":4}"#, Some((9, 4, 0, 4)));
        check(r#"{"promptTokenCount":9,"candidatesTokenCount":1,"totalTokenCount":30}"#, Some((9, 21, 0, 0)));
        check(r#"{"totalTokenCount":8}"#, Some((8, 0, 0, 0)));
        check(r#"{"toolUsePromptTokenCount":5,"candidatesTokenCount":2}"#, Some((5, 2, 0, 0)));
        check(r#"{"usage":{"prompt_tokens":1}}"#, None);
    }
}
