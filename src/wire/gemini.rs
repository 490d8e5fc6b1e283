//! What a model is given by the bodies of Gemini's calls: contents, and texts to embed.
//!
//! The path names the model and says whether the answer streams. Keys may be spelled in either of protobuf's ways,
//! and one thing may stand where a list of them is meant: Google's own examples do both. Which one counts where
//! both spellings stand is not known, so both cost.

use super::call::{BadCall, Content};
use super::json;
use super::parts::{add_file, add_json, add_picture, add_sound, add_text};
use super::read::{Facts, choices, given, output_cap, pick_once, span_in};
use super::recognise::Asked;

/// Reads the body of `generateContent`, or of `countTokens`, which may put it all one level deeper.
///
/// # Errors
/// No usable model in the path, no contents, or a cap that is none.
pub(super) fn read<'a>(
    asked: &Asked,
    text: &'a str,
    content: &mut Content<'a>,
) -> Result<Facts<'a>, BadCall> {
    let mut facts = Facts::of_path(asked)?;
    let (mut said, deeper) = read_request(text, text, &mut facts, content)?;
    // What stands beside a deeper request is read too, so that nothing can hide behind one.
    for request in deeper.into_iter().filter_map(given) {
        if !request.starts_with('{') {
            return Err(BadCall::Wrong { key: "generateContentRequest", must_be: "an object" });
        }
        said |= read_request(text, request, &mut facts, content)?.0;
    }
    facts.models.sort_unstable_by_key(|span| span.start);
    if said { Ok(facts) } else { Err(BadCall::Missing("contents")) }
}

/// Reads what is to be generated from the object `request` in the body `text`; tells whether it has contents, and
/// gives the requests that it holds itself.
fn read_request<'a>(
    text: &'a str,
    request: &'a str,
    facts: &mut Facts<'_>,
    content: &mut Content<'a>,
) -> Result<(bool, [Option<&'a str>; 2]), BadCall> {
    let names = [
        "model",
        "generateContentRequest",
        "generate_content_request",
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
        "generationConfig",
        "generation_config",
    ];
    let [model, deeper, deeper_snake, contents, system, system_snake, tools, config, config_snake] =
        pick_once(request, names, 3)?;
    facts.models.extend(model_span(text, model));
    for system in [given(system), given(system_snake)].into_iter().flatten() {
        // Google takes a bare text here too.
        if !add_text(Some(system), content) {
            add_content(system, content);
        }
    }
    if !contents.is_none_or(|contents| one_or_many(contents, |turn| add_content(turn, content))) {
        return Err(BadCall::Wrong { key: "contents", must_be: "an array" });
    }
    if let Some(tools) = given(tools) {
        one_or_many(tools, |tool| add_tool(tool, content));
    }
    for config in [given(config), given(config_snake)].into_iter().flatten() {
        read_config(config, facts, content)?;
    }
    Ok((contents.is_some(), [deeper, deeper_snake]))
}

/// Reads the body of `embedContent`.
///
/// # Errors
/// No usable model in the path, or no content.
pub(super) fn read_embed<'a>(
    asked: &Asked,
    text: &'a str,
    content: &mut Content<'a>,
) -> Result<Facts<'a>, BadCall> {
    let mut facts = Facts::of_path(asked)?;
    let [model, embedded, title] = pick_once(text, ["model", "content", "title"], 1)?;
    facts.models.extend(model_span(text, model));
    add_text(title, content);
    add_content(given(embedded).ok_or(BadCall::Missing("content"))?, content);
    Ok(facts)
}

/// Reads the body of `batchEmbedContents`.
///
/// # Errors
/// No usable model in the path, or no requests.
pub(super) fn read_batch<'a>(
    asked: &Asked,
    text: &'a str,
    content: &mut Content<'a>,
) -> Result<Facts<'a>, BadCall> {
    let mut facts = Facts::of_path(asked)?;
    let [requests] = pick_once(text, ["requests"], 1)?;
    let requests = requests.ok_or(BadCall::Missing("requests"))?;
    let mut repeated = false;
    let listed = one_or_many(requests, |request| {
        let Ok(picked) = json::pick(request, ["model", "content", "title"]) else { return };
        let [model, embedded, title] = picked.values;
        repeated |= picked.repeated[0];
        facts.models.extend(model_span(text, model));
        add_text(title, content);
        add_content(embedded.unwrap_or_default(), content);
    });
    match (listed, repeated) {
        (false, _) => Err(BadCall::Wrong { key: "requests", must_be: "an array" }),
        (_, true) => Err(BadCall::Wrong { key: "requests[].model", must_be: "given once" }),
        _ => Ok(facts),
    }
}

