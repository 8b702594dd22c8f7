//! Kernel files kept open and read again with `pread`.
