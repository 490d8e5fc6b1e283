//! Headers as cameras and browsers write them, and as nobody should.

use super::*;

fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let index = usize::try_from(word >> (18 - 6 * place) & 63).unwrap();
            text.push(if place > u32::try_from(chunk.len()).unwrap() {
                '='
            } else {
                char::from(ALPHABET[index])
            });
        }
    }
    text
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes
}

fn jpeg(padding: u16) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe1".to_vec();
    bytes.extend((padding + 2).to_be_bytes());
    bytes.extend(std::iter::repeat_n(0xc0, padding.into()));
    bytes.extend(b"\xff\xff\xc2\0\x11\x08\x03\x00\x04\x00\x03");
    bytes
}

fn webp(chunk: &[u8]) -> Vec<u8> {
    [b"RIFF\0\0\0\0WEBP".as_slice(), chunk].concat()
}

#[test]
fn base64_reads_back_what_was_written() {
    for length in 0..70 {
        let bytes: Vec<u8> = (0u8..length).map(|i| i.wrapping_mul(37)).collect();
        assert_eq!(decode(&encode(&bytes), usize::MAX), bytes);
        assert_eq!(decode(&encode(&bytes), 5), bytes[..bytes.len().min(5)]);
    }
    assert_eq!(decode("_-\n8=ignored", 9), decode("/+8", 9));
}

#[test]
fn sizes_are_read_from_every_format() {
    for (bytes, size) in [
        (png(1920, 1080), (1920, 1080)),
        (b"GIF89a\x20\x03\x58\x02".to_vec(), (800, 600)),
        (jpeg(0), (1024, 768)),
        (jpeg(60_000), (1024, 768)),
        (webp(b"VP8X\0\0\0\0\x10\0\0\0\x7f\x02\0\xdf\x01\0"), (640, 480)),
        (webp(b"VP8L\0\0\0\0\x2f\x7f\xc2\x77\0"), (640, 480)),
        (webp(b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01"), (640, 480)),
    ] {
        assert_eq!(image_size(&encode(&bytes)), Some(size), "{:?}", &bytes[..12.min(bytes.len())]);
    }
}

#[test]
fn what_is_cut_or_no_picture_has_no_size() {
    for whole in [
        png(3, 4),
        jpeg(9),
        webp(b"VP8X\0\0\0\0\x10\0\0\0\x7f\x02\0\xdf\x01\0"),
        b"GIF89a\x01\0\x01\0".to_vec(),
    ] {
        for cut in 0..whole.len() - 1 {
            let size = image_size(&encode(&whole[..cut]));
            assert!(size.is_none() || whole.starts_with(b"\xff\xd8"), "{cut} of {whole:?}");
        }
    }
    for text in ["", "!!", "AAAA", "\u{e9}", "/9j/", "/9j/2Q=="] {
        assert_eq!(image_size(text), None, "{text}");
    }
    // A thumbnail that is longer than what is read hides the size.
    let mut long = jpeg(65_000);
    long.splice(2..2, jpeg(65_000)[2..65_004].to_vec());
    assert_eq!(image_size(&encode(&long)), None);
}

#[test]
fn data_urls_are_told_from_others() {
    assert_eq!(data_of_url("data:image/png;base64,AAAA"), Some(("image/png", "AAAA")));
    assert_eq!(data_of_url("DATA:;base64,"), Some(("", "")));
    for url in ["https://x/y,z", "data:text/plain,hello", "data", "dat\u{e9}:;base64,", ""] {
        assert_eq!(data_of_url(url), None, "{url}");
    }
}

#[test]
fn sound_lasts_as_long_as_its_header_says() {
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0".to_vec();
    wav.resize(16_000 * 10, 0);
    assert_eq!(audio_seconds(&encode(&wav)), 10);
    assert_eq!(audio_seconds(&encode(&[1; 8_001])), 2);
    assert_eq!(audio_seconds(""), 0);
}
