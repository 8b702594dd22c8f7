//! Failures on demand: which requests, how many, and how they fail.

use std::time::Duration;

use super::route::Verb;

/// Faults that can wait at once; further ones are ignored.
const MAX_FAULTS: usize = 1_000;

/// Which requests a fault is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct On {
    /// Such as `pods`; any when absent.
    pub resource: Option<String>,
    /// Any when absent.
    pub verb: Option<Verb>,
}

/// How a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer with this status, these headers and this body.
    Status {
        /// Such as 500.
        code: u16,
        /// Such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// Sent as it is.
        body: String,
    },
    /// The right answer, this much later.
    Delay(Duration),
    /// The head and half of the body, then the connection is closed.
    Cut,
    /// Status 200 with a body that is no JSON.
    Garbage,
    /// Status 200 and an end at once, as a proxy in between may do it.
    Empty,
    /// A watch that opens and then tells an ERROR event with this code; a list gets it as the status.
    Event(u16),
}

impl On {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests for one resource.
    #[must_use]
    pub fn resource(resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), verb: None }
    }

    /// Requests for one resource with one verb.
    #[must_use]
    pub fn request(verb: Verb, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), verb: Some(verb) }
    }

    fn fits(&self, verb: Verb, resource: &str) -> bool {
        self.verb.is_none_or(|mine| mine == verb)
            && self.resource.as_ref().is_none_or(|mine| mine == resource)
    }
}

impl Fault {
    /// A bare status, with the `Status` object that the real server puts in the body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            headers: Vec::new(),
            body: super::serve::status_text(code, "by order"),
        }
    }

    /// 429 with `Retry-After`.
    #[must_use]
    pub fn throttled(seconds: u32) -> Self {
        let headers = vec![("Retry-After".to_owned(), seconds.to_string())];
        Self::Status {
            code: 429,
            headers,
            body: super::serve::status_text(429, "too many requests"),
        }
    }
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(super) struct Faults {
    waiting: Vec<(On, usize, Fault)>,
}

impl Faults {
    pub(super) fn add(&mut self, on: On, times: usize, fault: Fault) {
        if times > 0 && self.waiting.len() < MAX_FAULTS {
            self.waiting.push((on, times, fault));
        }
    }

    pub(super) fn take(&mut self, verb: Verb, resource: &str) -> Option<Fault> {
        let at = self.waiting.iter().position(|(on, ..)| on.fits(verb, resource))?;
        let (_, left, fault) = &mut self.waiting[at];
        let fault = fault.clone();
        *left -= 1;
        if *left == 0 {
            self.waiting.remove(at);
        }
        Some(fault)
    }
}
