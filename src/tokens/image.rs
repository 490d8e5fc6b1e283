//! What a picture costs, by formula.
//!
//! Knows sizes in pixels, never the picture, and never fetches one: where the size is unknown the
//! rule's own cap stands in. Whole numbers throughout, saturating, so that no claimed size overflows.

use crate::units::Tokens;
use crate::wire::Image;

/// How a family of models charges for pictures. The figures of each family stand in `family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageRule {
    /// OpenAI, older models: shrunk into 2,048 px, then to 768 px on the short side, then a price a
    /// 512 px tile and one for the whole; low detail is that one alone. Unknown: 8 tiles, the most.
    Tiles { base: u64, tile: u64 },
    /// OpenAI, newer models: shrunk into `edge`, a price a 32 px patch, shrunk until it has no more
    /// than `budget` of them. Low detail: into 512 px. Unknown: 1,536 patches, the budget of most.
    Patches { budget: u64, edge: u64, permille: u64 },
    /// Anthropic: a token a 28 px cell, at the largest size with both edges in `edge` and the cells in
    /// `tokens`. There is no low detail. Unknown: `tokens`.
    Grid { edge: u64, tokens: u64 },
    /// Google up to Gemini 2.5: 258 up to 384 px square, else 258 a 768 px square, at 3,072 px at most.
    /// Unknown: 3,000, which Google's own client assumes.
    Squares,
    /// Google since Gemini 3: by the resolution asked for, not by size.
    Resolution { low: u64, default: u64 },
}

/// The most tiles that a picture can have: 2,048 by 768.
const TILES_MAX: u64 = 8;
const PATCHES_UNKNOWN: u64 = 1536;
const SQUARE_TOKENS: u64 = 258;
const SQUARES_UNKNOWN_TOKENS: u64 = 3000;

impl ImageRule {
    /// The tokens of one picture.
    pub(super) fn tokens(self, image: &Image) -> Tokens {
        let size = image.size.map(|(width, height)| Size::new(width, height));
        Tokens(match self {
            ImageRule::Tiles { base, .. } if image.low_detail => base,
            ImageRule::Tiles { base, tile } => {
                base + tile * size.map_or(TILES_MAX, |size| size.fit(2048).short_side_to(768).cells(512))
            }
            ImageRule::Patches { budget, edge, permille } => {
                let edge = if image.low_detail { 512 } else { edge };
                let unknown = PATCHES_UNKNOWN.min((edge / 32).saturating_mul(edge / 32));
                let patches = size.map_or(unknown, |size| patches(size.fit(edge), budget));
                patches.min(budget).saturating_mul(permille).div_ceil(1000)
            }
            ImageRule::Grid { edge, tokens } => size.map_or(tokens, |size| grid(size, edge / 28, tokens)),
            ImageRule::Squares => size.map_or(SQUARES_UNKNOWN_TOKENS, squares),
            ImageRule::Resolution { low, .. } if image.low_detail => low,
            ImageRule::Resolution { default, .. } => default,
        })
    }
}

/// Width and height in pixels, both at least 1 and below 2^32, so that products fit.
#[derive(Clone, Copy)]
struct Size {
    width: u64,
    height: u64,
}

impl Size {
    fn new(width: u32, height: u32) -> Size {
        Size { width: u64::from(width.max(1)), height: u64::from(height.max(1)) }
    }

    /// Shrunk, if need be, so that neither side is longer than `edge`.
    fn fit(self, edge: u64) -> Size {
        let long = self.width.max(self.height);
        if long <= edge { self } else { self.scaled(edge, long) }
    }

    /// Shrunk, if need be, so that the shorter side is no longer than `edge`.
    fn short_side_to(self, edge: u64) -> Size {
        let short = self.width.min(self.height);
        if short <= edge { self } else { self.scaled(edge, short) }
    }

    fn scaled(self, by: u64, of: u64) -> Size {
        Size { width: (self.width * by / of).max(1), height: (self.height * by / of).max(1) }
    }

    fn cells(self, side: u64) -> u64 {
        self.width.div_ceil(side).saturating_mul(self.height.div_ceil(side))
    }
}

/// Patches of 32 px. Over budget the picture shrinks by the square root of the excess, and then a
/// little more, until its width or its height is a whole number of patches.
fn patches(size: Size, budget: u64) -> u64 {
    let Size { width, height } = size;
    let cells = size.cells(32);
    if cells <= budget {
        return cells;
    }
    let columns = (budget * width / height).isqrt().max(1);
    let rows = (budget * height / width).isqrt().max(1);
    if columns * height <= rows * width {
        columns * (columns * height).div_ceil(width)
    } else {
        rows * (rows * width).div_ceil(height)
    }
}

