//! Mistakes as people read them: the line, a caret, and what to write instead.
//!
//! Draws from the masked source alone, so that no rendering can show a secret.

use super::mistake::{Mistake, Mistakes, how_many};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;

/// The most mistakes that are drawn. Each drawing reads the source from its start; a hostile file could
/// hold hundreds of thousands, and nobody reads past the first screens.
const DRAWN_MAX: usize = 100;

/// The width that help texts are wrapped to. Fixed, so that a log and a terminal show the same.
const WIDTH: usize = 100;

impl Mistakes {
    /// Every mistake with its line and a caret, and their number at the end. Colours only if asked for.
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(WIDTH);
        let source = NamedSource::new(self.file(), self.masked().to_owned());
        let mut report = String::new();
        for mistake in self.iter().take(DRAWN_MAX) {
            let mut drawn = String::new();
            if handler.render_report(&mut drawn, &Drawing { mistake, source: &source }).is_err() {
                drawn = format!("{}: {}\nhelp: {}", self.file(), mistake.wrong, mistake.instead);
            }
            report.extend(drawn.trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]));
            report.push('\n');
        }
        if self.count() > DRAWN_MAX {
            report.push_str(&format!("The first {DRAWN_MAX} are shown. "));
        }
        report.push_str(&format!("{} in {}\n", how_many(self.count()), self.file()));
        report
    }
}

/// A mistake beside its source, as the drawing library wants it.
struct Drawing<'a> {
    mistake: &'a Mistake,
    source: &'a NamedSource<String>,
}

impl Diagnostic for Drawing<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.mistake.instead))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = if self.mistake.key.is_empty() { None } else { Some(self.mistake.key.clone()) };
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, self.mistake.span.clone()))))
    }
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mistake.wrong)
    }
}

impl fmt::Debug for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.mistake, f)
    }
}

impl std::error::Error for Drawing<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(count: usize) -> Mistakes {
        let text = "[server]\nworkers = -1\n".to_owned() + &"#\n".repeat(count);
        let list = (0..count).map(|nth| Mistake {
            span: 9 + nth..16 + nth,
            key: "server.workers".to_owned(),
            wrong: "must not be negative".to_owned(),
            instead: "write `workers = 0`".to_owned(),
        });
        Mistakes::new("a.toml", &text, list.collect())
    }

    #[test]
    fn a_report_shows_file_line_column_caret_and_remedy() {
        let report = mistakes(1).render(false);
        for part in
            ["a.toml:2:1", "workers = -1", "must not be negative", "help: write", "\n1 mistake in a.toml"]
        {
            assert!(report.contains(part), "{part} in\n{report}");
        }
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(!mistakes(1).render(false).contains('\u{1b}'));
        assert!(mistakes(1).render(true).contains('\u{1b}'));
    }

    #[test]
    fn a_flood_of_mistakes_is_counted_but_not_all_drawn() {
        let report = mistakes(DRAWN_MAX + 1).render(false);
        assert_eq!(report.matches("must not be negative").count(), DRAWN_MAX);
        assert!(report.contains("101 mistakes"));
    }
}
