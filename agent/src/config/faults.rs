//! What is wrong with the settings, all of it at once.

use std::fmt;

use super::Moved;

/// The faults found so far, in the order of the file.
#[derive(Debug, Default)]
pub struct Faults {
    lines: Vec<String>,
    /// Keys that were read under their new names and written under their old ones.
    moved: Vec<Moved>,
}

impl Faults {
    /// Adds one: which key, what is wrong, and what to write instead.
    pub fn add(&mut self, key: &str, text: impl fmt::Display) {
        let written = self.moved.iter().find_map(|moved| {
            let rest = key.strip_prefix(moved.new)?;
            let is_it = rest.is_empty() || rest.starts_with(['.', '[']);
            is_it.then(|| format!("{}{rest}", moved.old))
        });
        let key = written.as_deref().unwrap_or(key);
        self.lines.push(format!("{key}: {text}"));
    }

    /// From now on names these keys as they were written.
    pub(super) fn rename(&mut self, moved: &[Moved]) {
        self.moved.extend_from_slice(moved);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// One line a fault, without a prefix.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.len() {
            1 => f.write_str("the settings are wrong")?,
            many => write!(f, "the settings are wrong in {many} places")?,
        }
        self.lines.iter().try_for_each(|line| write!(f, "\nconfig: {line}"))
    }
}

impl std::error::Error for Faults {}
