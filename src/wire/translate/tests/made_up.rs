//! Requests and answers made up by chance, of nothing but what a dialect can say.
//!
//! What a dialect has beyond others is one line of [`says`], so that another dialect is another arm.

use super::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::sample::select;
use serde_json::{Value, json};

/// What a dialect can say, and in what form it comes back.
#[derive(Clone, Copy, Debug)]
struct Says {
    /// Tools with free text.
    free_text: bool,
    /// Thoughts that are sealed; their texts alone are shown to clients, and never sent back.
    seals: bool,
    /// Penalties, a seed, and texts that end the answer.
    sampling: bool,
    top_k: bool,
    refusals: bool,
    /// Whether a thought is to be shown.
    shown: bool,
    /// Whether it must be said that a tool is not strict.
    strict_said: bool,
    /// Whether every stream tells the usage.
    usage_asked: bool,
    /// Whether parts of one kind may follow one another in an answer.
    apart: bool,
    pictures: bool,
    /// Whether a call's input is kept as text, not as an object.
    verbatim: bool,
    /// Whether usage tells what was written to a cache.
    written_told: bool,
}

/// What Anthropic's and Google's dialects have in common. Of requests, `native_tests` makes up their own.
const NATIVE: Says = Says {
    free_text: false,
    seals: true,
    sampling: false,
    top_k: true,
    refusals: false,
    shown: true,
    strict_said: false,
    usage_asked: false,
    apart: false,
    pictures: true,
    verbatim: false,
    written_told: false,
};

fn says(dialect: Dialect) -> Says {
    match dialect {
        Dialect::Chat => Says {
            free_text: false,
            seals: false,
            sampling: true,
            top_k: false,
            refusals: true,
            shown: false,
            strict_said: false,
            usage_asked: true,
            apart: false,
            pictures: true,
            verbatim: true,
            written_told: true,
        },
        Dialect::Messages => Says { apart: true, written_told: true, pictures: false, ..NATIVE },
        Dialect::Gemini => NATIVE,
        _ => Says {
            free_text: true,
            seals: true,
            sampling: false,
            top_k: false,
            refusals: true,
            shown: true,
            strict_said: true,
            usage_asked: false,
            apart: true,
            pictures: true,
            verbatim: true,
            written_told: true,
        },
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        Just("two\nlines \"quoted\" \\ \u{0}".to_owned()),
        Just("data: [DONE]\r\n\r\n".to_owned()),
        Just("👋 ü".to_owned())
    ]
}

fn media(kinds: &'static [&'static str]) -> impl Strategy<Value = Media> {
    let inline = (select(kinds), "([A-Za-z0-9+/]{4}){1,2}");
    inline.prop_map(|(kind, data)| Media::Inline { kind: kind.to_owned(), data })
}

fn user_part() -> impl Strategy<Value = Part> {
    let url = "https://[a-z]{3}\\.example/[a-z]{1,5}\\.png".prop_map(|url| Part::Image(Media::Url(url)));
    let file = (media(&["application/pdf", "text/plain"]), "[a-z]{1,8}\\.pdf");
    prop_oneof![
        4 => text().prop_map(Part::Text),
        1 => media(&["image/png", "image/jpeg"]).prop_map(Part::Image),
        1 => url,
        1 => file.prop_map(|(media, name)| Part::File { media, name: Some(name) }),
    ]
}

fn call(says: Says) -> impl Strategy<Value = ToolCall> {
    let inputs = &["{}", "{\"b\":1,\"a\":[\"x\"]}", "{\"s\": \"\\u00e9 \"}"][..];
    let inputs = select(if says.verbatim { inputs } else { &inputs[..2] });
    ("[a-zA-Z0-9]{6}", "[a-z_]{1,8}", inputs, text(), any::<bool>()).prop_map(
        move |(id, name, json, words, free)| {
            let free_text = says.free_text && free;
            let input = if free_text { words } else { json.to_owned() };
            ToolCall { id: format!("call_{id}"), name, input, free_text, seal: None }
        },
    )
}

