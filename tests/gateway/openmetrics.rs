//! A small reader of the OpenMetrics text format, strict where a scraper may be:
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>.
//!
//! Refuses whatever it does not know, with the line at fault.

use std::collections::{BTreeMap, BTreeSet};

/// A page: every series with its value.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Name and labels as they are written, and the value.
    pub(crate) series: BTreeMap<String, f64>,
    families: BTreeMap<String, String>,
}

/// The endings of the samples of each kind of family.
fn endings(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        "gauge" => &[""],
        other => panic!("an unknown type: {other}"),
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Panics
    /// It is none.
    pub(crate) fn read(text: &str) -> Page {
        let body = text.strip_suffix("# EOF\n").expect("the page ends with its mark");
        let (mut page, mut current) = (Page::default(), String::new());
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                page.comment(comment, &mut current);
            } else {
                page.sample(line, &current);
            }
        }
        page.check_histograms();
        page
    }

    /// The value of a series; 0 if it is not there.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// The names of all families.
    pub(crate) fn families(&self) -> BTreeSet<&str> {
        self.families.keys().map(String::as_str).collect()
    }

    fn comment(&mut self, comment: &str, current: &mut String) {
        let mut words = comment.splitn(3, ' ');
        let (what, name, rest) = (words.next(), words.next().expect("a name"), words.next().expect("a text"));
        match what {
            Some("HELP") => {
                assert!(!rest.is_empty());
                assert!(!self.families.contains_key(name), "{name} stands twice");
                name.clone_into(current);
            }
            Some("TYPE") => {
                assert_eq!(name, current, "the type stands with its help");
                endings(rest);
                assert!(self.families.insert(name.to_owned(), rest.to_owned()).is_none());
            }
            other => panic!("an unknown comment: {other:?}"),
        }
    }

    fn sample(&mut self, line: &str, current: &str) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let name = series.split('{').next().expect("a name");
        let kind = self.families.get(current).unwrap_or_else(|| panic!("no type before: {line}"));
        let ending = name.strip_prefix(current).unwrap_or_else(|| panic!("not of {current}: {line}"));
        assert!(endings(kind).contains(&ending), "{line} is none of a {kind}");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            check_labels(inner.unwrap_or_else(|| panic!("odd braces: {line}")), line);
        }
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(!number.is_nan(), "{line}");
        assert!(kind == "gauge" || number >= 0.0, "{line} counts below zero");
        assert!(self.series.insert(series.to_owned(), number).is_none(), "twice: {line}");
    }

    /// Buckets only grow, and the last one is the count.
    fn check_histograms(&self) {
        for (name, kind) in &self.families {
            if kind != "histogram" {
                continue;
            }
            let prefix = format!("{name}_bucket{{");
            let mut last: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (series, value) in self.series.iter().filter(|(series, _)| series.starts_with(&prefix)) {
                let labels = &series[prefix.len()..series.len() - 1];
                let (edges, others): (Vec<&str>, Vec<&str>) =
                    labels.split(',').partition(|label| label.starts_with("le=\""));
                let edge = edges[0].trim_start_matches("le=\"").trim_end_matches('"');
                let edge = edge.parse().expect("an edge is a number or +Inf");
                last.entry(others.join(",")).or_default().push((edge, *value));
            }
            for (others, mut buckets) in last {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(
                    buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1),
                    "{name} {others}: {buckets:?}"
                );
                let labels = if others.is_empty() { String::new() } else { format!("{{{others}}}") };
                let (edge, count) = buckets[buckets.len() - 1];
                assert!(edge.is_infinite());
                assert_eq!(count, self.value(&format!("{name}_count{labels}")), "{name} {others}");
            }
        }
    }
}

/// `name="value"` again and again, with commas between; quotes, backslashes and line ends are escaped.
fn check_labels(labels: &str, line: &str) {
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("an odd label: {line}"));
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line}");
        let mut escaped = false;
        let end = value.bytes().position(|byte| {
            let is_end = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            is_end
        });
        rest = &value[end.unwrap_or_else(|| panic!("an open label: {line}")) + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}
