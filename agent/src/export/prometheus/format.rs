//! Which format an answer has: negotiated from `Accept`, told by `Content-Type`.
//!
//! Source: RFC 9110, section 12.5.1, and "Scrape protocol content negotiation" in the Prometheus documentation.

use super::quality::{Choice, choices};

/// A format and how it writes label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    syntax: Syntax,
    escaping: Escaping,
}

/// The formats and versions that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Prometheus text 0.0.4.
    Text004,
    /// Prometheus text 1.0.0: 0.0.4 with UTF-8 names.
    Text100,
    /// OpenMetrics 0.0.1, the draft that older scrapers ask for; its text is the same.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
    /// Length-delimited protobuf.
    Protobuf,
}

/// What becomes of label keys such as `app.kubernetes.io/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// Not asked about: underscores, and the content type does not speak of it.
    Unasked,
    /// Everything but `[a-zA-Z0-9_]` is an underscore. Also the answer to `dots` and `values`:
    /// the scraper learns from the content type what it got.
    Underscores,
    /// As they are.
    AllowUtf8,
}

/// In the order in which they are preferred where the client does not care.
const OFFERS: [Syntax; 5] = [
    Syntax::Text004,
    Syntax::OpenMetrics100,
    Syntax::OpenMetrics001,
    Syntax::Text100,
    Syntax::Protobuf,
];

impl Format {
    /// What a client gets that does not say, or asks for nothing that we have: every scraper reads it.
    pub const TEXT: Self = Self { syntax: Syntax::Text004, escaping: Escaping::Unasked };

    /// The best format for an `Accept` header; several headers are to be joined by commas.
    ///
    /// An offer's weight is that of the most specific range that it matches. Between offers of one
    /// weight the more specific range decides, then the one named first, then text before the others.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        let mut best = None;
        for (order, syntax) in OFFERS.into_iter().enumerate() {
            let matching = choices(accept).enumerate().filter_map(|(at, choice)| {
                Some((syntax.specificity(&choice)?, choice.weight, at, choice))
            });
            let Some((specificity, weight, at, choice)) =
                matching.max_by_key(|(specificity, weight, at, _)| {
                    (*specificity, *weight, usize::MAX - at)
                })
            else {
                continue;
            };
            let rank = (weight, specificity, usize::MAX - at, usize::MAX - order);
            if weight > 0 && best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, Self { syntax, escaping: syntax.escaping(&choice) }));
            }
        }
        best.map_or(Self::TEXT, |(_, format)| format)
    }

    /// The format without its way of writing label names.
    #[must_use]
    pub fn syntax(self) -> Syntax {
        self.syntax
    }

    /// The way of writing label names.
    #[must_use]
    pub fn escaping(self) -> Escaping {
        self.escaping
    }

    /// The answer's `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> String {
        let escaping = match self.escaping {
            Escaping::Unasked => "",
            Escaping::Underscores => "; escaping=underscores",
            Escaping::AllowUtf8 => "; escaping=allow-utf-8",
        };
        let (media, params) = (self.syntax.media(), self.syntax.params());
        let params: Vec<String> =
            params.iter().map(|(name, value)| format!("; {name}={value}")).collect();
        let charset = if self.syntax == Syntax::Protobuf { "" } else { "; charset=utf-8" };
        format!("{media}{}{charset}{escaping}", params.concat())
    }
}

impl Syntax {
    fn media(self) -> &'static str {
        match self {
            Self::Text004 | Self::Text100 => "text/plain",
            Self::OpenMetrics001 | Self::OpenMetrics100 => "application/openmetrics-text",
            Self::Protobuf => "application/vnd.google.protobuf",
        }
    }

    /// The parameters that tell it from others of its media type.
    fn params(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Text004 => &[("version", "0.0.4")],
            Self::OpenMetrics001 => &[("version", "0.0.1")],
            Self::Text100 | Self::OpenMetrics100 => &[("version", "1.0.0")],
            Self::Protobuf => {
                &[("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")]
            }
        }
    }

    /// How closely a media range describes this format; `None` when it does not.
    fn specificity(self, range: &Choice<'_>) -> Option<usize> {
        let media = self.media();
        if range.value == "*/*" || range.value == "*" {
            return Some(0);
        }
        if let Some(kind) = range.value.strip_suffix("/*") {
            return media
                .split('/')
                .next()
                .is_some_and(|own| own.eq_ignore_ascii_case(kind))
                .then_some(1);
        }
        if !range.value.eq_ignore_ascii_case(media) {
            return None;
        }
        // Parameters that we do not know, such as charset, do not speak against us.
        self.params().iter().try_fold(2, |specificity, (name, own)| {
            match range.params().find(|(asked, _)| asked.eq_ignore_ascii_case(name)) {
                Some((_, value)) => (value == *own).then_some(specificity + 1),
                None => Some(specificity),
            }
        })
    }

    fn escaping(self, range: &Choice<'_>) -> Escaping {
        let asked = range
            .params()
            .find(|(name, _)| name.eq_ignore_ascii_case("escaping"))
            .map(|(_, value)| value);
        match (self, asked) {
            (Self::Text100 | Self::OpenMetrics100 | Self::Protobuf, Some("allow-utf-8")) => {
                Escaping::AllowUtf8
            }
            // In text 1.0.0 the absence of the parameter does not say which it is.
            (_, Some(_)) | (Self::Text100, None) => Escaping::Underscores,
            (_, None) => Escaping::Unasked,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(accept: &str, expected: &str) {
        assert_eq!(Format::negotiate(accept).content_type(), expected, "{accept}");
    }

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    #[test]
    fn headers_that_prometheus_sends() {
        // 2.30
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
        );
        // 2.45
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN,
        );
        // 2.45 with native histograms
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            PROTOBUF,
        );
        // 3.x
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            &format!("{OPEN}; escaping=allow-utf-8"),
        );
        // 3.x with native histograms
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            &format!("{PROTOBUF}; escaping=allow-utf-8"),
        );
        // 3.x with scrape_protocols: [PrometheusText1.0.0] and legacy names
        check(
            "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
    }

    #[test]
    fn whoever_does_not_say_gets_text() {
        for accept in [
            "",
            "*/*",
            "text/*",
            "text/plain",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json",
            "application/openmetrics-text;version=2.0.0",
            "garbage;;;=,",
        ] {
            check(accept, TEXT);
        }
    }

    #[test]
    fn weight_decides_and_a_refusal_is_kept() {
        check("application/openmetrics-text;q=0.1, text/plain;q=0.2", TEXT);
        check("application/openmetrics-text;version=1.0.0;q=0.2, */*;q=0.1", OPEN);
        check("text/plain;q=0, */*", OPEN);
        check("application/vnd.google.protobuf;encoding=text, text/plain;q=0.1", TEXT);
    }

    #[test]
    fn escaping_is_told_and_utf8_only_where_the_version_has_it() {
        check(
            "text/plain;version=0.0.4;escaping=allow-utf-8",
            &format!("{TEXT}; escaping=underscores"),
        );
        check(
            "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8",
            "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores",
        );
        check(
            "text/plain;version=1.0.0",
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        for scheme in ["underscores", "dots", "values", "later"] {
            check(
                &format!("application/openmetrics-text;version=1.0.0;escaping={scheme}"),
                &format!("{OPEN}; escaping=underscores"),
            );
        }
    }

    proptest! {
        #[test]
        fn any_header_has_an_answer(accept in ".{0,200}") {
            prop_assert!(!Format::negotiate(&accept).content_type().is_empty());
        }
    }
}
