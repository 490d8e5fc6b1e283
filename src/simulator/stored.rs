//! What clients may ask for again by its id: the last answers in OpenAI's Responses, and the last batches of Messages.

use serde_json::Value;
use std::collections::VecDeque;

/// The most objects that are remembered; a long answer is some hundred kilobytes.
const OBJECTS_MAX: usize = 64;

/// The objects, oldest first.
#[derive(Debug, Default)]
pub(super) struct Stored {
    objects: VecDeque<Object>,
}

/// Something with an id.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) value: Value,
}

impl Stored {
    /// Remembers an object, in the place of one with the same id.
    pub(super) fn keep(&mut self, object: Object) {
        self.take(&object.id);
        if self.objects.len() == OBJECTS_MAX {
            self.objects.pop_front();
        }
        self.objects.push_back(object);
    }

    /// The object with this id.
    pub(super) fn find(&self, id: &str) -> Option<&Value> {
        self.objects.iter().find(|object| object.id == id).map(|object| &object.value)
    }

    /// Forgets the object with this id, and gives it.
    pub(super) fn take(&mut self, id: &str) -> Option<Value> {
        let at = self.objects.iter().position(|object| object.id == id)?;
        self.objects.remove(at).map(|object| object.value)
    }

    /// The objects whose id begins so, newest first.
    pub(super) fn list(&self, prefix: &str) -> Vec<Value> {
        let found = self.objects.iter().rev().filter(|object| object.id.starts_with(prefix));
        found.map(|object| object.value.clone()).collect()
    }
}
