//! Which tools are called: those that are demanded, or those that the user asks for by the word "tool".
//!
//! One rule for every language. "Two tools" asks for two calls at once, of the first two tools or of the only one twice;
//! a user who has got a result is answered in words.

use super::ask::Shape;
use serde_json::Value;

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) input: Input,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// An object that satisfies this schema.
    Schema(Value),
    /// A text without form, as OpenAI's custom tools take.
    Text,
}

/// What the request says about calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// As the model likes.
    Auto,
    /// None at all.
    Never,
    /// At least one.
    Any,
    /// This one.
    Named(String),
}

/// The state of a conversation as far as calling is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversation<'a> {
    /// What the user said last.
    pub(super) question: &'a str,
    /// Whether a tool's result came last.
    pub(super) answered: bool,
    /// Whether more than one call at a time is wanted.
    pub(super) parallel: bool,
}

/// The calls to make, if any.
pub(super) fn called(mut tools: Vec<Tool>, choice: &Choice, talk: Conversation<'_>) -> Option<Shape> {
    let question = talk.question.to_lowercase();
    match choice {
        Choice::Never => return None,
        Choice::Any => {}
        Choice::Named(name) => tools.retain(|tool| tool.name == *name),
        Choice::Auto if talk.answered || !question.contains("tool") => return None,
        Choice::Auto => {}
    }
    let first = tools.first()?.clone();
    let mut calls = vec![first];
    if talk.parallel && question.contains("two tools") {
        let second = tools.get(1).unwrap_or(&tools[0]).clone();
        calls.push(second);
    }
    Some(Shape::Calls(calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], choice: &Choice, question: &str, wanted: &[&str]) {
        let tool = |name: &&str| Tool { name: (*name).to_owned(), input: Input::Text };
        let talk = Conversation { question, answered: false, parallel: true };
        let calls = match called(names.iter().map(tool).collect(), choice, talk) {
            Some(Shape::Calls(calls)) => calls,
            _ => Vec::new(),
        };
        let called: Vec<_> = calls.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(called, wanted, "{choice:?} {question}");
    }

    #[test]
    fn two_tools_are_the_first_two_or_the_only_one_twice() {
        let named = |name: &str| Choice::Named(name.to_owned());
        check(&["a", "b", "c"], &Choice::Auto, "Use two tools", &["a", "b"]);
        check(&["a"], &Choice::Auto, "use two tools", &["a", "a"]);
        check(&["a", "b"], &Choice::Auto, "use the tool", &["a"]);
        check(&["a", "b"], &named("b"), "use two tools", &["b", "b"]);
        check(&["a", "b"], &named("c"), "use two tools", &[]);
        check(&["a", "b"], &Choice::Never, "use two tools", &[]);
        check(&["a", "b"], &Choice::Any, "hello", &["a"]);
        check(&[], &Choice::Any, "use two tools", &[]);
    }
}