/// Where the name of the model stands in the body, if it is a text.
fn model_span(text: &str, model: Option<&str>) -> Option<std::ops::Range<usize>> {
    model.filter(|model| model.starts_with('"')).map(|model| span_in(text, model))
}

/// Shows the elements of an array, or the object that stands in its place; tells whether it is either.
fn one_or_many<'a>(value: &'a str, mut see: impl FnMut(&'a str)) -> bool {
    if value.starts_with('{') {
        see(value);
        return true;
    }
    json::elements(value, see)
}

fn add_content<'a>(turn: &'a str, content: &mut Content<'a>) {
    content.messages = content.messages.saturating_add(1);
    if let Some(parts) = json::pick_any(turn, ["parts"])[0] {
        one_or_many(parts, |part| add_part(part, content));
    }
}

fn add_part<'a>(part: &'a str, content: &mut Content<'a>) {
    let [text, data, data_snake, file, file_snake, call, call_snake, answer, answer_snake, code, result] =
        json::pick_any(
            part,
            [
                "text",
                "inlineData",
                "inline_data",
                "fileData",
                "file_data",
                "functionCall",
                "function_call",
                "functionResponse",
                "function_response",
                "executableCode",
                "codeExecutionResult",
            ],
        );
    add_text(text, content);
    for blob in [data, data_snake].into_iter().filter_map(given) {
        add_blob(blob, content);
    }
    for _ in [file, file_snake].into_iter().filter_map(given) {
        add_picture(None, false, content);
    }
    for call in [call, call_snake].into_iter().filter_map(given) {
        let [name, arguments] = json::pick_any(call, ["name", "args"]);
        add_text(name, content);
        add_json(arguments, content);
    }
    for answer in [answer, answer_snake].into_iter().filter_map(given) {
        add_function_answer(answer, content);
    }
    for ran in [code, result].into_iter().filter_map(given) {
        let [code, output] = json::pick_any(ran, ["code", "output"]);
        add_text(code, content);
        add_text(output, content);
    }
}

fn add_function_answer<'a>(answer: &'a str, content: &mut Content<'a>) {
    let [name, response, parts] = json::pick_any(answer, ["name", "response", "parts"]);
    add_text(name, content);
    add_json(response, content);
    if let Some(parts) = given(parts) {
        one_or_many(parts, |part| {
            let blobs = json::pick_any(part, ["inlineData", "inline_data"]);
            blobs.into_iter().filter_map(given).for_each(|blob| add_blob(blob, content));
        });
    }
}

/// Adds data by its media type. A film counts as sound: as many bytes of speech cost at least what its pictures
/// do, at the rates that are usual.
fn add_blob<'a>(blob: &'a str, content: &mut Content<'a>) {
    let [kind, kind_snake, data] = json::pick_any(blob, ["mimeType", "mime_type", "data"]);
    let kind = kind.or(kind_snake).and_then(json::text).unwrap_or_default();
    let data = data.and_then(json::text).unwrap_or_default();
    if kind.starts_with("image/") {
        add_picture(Some(&data), false, content);
    } else if kind.starts_with("audio/") || kind.starts_with("video/") {
        add_sound(&data, content);
    } else {
        add_file(&kind, &data, content);
    }
}

/// The functions of a tool, or a tool that Google runs itself.
fn add_tool<'a>(tool: &'a str, content: &mut Content<'a>) {
    let lists = json::pick_any(tool, ["functionDeclarations", "function_declarations"]);
    let before = content.schemas.len();
    for list in lists.into_iter().filter_map(given) {
        one_or_many(list, |function| content.schemas.push(function));
    }
    if lists == [None, None] {
        content.schemas.push(tool);
    }
    let added = u32::try_from(content.schemas.len() - before).unwrap_or(u32::MAX);
    content.tools = content.tools.saturating_add(added);
}

fn read_config<'a>(config: &'a str, facts: &mut Facts<'_>, content: &mut Content<'a>) -> Result<(), BadCall> {
    let [cap, cap_snake, count, count_snake, schemas @ ..] = json::pick_any(
        config,
        [
            "maxOutputTokens",
            "max_output_tokens",
            "candidateCount",
            "candidate_count",
            "responseSchema",
            "response_schema",
            "responseJsonSchema",
            "response_json_schema",
        ],
    );
    let caps = [("maxOutputTokens", number(cap)), ("max_output_tokens", number(cap_snake))];
    facts.output_cap = facts.output_cap.max(output_cap(&caps)?);
    let counts = [("candidateCount", number(count)), ("candidate_count", number(count_snake))];
    facts.choices = facts.choices.max(choices(&counts)?);
    content.schemas.extend(schemas.into_iter().filter_map(given));
    Ok(())
}

/// A number, which protobuf lets stand as a text too.
fn number(value: Option<&str>) -> Option<&str> {
    value.map(|value| value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value))
}
