//! Images of test containers: busybox, and programs of this machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::cluster::tool::Tool;

/// The name of the one with busybox and this program as the application.
const NAME: &str = "podmeter.test/busybox:1";
/// Statically linked, from Debian's package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// Packs busybox and, as `/app`, this program.
pub(crate) fn make(tool: &Tool, folder: &Path) {
    let program = std::env::current_exe().expect("this program");
    let mut files = busybox(folder);
    files.extend(with_libraries(&program, "/app"));
    pack(tool, NAME, r#"["/bin/sh"]"#, &files);
}

/// An image of these files, each as `SOURCE=DESTINATION`.
pub(crate) fn pack(tool: &Tool, name: &str, entry: &str, files: &[String]) {
    let mut words = vec!["image", name, entry];
    words.extend(files.iter().map(String::as_str));
    tool.run(&words);
}

/// busybox with a link for each of its commands, and a folder for files.
pub(crate) fn busybox(folder: &Path) -> Vec<String> {
    if !Path::new(BUSYBOX).exists() {
        let install = ["install", "-y", "-qq", "--no-install-recommends", "busybox-static"];
        let out =
            Command::new("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive").output();
        let done = out.is_ok_and(|out| out.status.success());
        assert!(done, "no {BUSYBOX}, and package busybox-static cannot be installed");
    }
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    fs::create_dir_all(folder.join("tmp")).expect("a folder");
    fs::copy(BUSYBOX, bin.join("busybox")).expect("busybox is copied");
    let list = Command::new(BUSYBOX).arg("--list").output().expect("busybox runs");
    for name in String::from_utf8_lossy(&list.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", bin.join(name)).expect("a link");
    }
    ["bin", "tmp"].map(|name| format!("{}=/{name}", folder.join(name).display())).into()
}

/// A program at a path, with the libraries it needs where the linker looks for them.
pub(crate) fn with_libraries(program: &Path, path: &str) -> Vec<String> {
    let mut files = vec![format!("{}={path}", program.display())];
    files.extend(libraries(program).iter().map(|library| {
        // The name is often a link to the file.
        let file = fs::canonicalize(library).expect("the linker found it");
        format!("{}={library}", file.display())
    }));
    files
}

/// What the program is linked with, the linker itself among them, by the names it is looked for.
fn libraries(program: &Path) -> Vec<String> {
    let out = Command::new("ldd").arg(program).output().expect("ldd runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let words = text.lines().flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}
