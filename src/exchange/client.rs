//! Whose call it is, for a fair queue: who pays, and which of its programs asks.
//!
//! Two levels. The payer is the credential that came with the call; the flow, within it, is one session, user or
//! machine. Both leave here as hashes under a salt of this installation, because a key is a secret and a user's name
//! is personal: nobody who reads a log can try names against it. Refuses to know whether anybody may do anything.
//! Invariant: the same words under the same salt give the same id, over restarts too.

use crate::admission::Share;
use crate::upstream::credential_in_query;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

/// The header with which a program names itself. What it says counts before everything that is guessed.
const NAME: &str = "x-tidegate-client";

/// The headers in which agents name their session: Claude Code's, then Codex's in its spellings over time, then
/// what others use. A sub-agent's own id (`x-claude-code-agent-id`) is none of them: it works for its session.
const SESSIONS: [&str; 5] =
    ["x-claude-code-session-id", "session_id", "session-id", "conversation_id", "x-session-id"];

/// The headers that carry a bare key.
const KEYS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The most of a name that is looked at, in bytes. Session ids have 36.
const NAME_MAX: usize = 512;

/// The most of a credential that is looked at, in bytes: tokens that hold claims have a few KiB.
const KEY_MAX: usize = 16 * 1024;

/// The weight of a client that no weight names, in thousandths.
pub(super) const USUAL_WEIGHT: u32 = 1_000;

/// What the hashes of one installation have in common, and no other has.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salt([u64; 2]);

impl Salt {
    /// A new one, from the randomness that the standard library takes from the system for its maps.
    pub(super) fn random() -> Salt {
        Salt([0, 1].map(|part: u64| RandomState::new().hash_one(part)))
    }

    /// The id of these words, as a thing of this kind within `payer`.
    fn id(self, kind: Kind, payer: u64, words: &[u8]) -> u64 {
        #[expect(deprecated, reason = "the hasher that takes its place may change with the compiler")]
        let mut hasher = std::hash::SipHasher::new_with_keys(self.0[0], self.0[1]);
        hasher.write(kind.name().as_bytes());
        hasher.write(&[0]);
        hasher.write(&payer.to_le_bytes());
        hasher.write(words);
        hasher.finish()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(redacted)")
    }
}

/// By what a client is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Client,
    Session,
    User,
    Key,
    Address,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Session => "session",
            Kind::User => "user",
            Kind::Key => "key",
            Kind::Address => "address",
        }
    }
}

/// What tells who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) query: Option<&'a str>,
    /// For whom the body says that it asks.
    pub(super) user: Option<&'a str>,
    /// `None` where a Unix socket was used.
    pub(super) peer: Option<IpAddr>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The credential's id, if there was one.
    key: Option<u64>,
    kind: Kind,
    id: u64,
    /// Shown as it is; of all the rest only a part of the hash is.
    address: Option<IpAddr>,
    weight: u32,
}

impl Client {
    pub(super) fn of(signs: Signs<'_>, salt: Salt, weights: &BTreeMap<String, u32>) -> Client {
        let key = credential(signs.headers, signs.query).map(|key| salt.id(Kind::Key, 0, cut(key, KEY_MAX)));
        let address = signs.peer.map(|peer| peer.to_canonical());
        let shown_address = address.map(|address| address.to_string());
        let named = [
            (Kind::Client, header(signs.headers, NAME)),
            (Kind::Session, SESSIONS.iter().find_map(|name| header(signs.headers, name))),
            (Kind::User, signs.user.map(str::as_bytes)),
            (Kind::Address, shown_address.as_deref().map(str::as_bytes)),
        ];
        let named = || named.iter().filter_map(|(kind, words)| Some((*kind, cut((*words)?, NAME_MAX))));
        // Without a name and without an address it is whoever has the key.
        let (kind, words) = named().next().unwrap_or((Kind::Key, &[]));
        let weigh = |words: &[u8]| weights.get(std::str::from_utf8(words).ok()?).copied();
        let weight = named().find_map(|(_, words)| weigh(words)).unwrap_or(USUAL_WEIGHT);
        let id = salt.id(kind, key.unwrap_or_default(), words);
        Client { key, kind, id, address, weight }
    }

