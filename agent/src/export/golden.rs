//! Texts that others consume, kept in files so that a change shows in review.

use std::path::Path;
use std::{env, fs};

/// Compares with the file at `path`, below this crate; `UPDATE_GOLDEN=1` rewrites it.
pub(crate) fn check(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let changed = expected.lines().zip(actual.lines()).position(|(old, new)| old != new);
    assert!(
        expected == actual,
        "{} differs, first at line {:?}; UPDATE_GOLDEN=1 rewrites it",
        path.display(),
        changed.map(|at| at + 1)
    );
}
