//! Labels as bytes, rendered once for each label set and copied on every scrape.

use collector::labels::{Label, LabelSet, Origin, RENDERINGS};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// A way of writing labels, and where a [`LabelSet`] keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `name="value",…` with names of `[a-zA-Z0-9_]`.
    ClassicText,
    /// The same with names as their owner wrote them, in quotes where they need it.
    Utf8Text,
    /// Field `label` of a protobuf `Metric`, with names of `[a-zA-Z0-9_]`.
    ClassicProtobuf,
    /// The same with names as their owner wrote them.
    Utf8Protobuf,
}

const _: () = assert!((Style::Utf8Protobuf as usize) < RENDERINGS, "each style needs a slot");

impl Style {
    /// The bytes of a label set.
    #[inline]
    pub(super) fn bytes(self, set: &LabelSet) -> &[u8] {
        set.rendering(self as usize, |labels| self.render(labels))
    }

    fn render(self, labels: &[Label]) -> Vec<u8> {
        let mut out = Vec::new();
        // An empty value is the same as no label in Prometheus' data model.
        for label in labels.iter().filter(|label| !label.value.is_empty()) {
            let name = self.name(label);
            if name.is_empty() {
                continue;
            }
            match self {
                Self::ClassicText | Self::Utf8Text => text(&mut out, &name, &label.value),
                Self::ClassicProtobuf | Self::Utf8Protobuf => {
                    pair(&mut out, &name, &label.value);
                }
            }
        }
        out
    }

    fn name(self, label: &Label) -> String {
        match self {
            Self::ClassicText | Self::ClassicProtobuf => legacy(&label.name),
            Self::Utf8Text | Self::Utf8Protobuf if label.origin == Origin::Own => {
                label.name.to_string()
            }
            Self::Utf8Text | Self::Utf8Protobuf => {
                format!("{}{}", label.origin.prefix(), label.key)
            }
        }
    }
}

/// Whether a name may stand without quotes.
fn is_legacy(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// [`Label::name`] is legal already; one that is not would make a scraper refuse every series, so it is mended here.
fn legacy(name: &str) -> String {
    if is_legacy(name) {
        return name.to_owned();
    }
    let mended = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    name.starts_with(|first: char| first.is_ascii_digit())
        .then_some('_')
        .into_iter()
        .chain(mended)
        .collect()
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    if is_legacy(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        quoted(out, name);
    }
    out.push(b'=');
    quoted(out, value);
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text, true);
    out.push(b'"');
}

/// Escapes what both text formats escape: backslash, line feed and, except in HELP of the older one, the quote.
pub(super) fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(byte),
        }
    }
}

/// `Metric.label` and `Exemplar.label`, both number 1, each a `LabelPair` of name (1) and value (2).
pub(super) fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    let pair = string_len(name) + string_len(value);
    encode_key(1, WireType::LengthDelimited, out);
    encode_varint(pair as u64, out);
    string(out, 1, name);
    string(out, 2, value);
}

/// Of a field whose number is below 16.
pub(super) fn string_len(value: &str) -> usize {
    1 + encoded_len_varint(value.len() as u64) + value.len()
}

/// Prost's own function takes a `&String` only.
pub(super) fn string(out: &mut Vec<u8>, number: u32, value: &str) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

/// A series' name as a person reads it, such as `podmeter_memory_limit_ratio{basis="working_set"}`.
pub(crate) fn series_name(name: &str, extra: Option<&LabelSet>) -> String {
    match extra.map(|extra| Style::ClassicText.bytes(extra)) {
        Some(labels) if !labels.is_empty() => {
            format!("{name}{{{}}}", String::from_utf8_lossy(labels))
        }
        _ => name.to_owned(),
    }
}
