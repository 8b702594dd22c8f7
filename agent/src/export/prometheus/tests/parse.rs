//! A strict reader of the text formats: it panics on whatever a scraper might refuse.

use std::collections::{BTreeMap, BTreeSet};

/// A family as it stands in the text.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) unit: String,
    pub(super) samples: Vec<Sample>,
    /// By the place of their sample.
    pub(super) exemplars: BTreeMap<usize, Exemplar>,
}

pub(super) type Labels = BTreeMap<String, String>;

/// A line that is not a comment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// What stands behind a sample of OpenMetrics.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) timestamp: f64,
}

pub(super) fn families(text: &[u8], open: bool) -> Vec<Family> {
    let text = std::str::from_utf8(text).unwrap();
    let text = if open { text.strip_suffix("# EOF\n").expect("an end") } else { text };
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut families: Vec<Family> = Vec::new();
    let mut seen = BTreeSet::new();
    for line in text.split_terminator('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            let [what, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            if what == "HELP" {
                assert!(seen.insert(name.to_owned()), "{name} stands twice");
                families.push(Family {
                    name: name.to_owned(),
                    help: unescape(rest, open),
                    ..Family::default()
                });
                continue;
            }
            let family = families.last_mut().expect("HELP comes first");
            assert_eq!(family.name, name);
            assert!(family.samples.is_empty(), "{name}: a comment after its samples");
            match what {
                "TYPE" => rest.clone_into(&mut family.kind),
                "UNIT" if open => {
                    assert!(name.ends_with(&format!("_{rest}")), "{name}: unit {rest}");
                    rest.clone_into(&mut family.unit);
                }
                _ => panic!("{line}"),
            }
        } else {
            let family = families.last_mut().expect("a family");
            let (line, exemplar) =
                line.split_once(" # ").map_or((line, None), |(line, rest)| (line, Some(rest)));
            if let Some(text) = exemplar {
                assert!(open && line.contains("_bucket{"), "an exemplar: {line}");
                family.exemplars.insert(family.samples.len(), self::exemplar(text));
            }
            let sample = sample(line);
            assert!(belongs(family, &sample.name, open), "{} in {}", sample.name, family.name);
            family.samples.push(sample);
        }
    }
    families
}

fn belongs(family: &Family, name: &str, open: bool) -> bool {
    let suffix = name.strip_prefix(&family.name).expect("the family's name");
    match &*family.kind {
        "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
        "counter" if open => suffix == "_total",
        "counter" | "gauge" | "unknown" => suffix.is_empty(),
        kind => panic!("{kind}"),
    }
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a name");
    assert!(is_legacy(&line[..end]), "{line}");
    let (labels, value) = match line[end..].strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (Labels::new(), &line[end..]),
    };
    let value = value.strip_prefix(' ').expect("one space");
    assert!(!value.contains(' '), "a timestamp: {line}");
    Sample { name: line[..end].to_owned(), labels, value: value.parse().expect("a number") }
}

fn exemplar(text: &str) -> Exemplar {
    let (labels, rest) = labels(text.strip_prefix('{').expect("labels"));
    let length: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(length <= 128, "OpenMetrics allows no more: {text}");
    let (value, timestamp) =
        rest.strip_prefix(' ').expect("one space").split_once(' ').expect("a timestamp");
    Exemplar {
        labels,
        value: value.parse().expect("a number"),
        timestamp: timestamp.parse().expect("a number"),
    }
}

/// What stands between the braces, and what follows them.
fn labels(mut rest: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let name;
        (name, rest) = if rest.starts_with('"') {
            let (name, rest) = quoted(rest);
            assert!(!is_legacy(&name), "{name} needs no quotes");
            (name, rest)
        } else {
            let end = rest.find('=').expect("a label's name");
            assert!(is_legacy(&rest[..end]), "{rest}");
            (rest[..end].to_owned(), &rest[end..])
        };
        let value;
        (value, rest) = quoted(rest.strip_prefix('=').expect("="));
        assert!(!value.is_empty(), "{name} is empty");
        assert!(labels.insert(name, value).is_none(), "a label stands twice");
        match rest.as_bytes()[0] {
            b',' => rest = &rest[1..],
            b'}' => return (labels, &rest[1..]),
            _ => panic!("{rest}"),
        }
    }
}

fn quoted(text: &str) -> (String, &str) {
    let text = text.strip_prefix('"').expect("a quote");
    let mut escaped = false;
    let end = text
        .bytes()
        .position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .expect("the other quote");
    (unescape(&text[..end], true), &text[end + 1..])
}

fn unescape(text: &str, quotes: bool) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(next) = chars.next() {
        assert!(next != '"' || !quotes, "a bare quote in {text}");
        out.push(match next {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if quotes => '"',
                other => panic!("escape {other:?}"),
            },
            plain => plain,
        });
    }
    out
}

fn is_legacy(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
