//! What pictures, sound and files in a body are, as far as their first bytes tell.
//!
//! Reads headers only and never decodes a picture; never fetches anything. Whatever cannot be told is `None` or
//! a cautious guess, so hostile data costs no more than a look at its beginning.

/// Bytes of decoded data that are read of a picture. All formats but JPEG say their size within 30 bytes.
const HEADER: usize = 3 << 10;
/// JPEG puts comments, thumbnails and profiles before its size.
const JPEG_HEADER: usize = 64 << 10;
/// Bytes of a PDF that make about one page with pictures in it.
const PAGE: usize = 64 << 10;
/// The most pages that providers take in one call.
const PAGES_MAX: usize = 100;
/// Bytes a second of speech in WAV (16 kHz, 16 bits, one channel), for headers that do not tell.
const WAV_RATE: u32 = 32_000;
/// Bytes a second of compressed speech at 64 kbit/s, which is at the low end, so that seconds are not too few.
const COMPRESSED_RATE: u32 = 8_000;

/// The media type and the base64 text of a `data:` URL; `None` for any other URL.
pub(super) fn data_of_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.get(..5)?.eq_ignore_ascii_case("data:").then(|| &url[5..])?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// Width and height in pixels of a PNG, JPEG, GIF or WebP in base64.
pub(super) fn image_size(base64: &str) -> Option<(u32, u32)> {
    let head = decode(base64, HEADER);
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((big32(&head, 16)?, big32(&head, 20)?));
    }
    if head.starts_with(b"GIF8") {
        return Some((little16(&head, 6)?, little16(&head, 8)?));
    }
    if head.starts_with(b"RIFF") && head.get(8..12)? == b"WEBP" {
        return webp_size(&head);
    }
    if head.starts_with(b"\xff\xd8") {
        return jpeg_size(&decode(base64, JPEG_HEADER));
    }
    None
}

/// Seconds of sound in base64, rounded up.
pub(super) fn audio_seconds(base64: &str) -> u32 {
    let bytes = u32::try_from(decoded_length(base64)).unwrap_or(u32::MAX);
    let head = decode(base64, 32);
    let rate = if head.starts_with(b"RIFF") {
        little32(&head, 28).filter(|rate| *rate > 0).unwrap_or(WAV_RATE)
    } else {
        COMPRESSED_RATE
    };
    bytes.div_ceil(rate)
}

/// A guess at the number of pages of a PDF in base64.
pub(super) fn pages(base64: &str) -> usize {
    decoded_length(base64).div_ceil(PAGE).clamp(1, PAGES_MAX)
}

/// The text that base64 stands for, as far as it is text.
pub(super) fn decoded_text(base64: &str) -> String {
    String::from_utf8_lossy(&decode(base64, usize::MAX)).into_owned()
}

/// VP8X, VP8L and VP8, as in RFC 9649 sections 2.6 and 2.7.
fn webp_size(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8X" => Some(((little32(head, 24)? & 0xff_ffff) + 1, (little32(head, 26)? >> 8 & 0xff_ffff) + 1)),
        b"VP8L" => {
            let bits = little32(head, 21)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((little16(head, 26)? & 0x3fff, little16(head, 28)? & 0x3fff)),
        _ => None,
    }
}

/// Steps from segment to segment until the frame header (SOF0 to SOF15 without DHT, JPG and DAC).
fn jpeg_size(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *head.get(at)? != 0xff {
            return None;
        }
        match *head.get(at + 1)? {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 | 0xda => return None,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((big16(head, at + 7)?, big16(head, at + 5)?));
            }
            _ => at += 2 + usize::try_from(big16(head, at + 2)?).ok()?,
        }
    }
}

fn decoded_length(base64: &str) -> usize {
    base64.trim_end_matches('=').len().saturating_mul(3) / 4
}

/// Decodes base64, plain or for URLs, until `limit` bytes, the padding, or something that is no base64.
fn decode(base64: &str, limit: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity((base64.len() / 4 * 3 + 3).min(limit));
    let mut bits: u32 = 0;
    let mut held = 0;
    for byte in base64.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            if decoded.len() == limit {
                break;
            }
            decoded.push((bits >> held).to_le_bytes()[0]);
        }
    }
    decoded
}

fn big16(bytes: &[u8], at: usize) -> Option<u32> {
    let (pair, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*pair).into())
}

fn little16(bytes: &[u8], at: usize) -> Option<u32> {
    let (pair, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_le_bytes(*pair).into())
}

fn big32(bytes: &[u8], at: usize) -> Option<u32> {
    let (four, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_be_bytes(*four))
}

fn little32(bytes: &[u8], at: usize) -> Option<u32> {
    let (four, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

#[cfg(test)]
mod tests;
