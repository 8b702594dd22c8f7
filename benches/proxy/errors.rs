//! What went wrong in a case: counted and shown, never left out of the account.

use std::fmt;
use std::ops::AddAssign;

use super::client::Flaw;

/// Numbers of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errors {
    /// No connection.
    pub(crate) connect: u64,
    /// A connection that broke while an answer was due.
    pub(crate) broken: u64,
    /// No answer in time.
    pub(crate) timeout: u64,
    /// An answer other than 200.
    pub(crate) status: u64,
    /// An answer of another length.
    pub(crate) size: u64,
}

impl Errors {
    /// One more.
    pub(crate) fn add(&mut self, flaw: Flaw) {
        match flaw {
            Flaw::Connection => self.broken += 1,
            Flaw::Status => self.status += 1,
            Flaw::Size => self.size += 1,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.connect += other.connect;
        self.broken += other.broken;
        self.timeout += other.timeout;
        self.status += other.status;
        self.size += other.size;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.connect, "not connected"),
            (self.broken, "broken"),
            (self.timeout, "late by seconds"),
            (self.status, "not 200"),
            (self.size, "of another length"),
        ];
        let told: Vec<String> = kinds
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, kind)| format!("{number} {kind}"))
            .collect();
        formatter.write_str(if told.is_empty() { "0" } else { "" })?;
        formatter.write_str(&told.join(", "))
    }
}
