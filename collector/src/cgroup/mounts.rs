//! Where the cgroup hierarchies are mounted, from `mountinfo`.

/// Why no hierarchy could be found.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
