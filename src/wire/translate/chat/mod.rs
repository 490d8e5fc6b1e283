//! Stub of chat.

use super::hub::{Answer, Event, Request};
use super::{Losses, Scene, Unfit, Unreadable};

pub(super) fn read_request(_body: &[u8], _losses: &mut Losses) -> Result<Request, Unfit> {
    Err(Unfit::new("not yet"))
}
pub(super) fn write_request(
    _request: &Request,
    _model: &str,
    _losses: &mut Losses,
) -> Result<Vec<u8>, Unfit> {
    Err(Unfit::new("not yet"))
}
pub(super) fn read_answer(_body: &[u8]) -> Result<Answer, Unreadable> {
    Err(Unreadable)
}
pub(super) fn write_answer(_answer: &Answer, _scene: &Scene) -> Vec<u8> {
    Vec::new()
}
/// Reads a stream.
#[derive(Debug, Default)]
pub struct StreamReader;
impl StreamReader {
    pub(super) fn on_event(&mut self, _data: &[u8], _out: &mut Vec<Event>) {}
    pub(super) fn finish(&mut self, _out: &mut Vec<Event>) {}
}
/// Writes a stream.
#[derive(Debug)]
pub struct StreamWriter;
impl StreamWriter {
    pub(super) fn new(_scene: Scene) -> StreamWriter {
        StreamWriter
    }
    pub(super) fn write(&mut self, _event: &Event, _out: &mut Vec<u8>) {}
}
