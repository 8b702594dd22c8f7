//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as plain numbers.
//!
//! Source: the grammar in `k8s.io/apimachinery/pkg/api/resource`. The client crates keep a quantity as the
//! text it came as, hence this parser.

/// The amount that `text` stands for, in the resource's base unit (cores, bytes, pieces).
///
/// `None` for anything that is not a quantity, and for what overflows to infinity.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let length = digits.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, suffix) = digits.split_at(length);
    if !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Rust's parser also reads the exponent, correctly rounded; a multiplication would not be.
    let value = match suffix.strip_prefix(['e', 'E']) {
        Some(exponent)
            if exponent.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c)) =>
        {
            exponent.parse::<i32>().ok()?;
            format!("{number}e{exponent}").parse::<f64>().ok()?
        }
        _ => scaled(number, suffix)?,
    };
    let signed = if text.starts_with('-') { -value } else { value };
    signed.is_finite().then_some(signed)
}

fn scaled(number: &str, suffix: &str) -> Option<f64> {
    let decimal = |exponent: i32| format!("{number}e{exponent}").parse::<f64>().ok();
    let binary = |power: i32| number.parse::<f64>().ok().map(|value| value * 1024_f64.powi(power));
    match suffix {
        "" => number.parse().ok(),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(parse(text), expected, "{text:?}");
    }

    #[test]
    fn every_suffix_is_known() {
        check("0", Some(0.0));
        check("1", Some(1.0));
        check("100m", Some(0.1));
        check("250u", Some(0.000_25));
        check("5n", Some(5e-9));
        check("2k", Some(2e3));
        check("3M", Some(3e6));
        check("1.5G", Some(1.5e9));
        check("1T", Some(1e12));
        check("1P", Some(1e15));
        check("1E", Some(1e18));
        check("1Ki", Some(1024.0));
        check("128Mi", Some(134_217_728.0));
        check("1.5Gi", Some(1_610_612_736.0));
        check("1Ti", Some(1_099_511_627_776.0));
        check("1Pi", Some(1_125_899_906_842_624.0));
        check("1Ei", Some(1_152_921_504_606_846_976.0));
    }

    #[test]
    fn exponents_and_signs_are_read() {
        check("1e3", Some(1000.0));
        check("1E3", Some(1000.0));
        check("12e-1", Some(1.2));
        check("+.5", Some(0.5));
        check("-2Ki", Some(-2048.0));
        check("5.", Some(5.0));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "", "+", ".", "m", "1x", "1mi", "1KI", "1..2", "1e", "1e+", "1e1.5", "inf", "NaN",
            "1 Gi", "--1", "0x10", "1e999",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics_and_is_finite(text in ".{0,40}") {
            prop_assert!(parse(&text).is_none_or(f64::is_finite));
        }

        #[test]
        fn whole_numbers_come_back(number in 0..=(1_i64 << 53)) {
            prop_assert_eq!(parse(&number.to_string()), Some(number as f64));
        }

        #[test]
        fn milli_is_a_thousandth(number in 0..1_000_000_u32) {
            let milli = parse(&format!("{number}m")).unwrap();
            prop_assert!((milli - f64::from(number) / 1000.0).abs() < 1e-9);
        }
    }
}
