//! Lists with weights, as `Accept` and `Accept-Encoding` hold them (RFC 9110, section 12.4.2).

/// One element of such a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    /// What is asked for, such as `text/plain` or `gzip`.
    pub(crate) value: &'a str,
    params: &'a str,
    /// How much it is wanted, in thousandths; 0 is a refusal.
    pub(crate) weight: u16,
}

impl<'a> Choice<'a> {
    /// Its parameters without the weight, unquoted.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        params(self.params).filter(|(name, _)| !name.eq_ignore_ascii_case("q"))
    }

    fn parse(element: &'a str) -> Option<Self> {
        let (value, rest) = element.split_once(';').unwrap_or((element, ""));
        let value = value.trim();
        let weight = params(rest)
            .find(|(name, _)| name.eq_ignore_ascii_case("q"))
            .map_or(Some(1000), |(_, q)| thousandths(q))?;
        (!value.is_empty()).then_some(Self { value, params: rest, weight })
    }
}

/// The elements that can be understood; the others are as good as not there.
pub(crate) fn choices(header: &str) -> impl Iterator<Item = Choice<'_>> {
    split(header, b',').filter_map(Choice::parse)
}

fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    split(text, b';').filter_map(|param| {
        let (name, value) = param.split_once('=')?;
        let value = value.trim();
        // None of the values that mean anything here has an escape inside its quotes.
        let value =
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        Some((name.trim(), value))
    })
}

/// Splits outside quotes.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let ends = byte == separator && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// `1`, `0.5`, `0.125`: at most three digits after the point, at most 1.
fn thousandths(q: &str) -> Option<u16> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let whole: u16 = match whole {
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let parts = fraction
        .bytes()
        .zip([100, 10, 1])
        .map(|(digit, worth)| u16::from(digit - b'0') * worth)
        .sum::<u16>();
    (whole + parts <= 1000).then_some(whole + parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(header: &str) -> Vec<(&str, u16)> {
        choices(header).map(|choice| (choice.value, choice.weight)).collect()
    }

    #[test]
    fn weights_are_read_and_default_to_one() {
        assert_eq!(
            parsed("gzip;q=0.5, br ; Q=0.125,identity, *;q=0"),
            [("gzip", 500), ("br", 125), ("identity", 1000), ("*", 0)]
        );
    }

    #[test]
    fn element_with_a_bad_weight_is_as_good_as_not_there() {
        assert_eq!(parsed("a;q=2, b;q=0.1234, c;q=x, d;q=, e;q=1.001,, f"), [("f", 1000)]);
    }

    #[test]
    fn separators_inside_quotes_do_not_separate() {
        let header = r#"text/plain;note="a,b;\"c";version="1.0.0";q=0.3, x"#;
        assert_eq!(parsed(header), [("text/plain", 300), ("x", 1000)]);
        let first = choices(header).next().unwrap();
        assert_eq!(first.params().last(), Some(("version", "1.0.0")));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_weights_stay_in_range(header in ".{0,80}|[a-z*/;,=q\"\\\\0-9. ]{0,80}") {
            for choice in choices(&header) {
                prop_assert!(choice.weight <= 1000);
                prop_assert!(choice.params().count() <= header.len());
            }
        }
    }
}
