//! Block I/O by device.

use std::process::Command;

use crate::cgroups::{Group, Tree, Version, uuid, version};
use crate::worker::Worker;
use crate::{Case, Shown, once};

pub(crate) const CASES: &[Case] =
    &[("blkio::bytes_and_operations_equal_the_kernels_files_by_device", written)];

/// A block device of this test's own, in memory: a loop device.
struct Device {
    path: String,
    file: tempfile::NamedTempFile,
}

impl Device {
    fn make() -> Result<Self, String> {
        let file =
            tempfile::NamedTempFile::with_suffix(uuid()).map_err(|error| error.to_string())?;
        file.as_file().set_len(16 << 20).map_err(|error| error.to_string())?;
        let attached = Command::new("losetup").args(["--find", "--show"]).arg(file.path()).output();
        let output = attached.map_err(|error| format!("cannot run losetup: {error}"))?;
        if !output.status.success() {
            return Err("no block device can be made: losetup failed".into());
        }
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self { path, file })
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    /// `major:minor`.
    fn number(&self) -> String {
        let number = std::fs::read_to_string(format!("/sys/block/{}/dev", self.name())).unwrap();
        number.trim().to_owned()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.path]).status();
        let _ = self.file.as_file().set_len(0);
    }
}

fn written() -> Shown {
    let device = Device::make()?;
    let number = device.number();
    let tree = Tree::make();
    let container = tree.container();
    if version() == Version::V1 {
        // Since Linux 6.10 v1 counts nothing for a disk before someone has limited something on it.
        container.group.write("blkio.throttle.write_bps_device", format!("{number} 1000000000000"));
    }
    let mut worker = Worker::start(&container.group);
    worker.order(&format!("write {} 4", device.path));
    let say = |column| counted(&container.group, &number, column);
    if say(Column::Bytes).is_none_or(|bytes| bytes == 0) {
        return Err(format!("the kernel counts no I/O of {}", device.path));
    }
    let page = once(&tree);
    let mut labels = vec![("device", device.path.as_str())];
    labels.extend(container.labels());
    for (name, column) in [
        ("container_fs_writes_bytes_total", Column::Bytes),
        ("container_fs_writes_total", Column::Operations),
    ] {
        assert_eq!(page.value(name, &labels), say(column).map(|number| number as f64), "{name}");
    }
    assert!(page.value("container_fs_writes_bytes_total", &labels) >= Some(f64::from(4 << 20)));
    assert_eq!(page.value("container_fs_reads_bytes_total", &labels), Some(0.0));
    Ok(())
}

#[derive(Clone, Copy)]
enum Column {
    Bytes,
    Operations,
}

/// What was written to the device.
fn counted(group: &Group, number: &str, column: Column) -> Option<u64> {
    let (file, key) = match (version(), column) {
        (Version::V1, Column::Bytes) => ("blkio.throttle.io_service_bytes_recursive", "Write"),
        (Version::V1, Column::Operations) => ("blkio.throttle.io_serviced_recursive", "Write"),
        (Version::V2, Column::Bytes) => ("io.stat", "wbytes="),
        (Version::V2, Column::Operations) => ("io.stat", "wios="),
    };
    let text = group.read(file)?;
    let lines = text.lines().filter_map(|line| line.strip_prefix(number)?.strip_prefix(' '));
    lines
        .flat_map(|line| match version() {
            Version::V1 => line.strip_prefix(key).map(str::trim).into_iter().collect::<Vec<_>>(),
            Version::V2 => line.split(' ').filter_map(|word| word.strip_prefix(key)).collect(),
        })
        .find_map(|word| word.parse().ok())
}