    /// What the desk needs to know.
    pub(super) fn share(&self) -> Share {
        Share { payer: self.key.unwrap_or_default(), flow: self.id, weight: self.weight }
    }

    /// The weight, where it is not the usual one.
    pub(super) fn unusual_weight(&self) -> Option<u32> {
        (self.weight != USUAL_WEIGHT).then_some(self.weight)
    }

    /// How logs and stories call the credential.
    pub(super) fn key(&self) -> Option<String> {
        self.key.map(|key| shown(Kind::Key, key))
    }
}

/// How logs and stories call the client.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.address, self.key) {
            (Kind::Address, Some(address), _) => write!(f, "address:{address}"),
            (Kind::Key, _, Some(key)) => f.write_str(&shown(Kind::Key, key)),
            (Kind::Key, _, None) => f.write_str("local"),
            (kind, ..) => f.write_str(&shown(kind, self.id)),
        }
    }
}

/// Enough of a hash to tell the clients of a day apart.
fn shown(kind: Kind, id: u64) -> String {
    format!("{}:{:08x}", kind.name(), id >> 32)
}

/// The credential that came with a request. One key is one client, whichever header carries it.
fn credential<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a [u8]> {
    let bearer = header(headers, AUTHORIZATION.as_str()).map(|value| match value.split_at_checked(6) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer") => key.trim_ascii(),
        _ => value,
    });
    let bare = || KEYS.iter().find_map(|name| header(headers, name));
    let in_query = || credential_in_query(query?).map(str::as_bytes);
    bearer.filter(|key| !key.is_empty()).or_else(bare).or_else(in_query)
}

/// What a header says, if it says anything.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.get(name).map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty())
}

