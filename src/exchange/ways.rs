//! How each target of a plan is spoken to: in the client's own dialect, or by way of a translation.
//!
//! Refuses to send anything. Invariants: within one dialect nothing is translated; a target that cannot be told
//! what the client asks is skipped, and the client learns why.

use super::live::Live;
use crate::dialect::Dialect;
use crate::ids::TargetId;
use crate::upstream::Spoken;
use crate::wire::translate::{self, Losses, Unfit};
use crate::wire::{Asked, THREAD_UNSUPPORTED};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// In the client's own dialect: bytes go through as they are.
    Same(&'a Spoken),
    /// In another, by way of the hub.
    Through(&'a Spoken),
}

/// A target that is not asked, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub target: TargetId,
    /// Why, in short words such as "audio input".
    pub why: String,
}

/// The code of the refusal where every target was skipped. A client that hears that its provider should have held
/// the conversation sends all of it instead.
pub(super) fn unfit_code(skipped: &[Skipped]) -> &'static str {
    match skipped.iter().any(|skipped| skipped.why == translate::THREAD) {
        true => THREAD_UNSUPPORTED,
        false => "unsupported_by_every_target",
    }
}

/// How this target is spoken to; `None` if what it speaks cannot hold such a call at all.
pub(super) fn way<'a>(live: &'a Live, dialect: Dialect, target: &TargetId) -> Option<Way<'a>> {
    let upstream = &live.provider(&target.provider)?.upstream;
    if let Some(spoken) = upstream.spoken(dialect) {
        return Some(Way::Same(spoken));
    }
    let other = upstream.spoken.iter().find(|spoken| spoken.dialect.is_conversation());
    other.filter(|_| dialect.is_conversation()).map(Way::Through)
}

/// A client's request, read into the hub when the first target needs it, and once.
#[derive(Debug)]
pub(super) struct Interpreted {
    asked: Asked,
    body: Bytes,
    read: OnceLock<Result<(translate::Request, Losses), Unfit>>,
}

/// A request in a target's own dialect.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) body: Bytes,
    pub(super) losses: Losses,
    /// Tools of the client whose input is free text, which other dialects cannot tell from the others.
    pub(super) free_text_tools: BTreeSet<String>,
}

impl Interpreted {
    pub(super) fn new(asked: Asked, body: Bytes) -> Interpreted {
        Interpreted { asked, body, read: OnceLock::new() }
    }

    /// How many bytes there are to read.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Writes the request in another dialect.
    ///
    /// # Errors
    /// The hub, or that dialect, has no words for it.
    pub(super) fn render(&self, to: Dialect, model: &str) -> Result<Rendered, Unfit> {
        let (request, lost) = self.read().as_ref().map_err(Clone::clone)?;
        let mut losses = lost.clone();
        let body = translate::write_request(request, to, model, &mut losses)?.into();
        Ok(Rendered { body, losses, free_text_tools: self.free_text_tools() })
    }

    /// The tools whose input is free text; none where the hub cannot hold the request.
    pub(super) fn free_text_tools(&self) -> BTreeSet<String> {
        let tools = self.read().iter().flat_map(|(request, _)| &request.tools);
        tools.filter(|tool| tool.schema.is_none()).map(|tool| tool.name.clone()).collect()
    }

    fn read(&self) -> &Result<(translate::Request, Losses), Unfit> {
        self.read.get_or_init(|| {
            let mut losses = Losses::default();
            let Asked { dialect, stream, .. } = self.asked;
            translate::read_request(dialect, &self.body, stream, &mut losses).map(|request| (request, losses))
        })
    }
}

/// Sorts targets out that cannot be told what is asked. Where some target speaks the client's dialect, the others
/// are proven only when they are granted: most exchanges never need them, and reading a large body into the hub
/// costs more than all else that is done for it.
pub(super) fn sort_out(
    live: &Live,
    interpreted: &Interpreted,
    targets: Vec<TargetId>,
) -> (Vec<TargetId>, Vec<Skipped>) {
    let dialect = interpreted.asked.dialect;
    let is_same = |target: &TargetId| matches!(way(live, dialect, target), Some(Way::Same(_)));
    let any_same = targets.iter().any(is_same);
    let mut skipped = Vec::new();
    let mut fit = Vec::with_capacity(targets.len());
    for target in targets {
        let unfit = match way(live, dialect, &target) {
            None => Some(format!("it does not speak {dialect}")),
            Some(Way::Through(spoken)) if !any_same => {
                let rendered = interpreted.render(spoken.dialect, target.model.as_str());
                rendered.err().map(|unfit| unfit.to_string())
            }
            Some(_) => None,
        };
        match unfit {
            Some(why) => skipped.push(Skipped { target, why }),
            None => fit.push(target),
        }
    }
    (fit, skipped)
}
