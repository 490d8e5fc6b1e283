//! An answer as OpenAI writes it: in one piece, or as the events of a stream.
//!
//! Key order is OpenAI's, since people read what the simulator sends.

use super::answer::Choice;
use super::chat::{Call, Delta, DeltaChoice, Message, MessageChoice, TextChoice};
use bytes::Bytes;
use serde::Serialize;

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
    /// What it reports, if it reports anything.
    pub(super) usage: Option<Usage>,
    /// Whether a stream was asked to report.
    pub(super) include_usage: bool,
}

/// What an answer cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
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

impl Usage {
    pub(super) fn new(prompt: u64, completion: u64) -> Usage {
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
            ..Usage::default()
        }
    }
}

/// One event of a stream; the numbers are of the choice and of its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Role(usize),
    Call(usize),
    Piece(usize, usize),
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

impl Answer {
    /// The tokens of all choices.
    pub(super) fn tokens(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).sum()
    }

    /// The answer in one piece.
    pub(super) fn whole(&self) -> String {
        match self.kind {
            Kind::Chat => {
                let choices: Vec<_> =
                    self.indexed().map(|(choice, index)| self.message(choice, index)).collect();
                self.json("chat.completion", choices, self.usage.map(Some))
            }
            Kind::Text => {
                let choices: Vec<_> = self
                    .indexed()
                    .map(|(choice, index)| TextChoice::new(index, choice.text(), Some(choice.finish)))
                    .collect();
                self.json("text_completion", choices, self.usage.map(Some))
            }
        }
    }

    /// The order of the events: choices take turns, token by token.
    pub(super) fn events(&self, done: bool) -> Vec<Event> {
        let mut events = Vec::new();
        let all = 0..self.choices.len();
        if self.kind == Kind::Chat {
            events.extend(all.clone().map(Event::Role));
        }
        events.extend(all.clone().filter(|choice| self.choices[*choice].calls.is_some()).map(Event::Call));
        let longest = self.choices.iter().map(|choice| choice.pieces.len()).max().unwrap_or(0);
        for piece in 0..longest {
            let speaking = all.clone().filter(|choice| piece < self.choices[*choice].pieces.len());
            events.extend(speaking.map(|choice| Event::Piece(choice, piece)));
        }
        events.extend(all.map(Event::Finish));
        if self.include_usage && self.usage.is_some() {
            events.push(Event::Usage);
        }
        if done {
            events.push(Event::Done);
        }
        events
    }

    /// One event with its `data:` and its empty line.
    pub(super) fn write(&self, event: Event) -> Bytes {
        let json = match (self.kind, event) {
            (_, Event::Done) => "[DONE]".to_owned(),
            (Kind::Chat, event) => {
                let choices: Vec<_> = self.delta(event).into_iter().collect();
                self.json("chat.completion.chunk", choices, self.streamed_usage(event))
            }
            (Kind::Text, event) => {
                let choices: Vec<_> = self.text_delta(event).into_iter().collect();
                self.json("text_completion", choices, self.streamed_usage(event))
            }
        };
        Bytes::from(format!("data: {json}\n\n"))
    }

    fn indexed(&self) -> impl Iterator<Item = (&Choice, usize)> {
        self.choices.iter().zip(0..)
    }

    fn message(&self, choice: &Choice, index: usize) -> MessageChoice {
        let message = match &choice.calls {
            None => Message::saying(choice.text()),
            Some(name) => Message::calling(Call::whole(self.call_id(index), name.clone(), choice.text())),
        };
        MessageChoice::new(index, message, choice.finish)
    }

    fn delta(&self, event: Event) -> Option<DeltaChoice<'_>> {
        let (index, delta, finish) = match event {
            Event::Role(index) => (index, Delta::role(self.choices[index].calls.is_none()), None),
            Event::Call(index) => {
                let name = self.choices[index].calls.as_deref().unwrap_or_default();
                (index, Delta::call(self.call_id(index), name), None)
            }
            Event::Piece(index, piece) => {
                let choice = &self.choices[index];
                let text = choice.pieces[piece].as_str();
                let delta = if choice.calls.is_some() { Delta::arguments(text) } else { Delta::text(text) };
                (index, delta, None)
            }
            Event::Finish(index) => (index, Delta::default(), Some(self.choices[index].finish)),
            Event::Usage | Event::Done => return None,
        };
        Some(DeltaChoice::new(index, delta, finish))
    }

    fn text_delta(&self, event: Event) -> Option<TextChoice> {
        match event {
            Event::Piece(index, piece) => {
                Some(TextChoice::new(index, self.choices[index].pieces[piece].clone(), None))
            }
            Event::Finish(index) => {
                Some(TextChoice::new(index, String::new(), Some(self.choices[index].finish)))
            }
            Event::Role(_) | Event::Call(_) | Event::Usage | Event::Done => None,
        }
    }

    /// `null` in every chunk but the last of a stream that reports usage; absent where none was asked for.
    fn streamed_usage(&self, event: Event) -> Option<Option<Usage>> {
        let usage = self.usage.filter(|_| self.include_usage)?;
        Some((event == Event::Usage).then_some(usage))
    }

    fn call_id(&self, index: usize) -> String {
        let number = self.id.trim_start_matches("chatcmpl-");
        format!("call_{number}{index}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(include_usage: bool) -> Answer {
        let choice = |pieces: &[&str]| Choice {
            pieces: pieces.iter().map(|piece| (*piece).to_owned()).collect(),
            calls: None,
            finish: "stop",
        };
        Answer {
            kind: Kind::Chat,
            id: "chatcmpl-1".to_owned(),
            created: 7,
            model: "sim".to_owned(),
            choices: vec![choice(&["a", " b"]), choice(&["c"])],
            usage: Some(Usage::new(2, 3)),
            include_usage,
        }
    }

    #[test]
    fn choices_take_turns() {
        use Event::*;
        let events = answer(true).events(true);
        let wanted =
            [Role(0), Role(1), Piece(0, 0), Piece(1, 0), Piece(0, 1), Finish(0), Finish(1), Usage, Done];
        assert_eq!(events, wanted);
        assert_eq!(answer(false).events(false).len(), wanted.len() - 2);
    }

    #[test]
    fn usage_is_null_until_it_is_told_and_absent_unless_asked_for() {
        let text = |answer: Answer, event| String::from_utf8(answer.write(event).to_vec()).unwrap();
        let piece = Event::Piece(0, 1);
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
