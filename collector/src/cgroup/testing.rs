//! A cgroup tree of ordinary files, for tests of what reads one.

use std::fs;
use std::path::PathBuf;

use super::tree::Bounds;
use super::{Cgroup, Config, Reader};
use crate::faults::{Kind, ReadErrors, Source};

pub(crate) const UID: &str = "2f3c1c9e-0a4e-4c0b-9d8e-7f6a5b4c3d2e";

/// A container's id made of a number.
pub(crate) fn id(number: u64) -> String {
    format!("{number:064x}")
}

pub(crate) struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        files.write("mountinfo", "");
        files
    }

    /// A tree that looks like v2.
    pub(crate) fn v2() -> Self {
        let files = Self::new();
        files.write("cgroup/cgroup.controllers", "cpu io memory pids\n");
        files
    }

    /// A tree that looks like v1, each controller by itself.
    pub(crate) fn v1() -> Self {
        let files = Self::new();
        for controller in ["memory", "cpu", "cpuacct", "pids", "blkio"] {
            fs::create_dir_all(files.path("cgroup").join(controller)).unwrap();
        }
        files
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_dir_all(self.path(path)).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            root: self.path("cgroup"),
            mountinfo: self.path("mountinfo"),
            subtree: "/".to_owned(),
        }
    }

    pub(crate) fn watch(&self) -> Watch {
        self.watch_bounded(Bounds::default())
    }

    pub(crate) fn watch_bounded(&self, bounds: Bounds) -> Watch {
        Watch {
            reader: Reader::with_bounds(self.config(), bounds).unwrap(),
            errors: ReadErrors::default(),
        }
    }
}

/// A reader and what it complained about.
pub(crate) struct Watch {
    pub(crate) reader: Reader,
    pub(crate) errors: ReadErrors,
}

impl Watch {
    pub(crate) fn tick(&mut self) -> &[Cgroup] {
        self.reader.tick(&mut self.errors);
        self.reader.cgroups()
    }

    pub(crate) fn errors(&self, kind: Kind) -> u64 {
        count(&self.errors, Source::Cgroup, kind)
    }
}

pub(crate) fn count(errors: &ReadErrors, source: Source, kind: Kind) -> u64 {
    errors.counts().find(|(at, of, _)| (*at, *of) == (source, kind)).unwrap().2
}
