//! What each choice of an answer says, in pieces of one token, and why it ends. Knows no language.
//!
//! Thoughts come first and count as output; then a text or calls, never both. The cap is of all of them together.

use super::ask::{Ask, Shape};
use super::faults::Faults;
use super::schema;
use super::text;
use super::tools::{Input, Tool};
use super::usage::Used;
use serde_json::json;

/// One choice.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// What it thinks first.
    pub(super) thoughts: Vec<String>,
    /// Its words.
    pub(super) words: Vec<String>,
    /// The tools that it calls.
    pub(super) calls: Vec<Call>,
    pub(super) finish: Finish,
}

/// A call of a tool.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    /// Whether its argument is a text instead of JSON.
    pub(super) free: bool,
    /// Pieces of its arguments.
    pub(super) pieces: Vec<String>,
}

/// Why a choice ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Finish {
    #[default]
    Done,
    /// Before this stop sequence.
    Stop(String),
    /// At its cap.
    Length,
    /// With calls.
    Calls,
}

impl Choice {
    /// All its words.
    pub(super) fn text(&self) -> String {
        self.words.concat()
    }

    /// The tokens of what it thinks.
    pub(super) fn thought_tokens(&self) -> u64 {
        count(&self.thoughts)
    }

    /// All its tokens.
    pub(super) fn tokens(&self) -> u64 {
        let calls: u64 = self.calls.iter().map(|call| count(&call.pieces)).sum();
        count(&self.thoughts) + count(&self.words) + calls
    }

    /// Ends it after `cap` tokens, if it has more.
    fn cut(&mut self, cap: u64) {
        if self.tokens() <= cap {
            return;
        }
        let mut left = usize::try_from(cap).unwrap_or(usize::MAX);
        let pieces = [&mut self.thoughts, &mut self.words];
        for pieces in pieces.into_iter().chain(self.calls.iter_mut().map(|call| &mut call.pieces)) {
            pieces.truncate(left);
            left -= pieces.len();
        }
        self.calls.retain(|call| !call.pieces.is_empty());
        self.finish = Finish::Length;
    }
}

fn count(pieces: &[String]) -> u64 {
    u64::try_from(pieces.len()).unwrap_or(u64::MAX)
}

impl Call {
    /// Its arguments in one piece.
    pub(super) fn arguments(&self) -> String {
        self.pieces.concat()
    }
}

/// All choices in full.
pub(super) fn compose(ask: &Ask, faults: &Faults, seed: u64) -> Vec<Choice> {
    let choices = ask.questions.iter().zip(0..).map(|(question, index)| {
        let mut choice = choice(ask, question, index, faults, seed);
        if ask.thinks {
            choice.thoughts = pieces(text::words(&text::thought(question)));
        }
        if let Some(cap) = ask.cap {
            choice.cut(cap);
        }
        choice
    });
    choices.collect()
}

/// What all choices used, nothing of it from a cache.
pub(super) fn used(ask: &Ask, choices: &[Choice]) -> Used {
    Used {
        input: ask.prompt_tokens,
        output: choices.iter().map(Choice::tokens).sum(),
        thoughts: choices.iter().map(Choice::thought_tokens).sum(),
        cap: ask.cap.map(|cap| choices.iter().fold(0, |sum: u64, _| sum.saturating_add(cap))),
        ..Used::default()
    }
}

fn choice(ask: &Ask, question: &str, index: u32, faults: &Faults, seed: u64) -> Choice {
    let length = text::asked_length(question).unwrap_or(faults.output_tokens);
    let say = |text: &str| {
        let (text, stop) = until_stop(text, &ask.stop);
        let finish = stop.map_or(Finish::Done, |stop| Finish::Stop(stop.to_owned()));
        Choice { words: pieces(text::words(text)), finish, ..Choice::default() }
    };
    match &ask.shape {
        Shape::Text => say(&text::answer(question, length, index, seed)),
        Shape::Json => say(&json!({"answer": text::answer(question, length, index, seed)}).to_string()),
        Shape::Schema(wanted) => say(&schema::satisfy(wanted, "simulated").to_string()),
        Shape::Calls(tools) => {
            let calls = tools.iter().map(|tool| call(tool, question)).collect();
            Choice { calls, finish: Finish::Calls, ..Choice::default() }
        }
    }
}

