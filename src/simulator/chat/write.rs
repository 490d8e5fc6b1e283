//! An answer as OpenAI writes it: in one piece, or as the events of a stream.
//!
//! Key order is OpenAI's, since people read what the simulator sends.

use super::shapes::{Call, Delta, DeltaChoice, Message, MessageChoice, TextChoice};
use crate::simulator::answer::{Choice, Finish};
use crate::simulator::speech::{Breakage, Speech, data};
use crate::simulator::usage::{Meter, Used};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Text,
}

/// Everything that an answer says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    /// What it reports.
    pub(super) meter: Meter,
    /// Whether a stream was asked to report.
    pub(super) include_usage: bool,
    /// Whether every chunk reports, asked or not.
    pub(super) cumulative_usage: bool,
    /// Whether the arguments of several calls take turns.
    pub(super) interleave_tools: bool,
    /// How many tokens of its stream have been written.
    pub(super) written: u64,
}

/// What an answer cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl From<Used> for Usage {
    fn from(used: Used) -> Usage {
        Usage {
            prompt_tokens: used.input,
            completion_tokens: used.output,
            total_tokens: used.total(),
            prompt_tokens_details: PromptDetails { cached_tokens: used.cache_read, ..Default::default() },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: used.thoughts,
                ..Default::default()
            },
        }
    }
}

/// One event of a stream; the numbers are of the choice, of its call, and of the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Role(usize),
    Word(usize, usize),
    Call(usize, usize),
    Argument(usize, usize, usize),
    Finish(usize),
    Usage,
    Done,
}

#[derive(Serialize)]
struct Envelope<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: C,
    /// Absent, `null`, or what was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
    system_fingerprint: &'static str,
}

impl Speech for Answer {
    type Event = Event;

    fn whole(&self) -> String {
        let usage = self.meter.told().map(|used| Some(used.into()));
        match self.kind {
            Kind::Chat => {
                let choices: Vec<_> =
                    self.indexed().map(|(choice, index)| self.message(choice, index)).collect();
                self.json("chat.completion", choices, usage)
            }
            Kind::Text => {
                let choices: Vec<_> = self
                    .indexed()
                    .map(|(choice, index)| TextChoice::new(index, choice.text(), Some(word(&choice.finish))))
                    .collect();
                self.json("text_completion", choices, usage)
            }
        }
    }

    /// Choices take turns, event by event.
    fn events(&self, end: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let all = 0..self.choices.len();
        if self.kind == Kind::Chat {
            events.extend(all.clone().map(Event::Role));
        }
        let rows: Vec<_> = all.clone().map(|choice| self.saying(choice)).collect();
        take_turns(&rows, &mut events);
        events.extend(all.map(Event::Finish));
        if self.include_usage && self.meter.told().is_some() {
            events.push(Event::Usage);
        }
        if end {
            events.push(Event::Done);
        }
        events
    }

    fn write(&mut self, event: Event, _number: u32) -> Bytes {
        self.written += u64::from(Answer::is_token(event));
        let usage = self.streamed_usage(event);
        match (self.kind, event) {
            (_, Event::Done) => data("[DONE]"),
            (Kind::Chat, event) => {
                let choices: Vec<_> = self.delta(event).into_iter().collect();
                data(&self.json("chat.completion.chunk", choices, usage))
            }
            (Kind::Text, event) => {
                let choices: Vec<_> = self.text_delta(event).into_iter().collect();
                data(&self.json("text_completion", choices, usage))
            }
        }
    }

    fn is_token(event: Event) -> bool {
        matches!(event, Event::Word(..) | Event::Argument(..))
    }

    fn tokens(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).sum()
    }

    fn error(&self, fault: &Breakage, _number: u32) -> Bytes {
        let (kind, code) = (fault.kind_or("server_error"), fault.kind.as_deref());
        let error = json!({"message": fault.message, "type": kind, "param": null, "code": code});
        data(&json!({"error": error}).to_string())
    }

    fn garbage(&self) -> &'static [u8] {
        b"data: {\"choices\": [{\"delta\n\n"
    }

    /// A comment, a field that nobody knows, an odd line end.
    fn noise(&self) -> &'static [u8] {
        b": keep-alive\n\nnoise: ignore me\r\n\r\n"
    }
}

impl Answer {
    fn indexed(&self) -> impl Iterator<Item = (&Choice, usize)> {
        self.choices.iter().zip(0..)
    }

    /// The events of what one choice says.
    fn saying(&self, index: usize) -> Vec<Event> {
        let choice = &self.choices[index];
        let mut events: Vec<_> = (0..choice.words.len()).map(|piece| Event::Word(index, piece)).collect();
        let calls = choice.calls.iter().enumerate().map(|(call, made)| {
            let pieces = (0..made.pieces.len()).map(|piece| Event::Argument(index, call, piece));
            std::iter::once(Event::Call(index, call)).chain(pieces).collect()
        });
        let calls: Vec<Vec<_>> = calls.collect();
        match self.interleave_tools {
            true => take_turns(&calls, &mut events),
            false => events.extend(calls.concat()),
        }
        events
    }

