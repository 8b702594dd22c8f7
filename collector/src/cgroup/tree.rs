//! Notices new and gone cgroups.
