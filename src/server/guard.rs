//! What is turned away before anything else looks at it, on every path.
//!
//! "localhost" is no boundary: a page in a browser can reach it by DNS rebinding or by a plain form. So the
//! Host must be ours, no request may come from a web page, and what comes must be small.

use super::App;
use super::client::family_of;
use super::rejection::Rejection;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Uri};

/// The largest header block, in bytes: four times what the largest cookies and tokens take.
const HEADERS_MAX: usize = 64 * 1024;
/// The longest URI, in bytes.
const URI_MAX: usize = 8 * 1024;

/// Names under which a gateway on this machine may always be addressed.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Lets through what may come in.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let family = family_of(request.uri().path(), request.headers());
    match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(rejection) => {
            tracing::debug!(reason = rejection.name(), "rejected");
            rejection.answer(app.gateway.metrics(), family)
        }
    }
}

fn check(app: &App, request: &Request) -> Result<(), Rejection> {
    let headers = request.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS_MAX {
        return Err(Rejection::HeadersTooLarge);
    }
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > URI_MAX) {
        return Err(Rejection::UriTooLong);
    }
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Rejection::Method);
    }
    if is_coded(headers) {
        return Err(Rejection::Compressed);
    }
    if !is_ours(request.uri(), headers, &app.settings.hosts) {
        return Err(Rejection::ForeignHost);
    }
    if is_from_web_page(headers) {
        return Err(Rejection::FromWebPage);
    }
    if app.gateway.hop().has_seen(headers) {
        return Err(Rejection::Loop);
    }
    Ok(())
}

/// Whether the body is wrapped in more than chunks. hyper takes off the chunks alone, and what is left would
/// be passed on without the word that says what it is.
fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
}

/// One Host, which is a loopback name or one that the operator has listed; the same for the authority of
/// an absolute URI. The port is not compared: a tunnel or a container may map another to ours.
fn is_ours(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let known = |host: &str| {
        LOOPBACK.iter().any(|name| host.eq_ignore_ascii_case(name))
            || hosts.iter().any(|name| host.eq_ignore_ascii_case(name))
    };
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    // A user name before the host is no part of a Host.
    let host = host.to_str().ok().filter(|host| !host.contains('@'));
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    host.is_some_and(|host| known(host.host())) && uri.host().is_none_or(known)
}

/// Browsers put an Origin on what scripts and forms send, and Sec-Fetch-Site on everything.
fn is_from_web_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    headers.contains_key(ORIGIN) || sites.any(|site| site != "none" && site != "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().expect("a test's header is valid"))
        };
        pairs.iter().map(pair).collect()
    }

    fn check(hosts: &[&'static str], uri: &'static str) -> bool {
        let mut map = HeaderMap::new();
        for host in hosts {
            map.append(HOST, host.parse().expect("a test's header is valid"));
        }
        is_ours(&Uri::from_static(uri), &map, &["gate.example".to_owned()])
    }

    #[test]
    fn only_our_own_names_are_hosts() {
        assert!(check(&["127.0.0.1:8433"], "/"));
        assert!(check(&["LocalHost"], "/"));
        assert!(check(&["[::1]:8433"], "/"));
        assert!(check(&["gate.example:80"], "/"));
        assert!(check(&["localhost"], "http://127.0.0.1:8433/v1"));
        for foreign in [
            &["evil.example"][..],
            &[],
            &["localhost", "localhost"],
            &["localhost.evil.example"],
            &["evil.example@localhost"],
            &["\u{7f}"; 0],
        ] {
            assert!(!check(foreign, "/"), "{foreign:?}");
        }
        assert!(!check(&["localhost"], "http://evil.example/v1"));
    }

    #[test]
    fn chunks_alone_are_no_coding() {
        assert!(!is_coded(&headers(&[])));
        assert!(!is_coded(&headers(&[("transfer-encoding", "Chunked")])));
        assert!(is_coded(&headers(&[("transfer-encoding", "gzip, chunked")])));
        assert!(is_coded(&headers(&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")])));
    }

    #[test]
    fn a_web_page_is_known_by_its_headers() {
        assert!(is_from_web_page(&headers(&[("origin", "null")])));
        assert!(is_from_web_page(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(is_from_web_page(&headers(&[("sec-fetch-site", "none"), ("sec-fetch-site", "same-site")])));
        assert!(!is_from_web_page(&headers(&[("sec-fetch-site", "none")])));
        assert!(!is_from_web_page(&headers(&[])));
    }
}
