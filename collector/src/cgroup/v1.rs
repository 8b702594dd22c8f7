//! Which files a v1 cgroup has and what they mean.