fn call(tool: &Tool, question: &str) -> Call {
    let name = tool.name.clone();
    match &tool.input {
        Input::Schema(parameters) => {
            let arguments = schema::satisfy(parameters, "simulated");
            // A function without parameters is called with no arguments, not with a text.
            let arguments = if arguments.is_object() { arguments } else { json!({}) };
            Call { name, free: false, pieces: pieces(text::quads(&arguments.to_string())) }
        }
        Input::Text => {
            let input = format!("simulated: {question}");
            Call { name, free: true, pieces: pieces(text::quads(&input)) }
        }
    }
}

fn pieces<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.map(str::to_owned).collect()
}

/// The text before the first of the stops, which is not said, and which stop it was.
fn until_stop<'a, 's>(text: &'a str, stops: &'s [String]) -> (&'a str, Option<&'s str>) {
    let found = stops.iter().filter(|stop| !stop.is_empty());
    let first = found.filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str()))).min();
    match first {
        Some((at, stop)) => (&text[..at], Some(stop)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn ask(shape: Shape) -> Ask {
        Ask {
            model: "sim".to_owned(),
            stream: false,
            prompt_tokens: 5,
            questions: vec!["hello".into()],
            shape,
            thinks: false,
            cap: None,
            stop: Vec::new(),
        }
    }

    fn composed(ask: &Ask) -> (Vec<Choice>, u64) {
        let choices = compose(ask, &Faults::default(), 1);
        let used = used(ask, &choices);
        (choices, used.cap.unwrap_or(used.output))
    }

    #[test]
    fn without_a_cap_the_charge_is_the_length() {
        let (choices, charge) = composed(&ask(Shape::Text));
        assert_eq!((choices[0].tokens(), &choices[0].finish, charge), (40, &Finish::Done, 40));
    }

    #[test]
    fn a_cap_cuts_and_is_charged_for_every_choice() {
        let three = vec!["hello".into(); 3];
        let (choices, charge) = composed(&Ask { cap: Some(7), questions: three, ..ask(Shape::Text) });
        assert_eq!(charge, 3 * 7);
        assert!(choices.iter().all(|choice| choice.tokens() == 7 && choice.finish == Finish::Length));
        let (choices, charge) = composed(&Ask { cap: Some(1_000), ..ask(Shape::Text) });
        assert_eq!((choices[0].tokens(), &choices[0].finish, charge), (40, &Finish::Done, 1_000));
    }

    #[test]
    fn the_first_stop_ends_the_text_before_itself() {
        let stop = ["hello", " said", ""].map(str::to_owned).to_vec();
        let (choices, _) = composed(&Ask { stop, ..ask(Shape::Text) });
        assert_eq!(choices[0].text(), "This is tidegate's simulated provider. You");
        assert_eq!(choices[0].finish, Finish::Stop(" said".to_owned()));
    }

    #[test]
    fn json_is_json() {
        let (choices, _) = composed(&ask(Shape::Json));
        let value: Value = serde_json::from_str(&choices[0].text()).unwrap();
        assert!(value["answer"].as_str().unwrap().contains("hello"));
        assert_eq!(choices[0].tokens(), 40);
    }

    #[test]
    fn a_function_without_parameters_is_called_with_an_empty_object() {
        let tool = Tool { name: "f".to_owned(), input: Input::Schema(Value::Null) };
        let (choices, _) = composed(&ask(Shape::Calls(vec![tool])));
        assert_eq!((choices[0].calls[0].arguments().as_str(), &choices[0].finish), ("{}", &Finish::Calls));
    }

    #[test]
    fn thoughts_come_first_and_eat_of_the_cap() {
        let thinking = Ask { thinks: true, ..ask(Shape::Text) };
        let (choices, _) = composed(&thinking);
        let thoughts = choices[0].thought_tokens();
        assert!(thoughts > 5 && choices[0].tokens() == thoughts + 40);
        let (choices, _) = composed(&Ask { cap: Some(thoughts + 1), ..thinking });
        assert_eq!((choices[0].thought_tokens(), choices[0].words.len()), (thoughts, 1));
        let tools = vec![Tool { name: "f".to_owned(), input: Input::Text }; 2];
        let (choices, _) = composed(&Ask { cap: Some(3), ..ask(Shape::Calls(tools)) });
        assert_eq!((choices[0].calls.len(), choices[0].tokens()), (1, 3));
    }
}