/// Cells of 28 px at the largest size that has at most `edge` cells a side and `tokens` in all. As a
/// picture of this shape grows, it passes through a staircase of columns and rows; the last step within
/// bounds is the answer.
fn grid(size: Size, edge: u64, tokens: u64) -> u64 {
    let Size { width, height } = size;
    let (columns, rows) = (width.div_ceil(28), height.div_ceil(28));
    if columns <= edge && rows <= edge && columns * rows <= tokens {
        return columns * rows;
    }
    let mut most = 1;
    for columns in 1..=edge {
        let first = (columns - 1) * height / width + 1;
        let last = (columns * height).div_ceil(width).min(edge);
        for rows in first..=last {
            if columns * rows <= tokens {
                most = most.max(columns * rows);
            }
        }
    }
    most
}

fn squares(size: Size) -> u64 {
    if size.width <= 384 && size.height <= 384 {
        return SQUARE_TOKENS;
    }
    SQUARE_TOKENS * size.fit(3072).cells(768)
}

#[cfg(test)]
mod tests {
    use crate::tokens::family::Family;
    use crate::units::Tokens;
    use crate::wire::Image;

    fn check(model: &str, size: (u32, u32), tokens: u64) {
        let image = Image { size: Some(size), low_detail: false };
        assert_eq!(Family::of_model(model).image.tokens(&image), Tokens(tokens), "{model} {size:?}");
    }

    fn unknown(model: &str, low_detail: bool) -> u64 {
        Family::of_model(model).image.tokens(&Image { size: None, low_detail }).0
    }

    #[test]
    fn tiles_follow_the_examples_of_openais_guide() {
        check("gpt-4o", (1024, 1024), 765);
        check("gpt-4o", (2048, 4096), 1105);
        check("gpt-4o", (4096, 8192), 1105);
        check("gpt-4o", (512, 512), 255);
        check("gpt-4o-mini", (1024, 1024), 2833 + 4 * 5667);
        check("gpt-5", (1024, 1024), 70 + 4 * 140);
        check("o3", (1024, 1024), 75 + 4 * 150);
        assert_eq!(unknown("gpt-4o", true), 85);
        assert_eq!(unknown("gpt-4o", false), 1445);
    }

    #[test]
    fn patches_follow_the_examples_of_openais_guide() {
        check("gpt-5.2", (1024, 1024), 1024);
        check("gpt-5.2", (1800, 2400), 1452);
        check("gpt-5-mini", (1024, 1024), 1659);
        check("o4-mini", (1024, 1024), 1762);
        check("gpt-5.5", (3200, 3200), 10_000);
        check("gpt-5.6", (3200, 6400), 24_000);
        assert_eq!(unknown("gpt-5-nano", false), 3779);
        assert_eq!(unknown("gpt-5.2", true), 256);
    }

    #[test]
    fn cells_follow_the_examples_of_anthropics_guide() {
        check("claude-sonnet-4-5", (1000, 1000), 1296);
        check("claude-sonnet-4-5", (1920, 1080), 1560);
        check("claude-sonnet-4-5", (3840, 2160), 1560);
        check("claude-opus-4-7", (1000, 1000), 1296);
        check("claude-opus-4-7", (1920, 1080), 2691);
        check("claude-opus-4-7", (3840, 2160), 4784);
        assert_eq!(unknown("claude-sonnet-4-5", false), 1568);
        assert_eq!(unknown("claude-opus-5", true), 4784);
    }

    #[test]
    fn gemini_counts_squares_or_a_resolution() {
        check("gemini-2.5-pro", (384, 384), 258);
        check("gemini-2.5-pro", (385, 384), 258);
        check("gemini-2.5-pro", (1536, 1536), 4 * 258);
        check("gemini-2.5-pro", (60_000, 60_000), 16 * 258);
        assert_eq!(unknown("gemini-2.5-pro", false), 3000);
        check("gemini-3-pro", (60_000, 60_000), 1120);
        assert_eq!(unknown("gemini-3-pro", true), 280);
    }

    #[test]
    fn every_claimed_size_has_a_price_within_the_rules_bound() {
        let sides = [0, 1, 2, 27, 28, 29, 511, 512, 513, 768, 1568, 2048, 65_535, u32::MAX - 1, u32::MAX];
        for (model, most) in [
            ("gpt-4o", 1445),
            ("gpt-5.2", 1536),
            ("gpt-5.4", 2500),
            ("gpt-5.6", 1_200_000),
            ("claude-sonnet-4-5", 1568),
            ("claude-opus-5", 4784),
            ("gemini-2.5-pro", 16 * 258),
        ] {
            for width in sides {
                for height in sides {
                    let image = Image { size: Some((width, height)), low_detail: false };
                    let tokens = Family::of_model(model).image.tokens(&image).0;
                    assert!((1..=most).contains(&tokens), "{model} {width}x{height}: {tokens}");
                }
            }
        }
    }
}
