//! Which part of the gateway a request line asks for.
//!
//! Knows paths and methods only. Invariant: whatever is passed through names a place below the provider's
//! base path, so a path that could climb out of it, in any spelling that a server may undo, is `Unknown`.

use crate::dialect::Dialect;
use http::Method;

/// What a request line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface<'a> {
    /// A call that is read, estimated and admitted.
    Call(Dialect),
    /// The list of models.
    Models,
    /// One model, by its name as it stands in the path: still percent-encoded.
    Model(&'a str),
    /// Anything else that belongs to a provider: the path below `/v1`, with its leading slash.
    Passthrough(&'a str),
    /// Nothing that tidegate knows, or nothing that it would pass on.
    Unknown,
}

/// Tells what a request asks for. `path` is the path alone, without a query.
///
/// The prefix `/v1` may be missing, or stand twice, on what tidegate serves itself: both are common mistakes
/// in a client's base URL, and neither can mean anything else.
pub fn recognise<'a>(method: &Method, path: &'a str) -> Surface<'a> {
    if !path.starts_with('/') || !is_tame(path) {
        return Surface::Unknown;
    }
    let below = below_v1(path);
    let place = below.map_or(path, |below| below_v1(below).unwrap_or(below));
    match known(place) {
        Some(surface) if *method == wanted_method(surface) => surface,
        Some(_) => Surface::Passthrough(place),
        None => below.map_or(Surface::Unknown, Surface::Passthrough),
    }
}

fn below_v1(path: &str) -> Option<&str> {
    path.strip_prefix("/v1").filter(|rest| rest.starts_with('/'))
}

fn known(place: &str) -> Option<Surface<'_>> {
    if let Some(dialect) = Dialect::ALL.into_iter().find(|dialect| dialect.path() == place) {
        return Some(Surface::Call(dialect));
    }
    let rest = place.strip_prefix("/models")?;
    match rest.strip_prefix('/') {
        Some("") => None,
        Some(id) => Some(Surface::Model(id)),
        None => rest.is_empty().then_some(Surface::Models),
    }
}

fn wanted_method(surface: Surface<'_>) -> Method {
    if matches!(surface, Surface::Call(_)) { Method::POST } else { Method::GET }
}

/// Whether no reading of the path leaves the place where it is put: no empty and no dot segment, whether the
/// dots and slashes are written plainly or percent-encoded, nor a byte that URL parsers drop or cut at.
fn is_tame(path: &str) -> bool {
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"?#\\".contains(&byte)) || path.contains("//")
    {
        return false;
    }
    // Lengths do not matter here, only whether a segment is made of dots.
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    !plain.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_prefix_means_the_same() {
        for prefix in ["", "/v1", "/v1/v1"] {
            for dialect in Dialect::ALL {
                let path = format!("{prefix}{}", dialect.path());
                assert_eq!(recognise(&Method::POST, &path), Surface::Call(dialect), "{path}");
                let other = recognise(&Method::GET, &path);
                assert_eq!(other, Surface::Passthrough(dialect.path()), "GET {path}");
            }
            assert_eq!(recognise(&Method::GET, &format!("{prefix}/models")), Surface::Models);
            let one = format!("{prefix}/models/openai%2Fgpt-4o");
            assert_eq!(recognise(&Method::GET, &one), Surface::Model("openai%2Fgpt-4o"));
            let slashed = format!("{prefix}/models/org/name");
            assert_eq!(recognise(&Method::GET, &slashed), Surface::Model("org/name"));
            let delete = recognise(&Method::DELETE, &one);
            assert_eq!(delete, Surface::Passthrough("/models/openai%2Fgpt-4o"));
        }
    }

    #[test]
    fn the_rest_of_v1_passes_through_and_nothing_else_does() {
        for (path, below) in [
            ("/v1/files", "/files"),
            ("/v1/files/f-1/content", "/files/f-1/content"),
            ("/v1/responses", "/responses"),
            ("/v1/", "/"),
            ("/v1/models/", "/models/"),
            ("/v1/chat/completions/x", "/chat/completions/x"),
            ("/v1/v1/files", "/v1/files"),
            ("/v1/a..b/...", "/a..b/..."),
        ] {
            assert_eq!(recognise(&Method::GET, path), Surface::Passthrough(below), "{path}");
        }
        for path in ["", "/", "*", "v1/files", "/v1", "/v2/files", "/files", "/modelsx", "/v1x/files"] {
            assert_eq!(recognise(&Method::GET, path), Surface::Unknown, "{path}");
        }
    }

    #[test]
    fn nothing_climbs_out_of_the_base_path() {
        for path in [
            "/v1/../admin",
            "/v1/..",
            "/v1/./files",
            "/v1/files/%2e%2e/%2E%2E/admin",
            "/v1/.%2e/admin",
            "/v1/files%2f..%2fadmin",
            "/v1/files%5c..%5Cadmin",
            "/v1/files\\..\\admin",
            "/v1//files",
            "//v1/files",
            "/v1/models/../x",
            "/v1/.\t./admin",
            "/v1/files?x",
            "/v1/files#x",
        ] {
            assert_eq!(recognise(&Method::GET, path), Surface::Unknown, "{path}");
        }
    }
}
