//! What texts, pictures, sound and files add to a content, whatever the dialect that carries them.
//!
//! Knows no keys of any dialect. Values are JSON as it stands in the body; what is missing, `null` or of another
//! kind adds nothing. Never fetches what is only pointed at: that costs what its kind costs at least.

use super::call::{Content, Image};
use super::read::given;
use super::{json, media};

/// Adds the text of a string; tells whether the value was a string.
pub(super) fn add_text<'a>(value: Option<&'a str>, content: &mut Content<'a>) -> bool {
    let Some(text) = value.and_then(json::text) else { return false };
    if !text.is_empty() {
        content.texts.push(text);
    }
    true
}

/// Adds what a model reads as JSON: the text of a string, which may hold JSON, or the value as it is spelled.
pub(super) fn add_json<'a>(value: Option<&'a str>, content: &mut Content<'a>) {
    if !add_text(value, content) {
        content.texts.extend(given(value).map(Into::into));
    }
}

/// Adds a picture in base64, or one that only a provider can see.
pub(super) fn add_picture(base64: Option<&str>, low_detail: bool, content: &mut Content<'_>) {
    content.images.push(Image { size: base64.and_then(media::image_size), low_detail });
}

/// Adds the picture at a URL, which is an object with `url` and `detail`, or the URL itself.
pub(super) fn add_linked_picture<'a>(image: &'a str, detail: Option<&'a str>, content: &mut Content<'a>) {
    let [url, inner_detail] = json::pick_any(image, ["url", "detail"]);
    let url = json::text(url.unwrap_or(image)).unwrap_or_default();
    let low_detail = inner_detail.or(detail) == Some("\"low\"");
    add_picture(media::data_of_url(&url).map(|(_, data)| data), low_detail, content);
}

/// Adds sound in base64.
pub(super) fn add_sound(base64: &str, content: &mut Content<'_>) {
    content.audio_seconds = content.audio_seconds.saturating_add(media::audio_seconds(base64));
}

/// Adds a file in base64. A text file costs its text; of any other, which means PDF, the provider renders each
/// page as a picture.
pub(super) fn add_file(kind: &str, base64: &str, content: &mut Content<'_>) {
    if kind.starts_with("text/") || kind.starts_with("application/json") {
        content.texts.push(media::decoded_text(base64).into());
    } else {
        let page = Image { size: None, low_detail: false };
        content.images.extend(std::iter::repeat_n(page, media::pages(base64)));
    }
}
