//! A small hash that everybody can compute: FNV-1a, 64 bits, and a number mixer for deterministic content.
//!
//! Neither is for security: they tell equal from unequal in tests, and make the same text from the same question.

/// FNV-1a, fed in pieces. Constants from <http://www.isthe.com/chongo/tech/comp/fnv/>.
#[derive(Clone, Copy)]
pub(super) struct Fnv(u64);

impl Fnv {
    pub(super) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn finish(self) -> u64 {
        self.0
    }
}

/// The FNV-1a hash of all the bytes.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.feed(bytes);
    hash.finish()
}

/// A body's hash as the simulator reports it: sixteen hexadecimal digits of FNV-1a.
pub fn fingerprint(bytes: &[u8]) -> String {
    show(fnv(bytes))
}

pub(super) fn show(hash: u64) -> String {
    format!("{hash:016x}")
}

/// What the simulator shows of an `authorization` header: its scheme and 32 bits of the hash of the rest, as in
/// `Bearer #1f3a90c2`. Enough to tell which key arrived, too little to use it.
pub fn redact(value: &str) -> String {
    let (scheme, key) = value.split_once(' ').unwrap_or(("", value));
    let short = fnv(key.trim().as_bytes()) >> 32;
    format!("{scheme} #{short:08x}").trim_start().to_owned()
}

/// One step of splitmix64: numbers that look random and are the same on every machine.
pub(super) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut hash = Fnv::new();
        hash.feed(b"foo");
        hash.feed(b"bar");
        assert_eq!(hash.finish(), fnv(b"foobar"));
    }

    #[test]
    fn a_redacted_key_keeps_its_scheme_and_tells_keys_apart() {
        assert!(redact("Bearer sk-1").starts_with("Bearer #"));
        assert!(!redact("Bearer sk-1").contains("sk-1"));
        assert_ne!(redact("Bearer sk-1"), redact("Bearer sk-2"));
        assert_eq!(redact("sk-1").len(), 9);
    }
}
