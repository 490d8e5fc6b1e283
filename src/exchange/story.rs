//! Writing the story of an exchange down, and keeping the last of them.
//!
//! An exchange tells its own story and waits for nobody: its lock is taken by it alone, and by an operator who looks.
//! A story can be found from the moment that the exchange comes, so that one that waits can be asked why. Invariants:
//! neither a story nor their number grows beyond its bound; a text that comes from outside is cut.

use crate::clock::Clock;
use crate::ids::{ModelName, RequestId};
use crate::observe::{StatusEvent, StatusExchange, StatusStep, StatusStory};
use crate::units::{Moment, WallTime};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The most events of a story. A usual one has five; only one that is refused again and again has more.
const EVENTS_MAX: usize = 64;
/// Of these, how many of the beginning stay: after that it is the latest that tell.
const FIRST_KEPT: usize = 32;
/// The longest text, in characters: a sentence.
const TEXT_MAX: usize = 160;

/// A text cut to the length that is kept.
pub(super) fn clipped(text: &str) -> Box<str> {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => text[..at].into(),
        None => text.into(),
    }
}

/// A name cut likewise; one that is short enough is shared.
pub(super) fn clipped_model(model: &ModelName) -> ModelName {
    let cut = clipped(model.as_str());
    if cut.len() == model.as_str().len() { model.clone() } else { ModelName::from(&*cut) }
}

/// One exchange's pen. Without a chronicle it writes nothing.
#[derive(Clone, Debug)]
pub struct Telling {
    clock: Clock,
    entry: Option<Arc<Entry>>,
}

/// A story in the chronicle.
#[derive(Debug)]
struct Entry {
    id: RequestId,
    arrived: Moment,
    /// Guards the story. Held for the writing of one event or the copying of all, never over an await.
    story: Mutex<StatusStory>,
}

impl Telling {
    /// A pen that writes nothing.
    pub(super) fn nothing(clock: Clock) -> Telling {
        Telling { clock, entry: None }
    }

    /// Writes down what has just happened.
    pub(super) fn tell(&self, step: StatusStep) {
        let Some(entry) = &self.entry else { return };
        let at = self.clock.now().since(entry.arrived).as_micros();
        let at_us = u64::try_from(at).unwrap_or(u64::MAX);
        let mut story = entry.story.lock();
        if story.events.len() == EVENTS_MAX {
            story.events.remove(FIRST_KEPT);
            story.left_out = story.left_out.saturating_add(1);
        }
        let is_end = step.is_end();
        story.events.push(StatusEvent { at_us, step });
        if is_end {
            story.events.shrink_to_fit();
        }
    }

    /// Notes what a provider's headers have changed, a line each.
    pub fn heard(&self, lines: Vec<String>) {
        for line in lines {
            self.tell(StatusStep::Heard { what: clipped(&line) });
        }
    }

    /// Writes the head of the story.
    pub(super) fn head(&self, write: impl FnOnce(&mut StatusStory)) {
        if let Some(entry) = &self.entry {
            write(&mut entry.story.lock());
        }
    }
}

/// The stories of the last exchanges, by request id. Where an id comes again the newest is found; the earlier ones
/// are counted while they are kept.
#[derive(Debug)]
pub struct Chronicle {
    /// Guards the list, not the stories. Held for one insertion or one search by name, never over an await.
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    limit: usize,
    /// Oldest first.
    entries: VecDeque<Arc<Entry>>,
    /// The number of the oldest; they are numbered as they come.
    first: u64,
    /// The newest of each id, and how many of it are kept.
    by_id: HashMap<RequestId, (u64, u32)>,
}

impl Chronicle {
    /// Keeps this many; 0 keeps nothing.
    pub fn new(limit: usize) -> Chronicle {
        let kept = Kept { limit, entries: VecDeque::new(), first: 0, by_id: HashMap::new() };
        Chronicle { kept: Mutex::new(kept) }
    }

    /// Keeps this many from here on.
    pub fn keep(&self, limit: usize) {
        let mut kept = self.kept.lock();
        kept.limit = limit;
        kept.shrink();
    }

    /// How many are kept, and how many may be.
    pub fn kept(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.entries.len(), kept.limit)
    }

    /// Begins a story. `named` is what is known of the request before it is read.
    pub(super) fn begin(
        &self,
        clock: Clock,
        id: &RequestId,
        arrived: Moment,
        dialect: &'static str,
        stream: bool,
    ) -> Telling {
        let mut kept = self.kept.lock();
        if kept.limit == 0 {
            return Telling::nothing(clock);
        }
        let story = StatusStory {
            id: id.clone(),
            arrived_ms: since_then(clock, arrived).0,
            dialect: dialect.into(),
            model: None,
            stream,
            priority: None,
            client: None,
            estimated: None,
            targets: Vec::new(),
            // As many as a usual one has.
            events: Vec::with_capacity(5),
            left_out: 0,
        };
        let entry = Arc::new(Entry { id: id.clone(), arrived, story: Mutex::new(story) });
        let number = kept.first + kept.entries.len() as u64;
        let newest = kept.by_id.entry(id.clone()).or_default();
        *newest = (number, newest.1.saturating_add(1));
        kept.entries.push_back(Arc::clone(&entry));
        kept.shrink();
        Telling { clock, entry: Some(entry) }
    }

    /// The newest story of this id, and how many earlier ones of it are kept.
    pub fn find(&self, id: &RequestId) -> Option<(StatusStory, u32)> {
        let (entry, count) = {
            let kept = self.kept.lock();
            let (number, count) = kept.by_id.get(id).copied()?;
            let place = usize::try_from(number - kept.first).ok()?;
            (Arc::clone(kept.entries.get(place)?), count)
        };
        let story = entry.story.lock().clone();
        Some((story, count - 1))
    }

    /// The newest, in short, newest first.
    pub fn newest(&self, count: usize) -> Vec<StatusExchange> {
        let entries: Vec<_> = self.kept.lock().entries.iter().rev().take(count).cloned().collect();
        entries.iter().map(|entry| entry.story.lock().brief()).collect()
    }
}

impl Kept {
    fn shrink(&mut self) {
        while self.entries.len() > self.limit {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.first += 1;
            if let Some((_, count)) = self.by_id.get_mut(&oldest.id) {
                *count -= 1;
                if *count == 0 {
                    self.by_id.remove(&oldest.id);
                }
            }
        }
    }
}

/// The calendar time of a moment that has passed.
fn since_then(clock: Clock, arrived: Moment) -> WallTime {
    let ago = u64::try_from(clock.now().since(arrived).as_millis()).unwrap_or(u64::MAX);
    WallTime(clock.wall().0.saturating_sub(ago))
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
