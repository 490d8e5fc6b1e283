//! A conversation as Anthropic and Google demand it: two roles by turns, results before anything else.
//!
//! Refuses to know how either writes a part. Invariant: no part is lost or written twice, and two turns of one role
//! never follow one another.

use super::hub::{Part, Request, Role};
use std::borrow::Cow;

/// What a request says, in two roles.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    /// What stands before it.
    pub(super) system: Vec<&'a Part>,
    /// Turns of alternating roles, none of them empty.
    pub(super) turns: Vec<Joined<'a>>,
}

/// The turns of one role that followed one another.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    /// Whether the model said it.
    pub(super) assistant: bool,
    /// What was said.
    pub(super) parts: Vec<Cow<'a, Part>>,
}

/// A text of the system or the developer in the middle of a conversation, as the user's words. It keeps its place
/// there: moved to the front it would be read as if it had always held, and every new one would change the prefix
/// by which providers cache. The price: it has a user's authority.
fn in_the_middle(part: &Part) -> Cow<'_, Part> {
    match part {
        Part::Text(text) => Cow::Owned(Part::Text(format!("<system>\n{text}\n</system>"))),
        other => Cow::Borrowed(other),
    }
}

/// The conversation of a request. Words of the system that nothing was said before belong to `system`.
pub(super) fn conversation(request: &Request) -> Conversation<'_> {
    let mut said = Conversation { system: request.system.iter().collect(), turns: Vec::new() };
    for turn in &request.turns {
        if turn.role == Role::System && said.turns.is_empty() {
            said.system.extend(&turn.parts);
            continue;
        }
        let assistant = turn.role == Role::Assistant;
        let parts = turn.parts.iter().map(|part| match turn.role {
            Role::System => in_the_middle(part),
            _ => Cow::Borrowed(part),
        });
        match said.turns.last_mut().filter(|last| last.assistant == assistant) {
            Some(last) => last.parts.extend(parts),
            None if turn.parts.is_empty() => {}
            None => said.turns.push(Joined { assistant, parts: parts.collect() }),
        }
    }
    for turn in said.turns.iter_mut().filter(|turn| !turn.assistant) {
        turn.parts = results_first(std::mem::take(&mut turn.parts));
    }
    said
}

/// Results before the rest, each in its order; a cache mark stays behind what it marks.
fn results_first(parts: Vec<Cow<'_, Part>>) -> Vec<Cow<'_, Part>> {
    let mut results = Vec::new();
    let mut rest = Vec::new();
    let mut after_result = false;
    for part in parts {
        after_result = match *part {
            Part::ToolResult { .. } => true,
            Part::CacheMark => after_result,
            _ => false,
        };
        if after_result { results.push(part) } else { rest.push(part) }
    }
    results.append(&mut rest);
    results
}

#[cfg(test)]
mod tests {
    use super::super::hub::Turn;
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn result(id: &str) -> Part {
        Part::ToolResult {
            id: id.to_owned(),
            name: None,
            parts: Vec::new(),
            is_error: false,
            free_text: false,
        }
    }

    #[test]
    fn roles_alternate_and_results_come_first() {
        let turn = |role, parts| Turn { role, parts };
        let request = Request {
            system: vec![text("s")],
            turns: vec![
                turn(Role::System, vec![text("early")]),
                turn(Role::User, vec![text("a")]),
                turn(Role::Assistant, vec![text("b")]),
                turn(Role::System, vec![text("late")]),
                turn(Role::User, vec![text("c"), Part::CacheMark, result("1"), Part::CacheMark]),
                turn(Role::User, vec![result("2")]),
            ],
            ..Request::default()
        };
        let said = conversation(&request);
        assert_eq!(said.system, [&text("s"), &text("early")]);
        assert_eq!(said.turns.iter().map(|turn| turn.assistant).collect::<Vec<_>>(), [false, true, false]);
        let last: Vec<Part> = said.turns[2].parts.iter().map(|part| part.clone().into_owned()).collect();
        let late = text("<system>\nlate\n</system>");
        assert_eq!(last, [result("1"), Part::CacheMark, result("2"), late, text("c"), Part::CacheMark]);
    }
}
