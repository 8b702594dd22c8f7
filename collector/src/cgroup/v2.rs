//! Which files a v2 cgroup has and what they mean.