fn thought() -> impl Strategy<Value = Part> {
    let seal = "[A-Za-z0-9]{4,8}".prop_map(|data| Seal { by: Dialect::Responses, data, redacted: false });
    let text = prop_oneof![Just(String::new()), text()];
    (text, seal).prop_map(|(text, seal)| Part::Thought(Thought { text, seal: Some(seal) }))
}

/// Something that a person says, what the model makes of it, and the results of its calls.
fn exchange(says: Says) -> impl Strategy<Value = Vec<Turn>> {
    let refusal = of(text()).prop_map(move |refusal| refusal.filter(|_| says.refusals).map(Part::Refusal));
    let calls = vec((call(says), text()), 0..3);
    let system = of(text());
    (vec(user_part(), 1..3), of(thought()), text(), refusal, calls, system).prop_map(
        move |(user, thought, said, refusal, calls, system)| {
            let mut parts = Vec::from_iter(thought.filter(|_| says.seals));
            parts.push(Part::Text(said));
            parts.extend(refusal);
            parts.extend(calls.iter().map(|(call, _)| Part::ToolCall(call.clone())));
            let results = calls.into_iter().map(|(call, text)| Part::ToolResult {
                id: call.id,
                name: None,
                parts: vec![Part::Text(text)],
                is_error: false,
                free_text: call.free_text,
            });
            let results = Vec::from_iter(results);
            let mut turns =
                vec![Turn { role: Role::User, parts: user }, Turn { role: Role::Assistant, parts }];
            if !results.is_empty() {
                turns.push(Turn { role: Role::User, parts: results });
            }
            turns.extend(system.map(|text| Turn { role: Role::System, parts: vec![Part::Text(text)] }));
            turns
        },
    )
}

fn schema() -> impl Strategy<Value = Value> {
    let keys = vec("[a-z]{1,3}", 0..4);
    keys.prop_map(|keys| {
        let each = keys.into_iter().map(|key| (key, json!({"type": "string"})));
        json!({"type": "object", "properties": serde_json::Map::from_iter(each), "additionalProperties": false})
    })
}

fn tool(says: Says) -> impl Strategy<Value = Tool> {
    ("[a-z_]{1,8}", of(text()), schema(), of(any::<bool>()), any::<bool>()).prop_map(
        move |(name, description, schema, strict, free)| {
            let free_text = says.free_text && free;
            let strict = if says.strict_said { Some(strict.unwrap_or_default()) } else { strict };
            Tool {
                name,
                description,
                schema: (!free_text).then_some(schema),
                strict: strict.filter(|_| !free_text),
            }
        },
    )
}

fn format() -> impl Strategy<Value = Format> {
    let schema = ("[a-z]{1,8}", schema(), of(any::<bool>()));
    prop_oneof![
        Just(Format::Text),
        Just(Format::Json),
        schema.prop_map(|(name, schema, strict)| Format::Schema { name: Some(name), schema, strict }),
    ]
}

/// A tenth, which every reader of numbers reads alike.
fn tenths(range: std::ops::Range<i8>) -> impl Strategy<Value = Option<f64>> {
    of(range.prop_map(|tenths| f64::from(tenths) / 10.0))
}

