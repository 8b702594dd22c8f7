//! W3C trace context, as far as exemplars need it: which trace a sampled request belongs to.
//!
//! The headers themselves go to the pod as they came: this proxy adds no span of its own.

use http::HeaderMap;

use super::stats::TraceId;

/// Characters of `version "-" trace-id "-" parent-id "-" flags`.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

/// The trace of a request whose caller samples it.
#[must_use]
pub fn sampled(headers: &HeaderMap) -> Option<TraceId> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?;
    // Two parents are none: nobody could tell which is meant.
    if values.next().is_some() { None } else { parse(value.as_bytes()) }
}

/// The trace id of a `traceparent`, if it is well-formed and says that it is sampled.
///
/// A version above 00 may have more fields after the ones that are known, as the recommendation's section 3.2.4
/// asks; 00 itself may not, and ff is no version.
#[must_use]
pub fn parse(value: &[u8]) -> Option<TraceId> {
    let (known, rest) = value.split_at_checked(LENGTH)?;
    let mut version = [0];
    let mut trace = TraceId::default();
    let mut parent = [0; 8];
    let mut flags = [0];
    hex(&known[..2], &mut version)?;
    hex(&known[3..35], &mut trace)?;
    hex(&known[36..52], &mut parent)?;
    hex(&known[53..], &mut flags)?;
    let is_whole = [2, 35, 52].iter().all(|&at| known[at] == b'-')
        && match version[0] {
            0x00 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|&byte| byte == b'-'),
        };
    let is_named = trace != TraceId::default() && parent != [0; 8];
    (is_whole && is_named && flags[0] & SAMPLED != 0).then_some(trace)
}

/// Lower case only, as the recommendation says.
fn hex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (pair, byte) in digits.chunks_exact(2).zip(bytes) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const TRACE: TraceId = [
        0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47,
        0x36,
    ];

    #[test]
    fn sampled_trace_is_read_and_nothing_else() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let span = "00f067aa0ba902b7";
        for (text, expected) in [
            (format!("00-{id}-{span}-01"), Some(TRACE)),
            (format!("00-{id}-{span}-03"), Some(TRACE)),
            (format!("00-{id}-{span}-00"), None),
            (format!("00-{id}-{span}-01-x"), None),
            (format!("01-{id}-{span}-01"), Some(TRACE)),
            (format!("cc-{id}-{span}-01-what-comes"), Some(TRACE)),
            (format!("cc-{id}-{span}-01x"), None),
            (format!("ff-{id}-{span}-01"), None),
            (format!("0-{id}-{span}-01"), None),
            (format!("00_{id}-{span}-01"), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{id}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{span}-01", id.to_uppercase()), None),
            (format!("00-{id}-{span}"), None),
            (String::new(), None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let one =
            HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let mut headers = HeaderMap::new();
        assert_eq!(sampled(&headers), None);
        headers.append("traceparent", one.clone());
        assert_eq!(sampled(&headers), Some(TRACE));
        headers.append("traceparent", one);
        assert_eq!(sampled(&headers), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&value);
        }

        #[test]
        fn any_sampled_id_comes_back(id in any::<[u8; 16]>().prop_filter("not zero", |id| *id != [0; 16])) {
            let text = format!("{:032x}", u128::from_be_bytes(id));
            prop_assert_eq!(parse(format!("00-{text}-00f067aa0ba902b7-01").as_bytes()), Some(id));
        }
    }
}
