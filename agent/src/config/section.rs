//! Reads one mapping of the file key by key; what is left over at the end is unknown.
//!
//! serde's `deny_unknown_fields` stops at the first fault, and one start should show all of them.

mod lists;
mod quantities;

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Faults, file};

/// Names this similar (Jaro-Winkler, 0 to 1) are taken for a slip of the pen.
const SIMILAR: f64 = 0.8;

/// A mapping of the file and where it stands.
pub(super) struct Section<'a> {
    path: String,
    values: Map<String, Value>,
    asked: Vec<&'static str>,
    faults: &'a mut Faults,
}

impl<'a> Section<'a> {
    /// The mapping at `path` (empty for the whole file). Anything but a mapping is a fault and reads as empty.
    pub(super) fn new(path: String, value: Value, faults: &'a mut Faults) -> Self {
        let values = match value {
            Value::Object(values) => values,
            Value::Null => Map::new(),
            other => {
                let place = if path.is_empty() { "the file" } else { &path };
                faults.add(
                    place,
                    format_args!(
                        "{} where keys are expected; write \"key: value\" lines",
                        kind(&other)
                    ),
                );
                Map::new()
            }
        };
        Self { path, values, asked: Vec::new(), faults }
    }

    /// Reads a nested mapping, leftovers included.
    pub(super) fn inside<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let value = self.take(key).unwrap_or(Value::Null);
        let mut section = Section::new(self.full(key), value, self.faults);
        let read = read(&mut section);
        section.finish();
        read
    }

    /// A text. Of a number only its value is known, not how it was written: `007` is 7 and `1e3` 1000.0, and
    /// `off` is false. So those need quotes.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.is_empty() => Some(text),
            Value::String(_) => self.wrong(key, "empty; leave the key out for the default"),
            other @ (Value::Number(_) | Value::Bool(_)) => self.wrong(
                key,
                format_args!(
                    "{} where a text is expected; write it in quotes: \"…\"",
                    kind(&other)
                ),
            ),
            other => self.wrong(key, format_args!("{} where a text is expected", kind(&other))),
        }
    }

    /// A text where nothing between the quotes is the default as well.
    pub(super) fn text_or_empty(&mut self, key: &'static str) -> Option<String> {
        if self.values.get(key).and_then(Value::as_str) == Some("") {
            self.take(key);
            return None;
        }
        self.text(key)
    }

    /// A text that `parse` understands; `want` says what it should look like.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        want: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.faults.add(&self.full(key), format_args!("{text:?} is not {want}"));
        }
        parsed
    }

    /// A duration such as `10s`.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        const WANT: &str = "a duration; write it with a unit, such as 10s or 1m30s";
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = self.values.get(key) {
            let text = format!("{value} is not {WANT}");
            self.asked.push(key);
            self.values.remove(key);
            return self.wrong(key, text);
        }
        self.parsed(key, WANT, |text| humantime::parse_duration(text).ok())
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(value) => Some(value),
            other => {
                self.wrong(key, format_args!("{} where true or false is expected", kind(&other)))
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = self.take(key)?;
        let number = value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            let text =
                format!("{value} is not a whole number from {} to {}", range.start(), range.end());
            self.faults.add(&self.full(key), text);
        }
        number
    }

    /// Adds a fault of entry `at` of a list.
    pub(super) fn fault(&mut self, key: &str, at: usize, text: impl std::fmt::Display) {
        self.faults.add(&format!("{}[{at}]", self.full(key)), text);
    }

    /// Adds a fault of the mapping as a whole.
    pub(super) fn wrong_here<T>(&mut self, text: impl std::fmt::Display) -> Option<T> {
        self.faults.add(&self.path, text);
        None
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self) {
        for key in self.values.keys() {
            let full = join(&self.path, key);
            let hint = match self.meant(key) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.faults.add(&full, format_args!("unknown key; {hint}"));
        }
    }

    /// The known key that was probably meant: one of this section, or one of that name elsewhere.
    fn meant(&self, key: &str) -> Option<String> {
        let close = |known: &&str| strsim::jaro_winkler(&key.to_lowercase(), known);
        let best = self.asked.iter().copied().max_by(|a, b| close(a).total_cmp(&close(b)));
        if let Some(best) = best.filter(|best| close(best) >= SIMILAR) {
            return Some(best.to_owned());
        }
        let elsewhere = file::KEYS.iter().find(|known| known.path.rsplit('.').next() == Some(key));
        elsewhere.map(|known| known.path.to_owned())
    }

    /// Whether something is written under `key`, that is not read yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| !value.is_null())
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        // `key:` with nothing behind it is what remains when a value is commented out: the default.
        self.values.remove(key).filter(|value| !value.is_null())
    }

    /// Adds a fault of one key.
    pub(super) fn wrong<T>(&mut self, key: &str, text: impl std::fmt::Display) -> Option<T> {
        self.faults.add(&self.full(key), text);
        None
    }

    fn full(&self, key: &str) -> String {
        join(&self.path, key)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