fn cut(words: &[u8], max: usize) -> &[u8] {
    &words[..words.len().min(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const SALT: Salt = Salt([1, 2]);
    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().expect("a test's name is valid");
            (name, HeaderValue::from_str(value).expect("a test's value is valid"))
        };
        pairs.iter().map(pair).collect()
    }

    fn client(pairs: &[(&str, &str)], user: Option<&str>) -> Client {
        let headers = headers(pairs);
        let signs = Signs { headers: &headers, query: None, user, peer: Some(PEER) };
        Client::of(signs, SALT, &BTreeMap::new())
    }

    fn kind(pairs: &[(&str, &str)], user: Option<&str>) -> String {
        let label = client(pairs, user).to_string();
        label.split(':').next().expect("split gives something").to_owned()
    }

    #[test]
    fn the_first_that_tells_the_most_names_the_client() {
        let mut pairs = vec![("x-tidegate-client", "nightly"), ("session_id", "s"), ("x-api-key", "k")];
        assert_eq!(kind(&pairs, Some("u")), "client");
        pairs.remove(0);
        assert_eq!(kind(&pairs, Some("u")), "session");
        pairs.remove(0);
        assert_eq!(kind(&pairs, Some("u")), "user");
        assert_eq!(client(&pairs, None).to_string(), "address:127.0.0.1");
        assert_eq!(kind(&[("session_id", " ")], None), "address", "nothing said is nothing");
        for name in SESSIONS {
            assert_eq!(client(&[(name, "s")], None), client(&[("session-id", "s")], None), "{name}");
        }
    }

    #[test]
    fn an_agent_of_a_session_is_its_session() {
        let session = ("x-claude-code-session-id", "s");
        let agent = client(&[session, ("x-claude-code-agent-id", "a")], Some("user_account_session"));
        assert_eq!(agent, client(&[session], None));
    }

    #[test]
    fn one_key_is_one_payer_whichever_way_it_comes() {
        let payer = |pairs: &[(&str, &str)], query: Option<&str>| {
            let headers = headers(pairs);
            let signs = Signs { headers: &headers, query, user: None, peer: Some(PEER) };
            Client::of(signs, SALT, &BTreeMap::new()).share().payer
        };
        let bearer = payer(&[("authorization", "Bearer sk-1")], None);
        assert_ne!(bearer, 0);
        for name in KEYS {
            assert_eq!(payer(&[(name, "sk-1")], None), bearer, "{name}");
        }
        assert_eq!(payer(&[("authorization", "bearer  sk-1")], Some("key=other")), bearer);
        assert_eq!(payer(&[], Some("alt=sse&key=sk-1")), bearer);
        assert_ne!(payer(&[], Some("key=sk-2")), bearer);
        assert_eq!(payer(&[("authorization", "Bearer ")], None), 0);
        assert_eq!(payer(&[], Some("alt=sse")), 0);
    }

    #[test]
    fn the_same_session_under_two_keys_is_two_flows_and_names_of_two_kinds_are_two() {
        let flow = |pairs: &[(&str, &str)], user| client(pairs, user).share().flow;
        let first = flow(&[("session_id", "s"), ("x-api-key", "a")], None);
        assert_ne!(first, flow(&[("session_id", "s"), ("x-api-key", "b")], None));
        assert_ne!(flow(&[("session_id", "s")], None), flow(&[], Some("s")));
    }

    #[test]
    fn without_an_address_it_is_known_by_its_key() {
        let label = |headers: &HeaderMap| {
            let signs = Signs { headers, query: None, user: None, peer: None };
            Client::of(signs, SALT, &BTreeMap::new()).to_string()
        };
        assert_eq!(label(&HeaderMap::new()), "local");
        assert!(label(&headers(&[("x-api-key", "canary")])).starts_with("key:"));
        let mapped: IpAddr = "::ffff:10.0.0.7".parse().expect("an address");
        let signs = Signs { headers: &HeaderMap::new(), query: None, user: None, peer: Some(mapped) };
        assert_eq!(Client::of(signs, SALT, &BTreeMap::new()).to_string(), "address:10.0.0.7");
    }

    #[test]
    fn a_weight_is_given_to_whatever_it_names() {
        let weights = BTreeMap::from([("ann".to_owned(), 2_000), ("127.0.0.1".to_owned(), 500)]);
        let weight = |pairs: &[(&str, &str)], user| {
            let headers = headers(pairs);
            let signs = Signs { headers: &headers, query: None, user, peer: Some(PEER) };
            Client::of(signs, SALT, &weights).share().weight
        };
        assert_eq!(weight(&[("x-tidegate-client", "ann")], None), 2_000);
        assert_eq!(weight(&[("session_id", "s")], Some("ann")), 2_000);
        assert_eq!(weight(&[("session_id", "s")], Some("bob")), 500, "all that comes from this machine");
        let headers = headers(&[("session_id", "ann2")]);
        let signs = Signs { headers: &headers, query: None, user: None, peer: None };
        assert_eq!(Client::of(signs, SALT, &weights).share().weight, USUAL_WEIGHT);
    }

    #[test]
    fn an_id_outlives_the_process_and_means_nothing_in_another_installation() {
        let saved = serde_json::to_string(&SALT).expect("numbers");
        let restored: Salt = serde_json::from_str(&saved).expect("as written");
        assert_eq!(restored.id(Kind::User, 0, b"ann"), 0x3983_0b5f_c4a4_d0b6, "saved ids stay what they are");
        assert_ne!(Salt::random().id(Kind::User, 0, b"ann"), Salt::random().id(Kind::User, 0, b"ann"));
        assert_eq!(format!("{SALT:?}"), "Salt(redacted)");
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_says_is_shown_or_makes_it_panic(
            words in "canary[ -~é]{0,40}",
            query in "[ -~]{0,20}",
            which in 0..KEYS.len() + SESSIONS.len() + 2,
        ) {
            let names = [&KEYS[..], &SESSIONS[..], &[NAME, "authorization"]].concat();
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static(names[which]),
                HeaderValue::from_bytes(words.as_bytes()).expect("printable"),
            );
            let signs = Signs { headers: &headers, query: Some(&query), user: Some(&words), peer: None };
            let client = Client::of(signs, SALT, &BTreeMap::new());
            let shown = format!("{client} {client:?} {:?}", client.key());
            prop_assert!(!shown.contains("canary"));
        }
    }
}