    fn message(&self, choice: &Choice, index: usize) -> MessageChoice {
        let calls = choice.calls.iter().zip(0..).map(|(call, number)| {
            Call::whole(self.call_id(index, number), call.name.clone(), call.arguments())
        });
        let message = match choice.calls.is_empty() {
            true => Message::saying(choice.text()),
            false => Message::calling(calls.collect()),
        };
        MessageChoice::new(index, message, word(&choice.finish))
    }

    fn delta(&self, event: Event) -> Option<DeltaChoice<'_>> {
        let (index, delta, finish) = match event {
            Event::Role(index) => (index, Delta::role(self.choices[index].calls.is_empty()), None),
            Event::Word(index, piece) => (index, Delta::text(&self.choices[index].words[piece]), None),
            Event::Call(index, call) => {
                let name = &self.choices[index].calls[call].name;
                (index, Delta::call(call, self.call_id(index, call), name), None)
            }
            Event::Argument(index, call, piece) => {
                let piece = &self.choices[index].calls[call].pieces[piece];
                (index, Delta::arguments(call, piece), None)
            }
            Event::Finish(index) => (index, Delta::default(), Some(word(&self.choices[index].finish))),
            Event::Usage | Event::Done => return None,
        };
        Some(DeltaChoice::new(index, delta, finish))
    }

    fn text_delta(&self, event: Event) -> Option<TextChoice> {
        match event {
            Event::Word(index, piece) => {
                Some(TextChoice::new(index, self.choices[index].words[piece].clone(), None))
            }
            Event::Finish(index) => {
                Some(TextChoice::new(index, String::new(), Some(word(&self.choices[index].finish))))
            }
            Event::Role(_) | Event::Call(..) | Event::Argument(..) | Event::Usage | Event::Done => None,
        }
    }

    /// `null` in every chunk but the last of a stream that reports usage; absent where none was asked for.
    fn streamed_usage(&self, event: Event) -> Option<Option<Usage>> {
        if event == Event::Usage {
            return self.meter.told().map(|used| Some(used.into()));
        }
        let so_far = self.meter.told_so_far(self.written, 0)?;
        match (self.cumulative_usage, self.include_usage) {
            (true, _) => Some(Some(so_far.into())),
            (false, true) => Some(None),
            (false, false) => None,
        }
    }

    fn call_id(&self, index: usize, call: usize) -> String {
        let number = self.id.trim_start_matches("chatcmpl-");
        match call {
            0 => format!("call_{number}{index}"),
            call => format!("call_{number}{index}_{call}"),
        }
    }

    fn json(&self, object: &'static str, choices: impl Serialize, usage: Option<Option<Usage>>) -> String {
        let envelope = Envelope {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            choices,
            usage,
            system_fingerprint: "fp_simulated",
        };
        serde_json::to_string(&envelope).expect("texts and numbers are always JSON")
    }
}

fn word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Done | Finish::Stop(_) => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

/// One event of each row, then the next of each, until all are through.
fn take_turns(rows: &[Vec<Event>], events: &mut Vec<Event>) {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    for turn in 0..longest {
        events.extend(rows.iter().filter_map(|row| row.get(turn)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::counting::SimulatedCounting;
    use crate::simulator::faults::Faults;

    fn answer(include_usage: bool) -> Answer {
        let choice = |pieces: &[&str]| Choice {
            words: pieces.iter().map(|piece| (*piece).to_owned()).collect(),
            ..Choice::default()
        };
        Answer {
            kind: Kind::Chat,
            id: "chatcmpl-1".to_owned(),
            created: 7,
            model: "sim".to_owned(),
            choices: vec![choice(&["a", " b"]), choice(&["c"])],
            meter: Meter::new(
                Used { input: 2, output: 3, ..Used::default() },
                &Faults::default(),
                SimulatedCounting::default(),
            ),
            include_usage,
            cumulative_usage: false,
            interleave_tools: false,
            written: 0,
        }
    }

    #[test]
    fn choices_take_turns() {
        use Event::*;
        let events = answer(true).events(true);
        let wanted =
            [Role(0), Role(1), Word(0, 0), Word(1, 0), Word(0, 1), Finish(0), Finish(1), Usage, Done];
        assert_eq!(events, wanted);
        assert_eq!(answer(false).events(false).len(), wanted.len() - 2);
    }

    #[test]
    fn usage_is_null_until_it_is_told_and_absent_unless_asked_for() {
        let text = |mut answer: Answer, event| String::from_utf8(answer.write(event, 0).to_vec()).unwrap();
        let piece = Event::Word(0, 1);
        assert_eq!(
            text(answer(true), piece),
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"sim\",\
             \"choices\":[{\"index\":0,\"delta\":{\"content\":\" b\"},\"logprobs\":null,\"finish_reason\":null}],\
             \"usage\":null,\"system_fingerprint\":\"fp_simulated\"}\n\n"
        );
        assert!(!text(answer(false), piece).contains("usage"));
        let last = text(answer(true), Event::Usage);
        assert!(last.contains(
            "\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":3,\"total_tokens\":5,"
        ));
    }
}