/// A request that a dialect can say.
pub(super) fn request(dialect: Dialect) -> impl Strategy<Value = Request> {
    let says = says(dialect);
    let said = (of(text()), vec(exchange(says), 1..4), vec(tool(says), 0..3), 0..5_usize, of(any::<bool>()));
    let sampling =
        (of(16..9_000_u64), tenths(0..20), tenths(1..10), of(1..99_u64), tenths(-20..20), of(-9..9_i64));
    let rest =
        (vec(text(), 0..3), format(), of(select(&["low", "high"][..])), of("[a-z]{1,5}"), any::<[bool; 2]>());
    (said, sampling, rest).prop_map(move |(said, sampling, rest)| {
        let (system, exchanges, tools, choice, parallel_tools) = said;
        let (output_cap, temperature, top_p, top_k, penalty, seed) = sampling;
        let (stop, format, effort, user, [stream, shown]) = rest;
        let mut turns = exchanges.concat();
        // Nobody may ask for an object of JSON without saying so.
        if format == Format::Json {
            turns[0].parts.push(Part::Text("As JSON.".to_owned()));
        }
        let named = tools.first().map(|tool| ToolChoice::Named(tool.name.clone()));
        let choices = [None, Some(ToolChoice::Auto), Some(ToolChoice::None), Some(ToolChoice::Any), named];
        Request {
            stream,
            wants_usage: stream && says.usage_asked,
            system: Vec::from_iter(system.map(Part::Text)),
            turns,
            tool_choice: choices[choice].clone().filter(|_| !tools.is_empty()),
            parallel_tools: parallel_tools.filter(|_| !tools.is_empty()),
            tools,
            output_cap,
            temperature,
            top_p,
            top_k: top_k.filter(|_| says.top_k),
            frequency_penalty: penalty.filter(|_| says.sampling),
            presence_penalty: penalty.filter(|_| says.sampling),
            seed: seed.filter(|_| says.sampling),
            stop: if says.sampling { stop } else { Vec::new() },
            format,
            reasoning: effort.map(|effort| Reasoning {
                effort: Some(effort.to_owned()),
                budget: None,
                shown: shown && says.shown,
            }),
            user,
        }
    })
}

fn spent() -> impl Strategy<Value = Spent> {
    (1..1_000_u64, 1..1_000_u64, 0..100_u64, 0..100_u64, 0..100_u64).prop_map(
        |(input, output, cached, written, thought)| {
            let cached = input * cached / 100;
            let cache_written = (input - cached) * written / 100;
            Spent { input, cached, cache_written, output, thought: output * thought / 100 }
        },
    )
}

/// An answer that a dialect can say. Its identifier is left out.
pub(super) fn answer(dialect: Dialect) -> impl Strategy<Value = Answer> {
    let says = says(dialect);
    let plain = text().prop_map(|text| Part::Thought(Thought { text, seal: None }));
    let thoughts = if says.seals { thought().boxed() } else { plain.boxed() };
    let picture = media(&["image/png", "image/webp"]).prop_map(Part::Image);
    let parts = (of(thoughts), vec(text(), 0..3), of(text()), of(picture), vec(call(says), 0..4));
    (parts, 0..3_u8, of(spent())).prop_map(move |(parts, stop, usage)| {
        let (thought, mut texts, refusal, picture, calls) = parts;
        // Blanks alone are not told to Anthropic's clients.
        texts.retain(|text| dialect != Dialect::Messages || !text.trim().is_empty());
        texts.truncate(if says.apart { 3 } else { 1 });
        let refusal = refusal.filter(|_| says.refusals);
        let picture = picture.filter(|_| says.pictures);
        let usage = usage.map(|spent: Spent| Spent {
            cache_written: if says.written_told { spent.cache_written } else { 0 },
            ..spent
        });
        let stop = match stop {
            0 => Stop::Length,
            1 if refusal.is_none() && calls.is_empty() => Stop::Refused,
            _ if !calls.is_empty() => Stop::ToolUse,
            _ if refusal.is_some() => Stop::Refused,
            _ => Stop::End,
        };
        let mut parts = Vec::from_iter(thought);
        parts.extend(texts.into_iter().map(Part::Text));
        parts.extend(refusal.map(Part::Refusal));
        parts.extend(picture);
        parts.extend(calls.into_iter().map(Part::ToolCall));
        Answer { id: String::new(), model: "told".to_owned(), parts, stop, usage }
    })
}
