//! What one choice of an answer says, in pieces of one token, and why it ends.

use super::ask::Ask;
use super::faults::Faults;
use super::schema;
use super::text;
use serde_json::{Value, json};

/// The form in which an answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Text,
    /// A JSON object.
    Json,
    /// JSON that satisfies a schema.
    Schema(Value),
    /// A call of this function.
    ToolCall {
        name: String,
        parameters: Value,
    },
}

/// One choice.
#[derive(Debug, PartialEq)]
pub(super) struct Choice {
    /// Its tokens, in order: words of its text, or pieces of the arguments of its call.
    pub(super) pieces: Vec<String>,
    /// The function that it calls.
    pub(super) calls: Option<String>,
    pub(super) finish: &'static str,
}

impl Choice {
    /// Everything that it says.
    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }

    /// Its tokens.
    pub(super) fn tokens(&self) -> u64 {
        u64::try_from(self.pieces.len()).unwrap_or(u64::MAX)
    }
}

/// All choices in full, and what they are charged at admission: the cap of each, or its length where there is no cap.
pub(super) fn compose(ask: &Ask, faults: &Faults, seed: u64) -> (Vec<Choice>, u64) {
    let mut charge = ask.prompt_tokens;
    let choices = ask.questions.iter().zip(0..).map(|(question, index)| {
        let mut choice = choice(ask, question, index, faults, seed);
        charge = charge.saturating_add(ask.cap.unwrap_or(choice.tokens()));
        if let Some(cap) = ask.cap.filter(|cap| choice.tokens() > *cap) {
            choice.pieces.truncate(usize::try_from(cap).unwrap_or(usize::MAX));
            choice.finish = "length";
        }
        choice
    });
    let choices = choices.collect();
    (choices, charge)
}

fn choice(ask: &Ask, question: &str, index: u32, faults: &Faults, seed: u64) -> Choice {
    let length = text::asked_length(question).unwrap_or(faults.output_tokens);
    let words = |text: &str| text::words(text).map(str::to_owned).collect();
    let say = |text: &str| Choice { pieces: words(until_stop(text, &ask.stop)), calls: None, finish: "stop" };
    match &ask.shape {
        Shape::Text => say(&text::answer(question, length, index, seed)),
        Shape::Json => say(&json!({"answer": text::answer(question, length, index, seed)}).to_string()),
        Shape::Schema(wanted) => say(&schema::satisfy(wanted, "simulated").to_string()),
        Shape::ToolCall { name, parameters } => {
            let arguments = schema::satisfy(parameters, "simulated");
            // A function without parameters is called with no arguments, not with a text.
            let arguments = if arguments.is_object() { arguments } else { json!({}) };
            Choice {
                pieces: text::quads(&arguments.to_string()).map(str::to_owned).collect(),
                calls: Some(name.clone()),
                finish: "tool_calls",
            }
        }
    }
}

/// The text before the first of the stops, which is not said.
fn until_stop<'a>(text: &'a str, stops: &[String]) -> &'a str {
    let first =
        stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
    &text[..first.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(more: &str) -> Ask {
        let body = format!(r#"{{"model":"sim","messages":[{{"role":"user","content":"hello"}}]{more}}}"#);
        Ask::chat(body.as_bytes()).unwrap()
    }

    fn composed(more: &str) -> (Vec<Choice>, u64) {
        compose(&ask(more), &Faults::default(), 1)
    }

    #[test]
    fn without_a_cap_the_charge_is_the_prompt_and_the_length() {
        let (choices, charge) = composed("");
        assert_eq!((choices[0].tokens(), choices[0].finish, charge), (40, "stop", 5 + 40));
    }

    #[test]
    fn a_cap_cuts_and_is_charged_for_every_choice() {
        let (choices, charge) = composed(r#","max_completion_tokens":7,"n":3"#);
        assert_eq!(charge, 5 + 3 * 7);
        assert!(choices.iter().all(|choice| choice.tokens() == 7 && choice.finish == "length"));
        let (choices, charge) = composed(r#","max_tokens":1000"#);
        assert_eq!((choices[0].tokens(), choices[0].finish, charge), (40, "stop", 5 + 1000));
    }

    #[test]
    fn the_first_stop_ends_the_text_before_itself() {
        let (choices, _) = composed(r#","stop":["hello"," said",""]"#);
        assert_eq!(choices[0].text(), "This is tidegate's simulated provider. You");
        assert_eq!(choices[0].finish, "stop");
    }

    #[test]
    fn json_is_json() {
        let (choices, _) = composed(r#","response_format":{"type":"json_object"}"#);
        let value: Value = serde_json::from_str(&choices[0].text()).unwrap();
        assert!(value["answer"].as_str().unwrap().contains("hello"));
        assert_eq!(choices[0].tokens(), 40);
    }

    #[test]
    fn a_function_without_parameters_is_called_with_an_empty_object() {
        let (choices, _) =
            composed(r#","tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]"#);
        assert_eq!((choices[0].text(), choices[0].finish), ("{}".to_owned(), "tool_calls"));
    }
}
