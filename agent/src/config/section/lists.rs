//! Lists and mappings whose keys are the user's.

use serde_json::Value;

use super::{Section, kind};

/// Most entries of a list of texts.
const MAX_LIST: usize = 256;
/// Most entries of a list of mappings; the file's size bounds it anyway.
const MAX_SECTIONS: usize = 4_096;
/// Most keys of a mapping whose keys are the user's.
const MAX_PAIRS: usize = 64;

impl Section<'_> {
    /// A list of texts; a single text stands for a list of one.
    pub(in crate::config) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let values = match self.take(key)? {
            Value::Array(values) if values.len() > MAX_LIST => {
                return self.wrong(key, format_args!("more than {MAX_LIST} entries"));
            }
            Value::Array(values) => values,
            text @ Value::String(_) => vec![text],
            other => {
                return self.wrong(
                    key,
                    format_args!("{} where a list is expected; write [\"a\", \"b\"]", kind(&other)),
                );
            }
        };
        let mut texts = Vec::with_capacity(values.len());
        for (at, value) in values.into_iter().enumerate() {
            match value {
                Value::String(text) if !text.is_empty() => texts.push(text),
                other => {
                    self.fault(key, at, format_args!("{} where a text is expected", kind(&other)));
                }
            }
        }
        Some(texts)
    }

    /// A list of texts that `parse` understands; `want` says what one should look like.
    pub(in crate::config) fn parsed_list<T>(
        &mut self,
        key: &'static str,
        want: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        for (at, text) in self.texts(key).unwrap_or_default().into_iter().enumerate() {
            match parse(text.trim()) {
                Some(value) => parsed.push(value),
                None => self.fault(key, at, format_args!("{text:?} is not {want}")),
            }
        }
        parsed
    }

    /// A list of mappings, each read by `read`. Where `short` names a key, a text stands for a mapping with only
    /// that key.
    pub(in crate::config) fn sections<T>(
        &mut self,
        key: &'static str,
        short: Option<&'static str>,
        mut read: impl FnMut(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let values = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) if values.len() > MAX_SECTIONS => {
                self.wrong::<()>(key, format_args!("more than {MAX_SECTIONS} entries"));
                return Vec::new();
            }
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.wrong::<()>(
                    key,
                    format_args!(
                        "{} where a list is expected; begin each entry with \"- \"",
                        kind(&other)
                    ),
                );
                return Vec::new();
            }
        };
        let mut entries = Vec::with_capacity(values.len());
        for (at, value) in values.into_iter().enumerate() {
            let value = match (value, short) {
                (Value::String(text), Some(short)) => [(short, text)].into_iter().collect(),
                (value, _) => value,
            };
            let mut section = Section::new(format!("{}[{at}]", self.full(key)), value, self.faults);
            entries.extend(read(&mut section));
            section.finish();
        }
        entries
    }

    /// A mapping that is there, or `true` for one with every default; `false` is as if it were not there.
    pub(in crate::config) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = match self.take(key)? {
            Value::Bool(false) => return None,
            Value::Bool(true) => Value::Null,
            value => value,
        };
        let mut section = Section::new(self.full(key), value, self.faults);
        let read = read(&mut section);
        section.finish();
        read
    }

    /// A mapping from names to texts. Nothing behind a name is `None`.
    pub(in crate::config) fn pairs(&mut self, key: &'static str) -> Vec<(String, Option<String>)> {
        let values = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Object(values)) if values.len() > MAX_PAIRS => {
                self.wrong::<()>(key, format_args!("more than {MAX_PAIRS} entries"));
                return Vec::new();
            }
            Some(Value::Object(values)) => values,
            Some(other) => {
                self.wrong::<()>(
                    key,
                    format_args!(
                        "{} where names and values are expected; write \"name: value\" lines",
                        kind(&other)
                    ),
                );
                return Vec::new();
            }
        };
        let mut pairs = Vec::with_capacity(values.len());
        for (name, value) in values {
            match value {
                Value::String(text) => pairs.push((name, Some(text))),
                Value::Null => pairs.push((name, None)),
                other => {
                    let text = format_args!(
                        "{} where a text is expected; write it in quotes: \"…\"",
                        kind(&other)
                    );
                    self.wrong_pair::<()>(key, &name, text);
                }
            }
        }
        pairs
    }

    /// Adds a fault of one name of a mapping.
    pub(in crate::config) fn wrong_pair<T>(
        &mut self,
        key: &str,
        name: &str,
        text: impl std::fmt::Display,
    ) -> Option<T> {
        self.wrong(&format!("{key}.{name}"), text)
    }
}
