//! A page of metrics in the text format, read strictly: whatever a scraper might stumble over is a fault.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Instant, SystemTime};

/// Labels of a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// One series with its value.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Name, with the suffix if it is part of a histogram.
    pub(crate) name: String,
    /// All its labels.
    pub(crate) labels: Labels,
    /// The value.
    pub(crate) value: f64,
    /// The time that stands beside it, in Unix seconds. Podmeter sends none.
    pub(crate) time: Option<f64>,
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// When it was asked for, where that matters.
    pub(crate) asked: Instant,
    /// When it was read.
    pub(crate) at: Instant,
    /// The same in Unix seconds.
    pub(crate) unix: f64,
    /// Every series, in the order of the page.
    pub(crate) series: Vec<Series>,
    /// The type of each family.
    pub(crate) kinds: HashMap<String, String>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Series {
    /// A label's value; empty when there is no such label, as Prometheus has it.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == *value)
    }
}

impl Page {
    /// Reads a page of Podmeter's: the rules of the format, and no times.
    pub(crate) fn strict(text: &str) -> Result<Self, String> {
        let page = Self::read(text)?;
        match page.series.iter().find(|series| series.time.is_some()) {
            Some(series) => Err(format!("{} has a time beside it", series.name)),
            None => Ok(page),
        }
    }

    /// Reads a page.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader::default();
        if !text.ends_with('\n') {
            return Err("the page is cut off".to_owned());
        }
        for (at, line) in text.lines().enumerate() {
            reader.line(line).map_err(|fault| format!("line {}: {fault}: {line}", at + 1))?;
        }
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, series) in reader.series.iter().enumerate() {
            by_name.entry(series.name.clone()).or_default().push(at);
        }
        let unix = SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970").as_secs_f64();
        let at = Instant::now();
        Ok(Self { asked: at, at, unix, series: reader.series, kinds: reader.kinds, by_name })
    }

    /// The same page with only those series.
    pub(crate) fn only(&self, wanted: impl Fn(&Series) -> bool) -> Self {
        let series: Vec<_> = self.series.iter().filter(|series| wanted(series)).cloned().collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, series) in series.iter().enumerate() {
            by_name.entry(series.name.clone()).or_default().push(at);
        }
        Self {
            asked: self.asked,
            at: self.at,
            unix: self.unix,
            series,
            kinds: HashMap::new(),
            by_name,
        }
    }

    /// The series of this name that have these labels.
    pub(crate) fn all<'s, 'l>(
        &'s self,
        name: &str,
        labels: &'l [(&'l str, &'l str)],
    ) -> impl Iterator<Item = &'s Series> + use<'s, 'l> {
        let rows = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        rows.iter().map(|at| &self.series[*at]).filter(|series| series.has(labels))
    }

    /// The one series of this name that has these labels.
    pub(crate) fn one(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Series> {
        let mut found = self.all(name, labels);
        let first = found.next();
        let second = found.next();
        assert!(second.is_none(), "{name}{labels:?} is more than one series: {first:?} {second:?}");
        first
    }

    /// Its value.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.one(name, labels).map(|series| series.value)
    }

    /// How many ticks the agent had made.
    pub(crate) fn ticks(&self) -> f64 {
        self.value("podmeter_tick_duration_seconds_count", &[]).unwrap_or_default()
    }
}

#[derive(Default)]
struct Reader {
    series: Vec<Series>,
    kinds: HashMap<String, String>,
    helped: HashSet<String>,
    /// The family that lines belong to now.
    family: String,
    seen: HashSet<(String, Labels)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap_or_default();
            is_name(name)?;
            name.clone_into(&mut self.family);
            return fresh(self.helped.insert(name.to_owned()), "a family stands twice");
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("no type")?;
            if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
                return Err("no such type".to_owned());
            }
            if name != self.family {
                return Err("the type does not follow its help".to_owned());
            }
            return fresh(
                self.kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "a type stands twice",
            );
        }
        if line.is_empty() || line.starts_with('#') {
            return Err("neither a series nor a comment that means something".to_owned());
        }
        let series = series(line)?;
        self.belongs(&series)?;
        let is_new = self.seen.insert((series.name.clone(), series.labels.clone()));
        self.series.push(series);
        fresh(is_new, "the series stands twice")
    }

    fn belongs(&self, series: &Series) -> Result<(), String> {
        let kind = self.kinds.get(&self.family).ok_or("a series before its type")?;
        let suffix = series.name.strip_prefix(&self.family).ok_or("a series outside its family")?;
        let suffixes: &[&str] = match kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["", "_sum", "_count"],
            _ => &[""],
        };
        if !suffixes.contains(&suffix) {
            return Err(format!("no series of a {kind}"));
        }
        if kind == "counter" && (series.value.is_nan() || series.value < 0.0) {
            return Err("no value of a counter".to_owned());
        }
        Ok(())
    }
}

fn fresh(is_new: bool, fault: &str) -> Result<(), String> {
    if is_new { Ok(()) } else { Err(fault.to_owned()) }
}

fn is_name(name: &str) -> Result<(), String> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let is_ok =
        !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_legal);
    if is_ok { Ok(()) } else { Err(format!("{name:?} is no name")) }
}

fn series(line: &str) -> Result<Series, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    is_name(name)?;
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    let mut words = rest.strip_prefix(' ').ok_or("no space before the value")?.split(' ');
    let value = words.next().unwrap_or_default();
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        _ if value.contains(['n', 'N', 'f', 'F']) => return Err("no number".to_owned()),
        _ => value.parse().map_err(|_| "no number")?,
    };
    let time = words.next().map(str::parse::<f64>).transpose().map_err(|_| "no time")?;
    match words.next() {
        Some(_) => Err("too many words".to_owned()),
        None => {
            Ok(Series { name: name.to_owned(), labels, value, time: time.map(|ms| ms / 1000.0) })
        }
    }
}

/// Reads labels up to the closing brace; what is left after it.
fn read_labels<'a>(mut rest: &'a str, labels: &mut Labels) -> Result<&'a str, String> {
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = rest.split_once("=\"").ok_or("no label")?;
        is_name(name)?;
        let (value, after) = read_value(after)?;
        // An empty value is the same as no label; two such series would be one.
        if !value.is_empty() && labels.insert(name.to_owned(), value).is_some() {
            return Err("a label stands twice".to_owned());
        }
        rest = after.strip_prefix(',').unwrap_or(after);
        if !after.starts_with([',', '}']) {
            return Err("no end of a label".to_owned());
        }
    }
}

fn read_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text.char_indices();
    while let Some((at, letter)) = rest.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match rest.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => return Err("no such escape".to_owned()),
            },
            _ => value.push(letter),
        }
    }
    Err("a label without an end".to_owned())
}
