//! Amounts within bounds: durations, bytes, parts.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::Section;

impl Section<'_> {
    /// A duration within `range`.
    pub(in crate::config) fn duration_in(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let duration = self.duration(key)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let told = humantime::format_duration;
        let (least, most) = (told(*range.start()), told(*range.end()));
        self.wrong(key, format_args!("{} is not from {least} to {most}", told(duration)))
    }

    /// Bytes within `range`: a number, or a text such as `64KiB`.
    pub(in crate::config) fn bytes(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(key)?;
        let bytes = match &value {
            Value::String(text) => bytes(text.trim()),
            value => value.as_u64(),
        };
        match bytes {
            Some(bytes) if range.contains(&bytes) => Some(bytes),
            Some(_) => {
                let (least, most) = (range.start(), range.end());
                self.wrong(key, format_args!("{value} is not from {least} to {most} bytes"))
            }
            None => self.wrong(
                key,
                format_args!(
                    "{value} is no amount of bytes; write one such as 64KiB, 10MiB or 1GiB"
                ),
            ),
        }
    }

    /// A part of the whole, from 0 to 1.
    pub(in crate::config) fn part(&mut self, key: &'static str) -> Option<f64> {
        let value = self.take(key)?;
        let part = value.as_f64().filter(|part| (0.0..=1.0).contains(part));
        part.or_else(|| self.wrong(key, format_args!("{value} is not a number from 0 to 1")))
    }
}

/// A whole number with or without a unit, as programs and Kubernetes write them.
fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "k" | "kB" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "K" | "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_understood_with_the_units_that_people_write() {
        let cases = [
            ("0", Some(0)),
            ("64KiB", Some(65_536)),
            ("64 Ki", Some(65_536)),
            ("10M", Some(10_000_000)),
            ("1GiB", Some(1 << 30)),
            ("", None),
            ("KiB", None),
            ("1.5MiB", None),
            ("-1", None),
            ("1 mile", None),
            ("99999999999999999999", None),
            ("18446744073709551615G", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
