//! Numbers as the text formats write them.

/// Below this every integer is an f64 exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A bound for what one number takes, for reserving room.
pub(super) const LONGEST: usize = 32;

/// Writes a sample's value: integers without a point, the shortest digits that read back as the same number otherwise.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, value: f64) {
    if value.abs() < EXACT && value.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        write_float(out, value);
    }
}

/// Writes a bucket's bound as OpenMetrics' canonical form has it: `1.0`, `0.25`, `+Inf`.
///
/// The other text format writes the same, so that a series keeps its `le` whichever format a scrape gets.
pub(super) fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_have_no_point_and_the_rest_is_shortest() {
        for (value, expected) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (1_500_000_000.0, "1500000000"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (0.1, "0.1"),
            (12.034_567, "12.034567"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(value), expected);
        }
    }

    #[test]
    fn bounds_are_canonical_floats() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (0.00025, "0.00025"),
            (2.5, "2.5"),
            (f64::INFINITY, "+Inf"),
        ] {
            let mut out = Vec::new();
            write_float(&mut out, value);
            assert_eq!(out, expected.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back_and_fits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = written(value);
            prop_assert!(text.len() <= LONGEST);
            let back: f64 = text.parse().unwrap();
            prop_assert!(back.to_bits() == bits || value == 0.0 || (back.is_nan() && value.is_nan()));
        }
    }
}
