//! Text for prompts, made up from a seed.

/// English-like text of this many bytes that does not repeat, so that no cache of pieces flatters.
pub(crate) fn prose(bytes: usize, seed: u64) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "wonder",
        "of",
        "gateways",
        "and",
        "is",
        "unhurriedly",
        "told",
        "it",
        "waits",
        "cannot",
        "when",
        "tides",
        "return",
        "a",
        "harbour",
        "full",
        "with",
        "boats",
        "that",
        "carry",
        "letters",
        "between",
        "towns",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(WORDS[random.usize(..WORDS.len())]);
        text.push_str(if random.u8(..) < 20 { ". " } else { " " });
    }
    text.truncate(bytes);
    text
}
