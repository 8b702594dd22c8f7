//! A page of metrics as a scraper sees it: parsed strictly, so that a page no scraper would take fails
//! the test that asked for it.

use std::collections::{BTreeMap, HashSet};

/// One line of the page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Name of the series.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value.
    pub(crate) value: f64,
}

/// All samples of one scrape, no two of the same name and labels.
#[derive(Clone, Debug)]
pub(crate) struct Page(Vec<Sample>);

impl Page {
    /// Reads the Prometheus text format.
    ///
    /// # Panics
    /// When a line is not of that format, or a series is there twice.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples: Vec<_> = lines
            .map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}")))
            .collect();
        let mut seen = HashSet::new();
        for sample in &samples {
            assert!(seen.insert((&sample.name, &sample.labels)), "twice on one page: {sample:?}");
        }
        Self(samples)
    }

    /// The samples whose labels include all of `labels`.
    pub(crate) fn samples<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// All samples whose labels include all of `labels`, whatever their name.
    pub(crate) fn all<'a>(
        &'a self,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.has(labels))
    }

    /// The value of the one sample that fits; `None` when there is none.
    ///
    /// # Panics
    /// When several fit.
    #[must_use]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.samples(name, labels).collect();
        assert!(found.len() <= 1, "{name} {labels:?} is ambiguous: {found:?}");
        found.first().map(|sample| sample.value)
    }
}

impl Sample {
    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(key, value)| self.labels.get(*key).is_some_and(|have| have == value))
    }
}

/// `name{key="value",…} number`, without a timestamp: this project sends none.
fn sample(line: &str) -> Option<Sample> {
    let (name, labels, value) = if let Some((name, rest)) = line.split_once('{') {
        let (labels, value) = labels(rest)?;
        (name, labels, value)
    } else {
        let (name, value) = line.split_once(' ')?;
        (name, BTreeMap::new(), value)
    };
    let value = value.trim_start().parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// What stands behind `{`, and what is left behind `}`.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        if labels.insert(key.to_owned(), value).is_some() {
            return None;
        }
        rest = after[end..].strip_prefix(',').unwrap_or(&after[end..]);
    }
    Some((labels, &rest[1..]))
}
