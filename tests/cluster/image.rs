//! The image of every test container: busybox, and this program as the application.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::cluster::tool::Tool;

/// Its name.
const NAME: &str = "podmeter.test/busybox:1";
/// Statically linked, from Debian's package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// Packs busybox with a link for each of its commands, a folder for files, and `/app` with the libraries it needs.
pub(crate) fn make(tool: &Tool, folder: &Path) {
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
    let mut words = vec!["image".to_owned(), NAME.to_owned(), r#"["/bin/sh"]"#.to_owned()];
    words.extend(["bin", "tmp"].map(|name| format!("{}=/{name}", folder.join(name).display())));
    let program = std::env::current_exe().expect("this program");
    words.push(format!("{}=/app", program.display()));
    words.extend(libraries(&program).iter().map(|library| {
        // The name is often a link to the file.
        let file = fs::canonicalize(library).expect("the linker found it");
        format!("{}={library}", file.display())
    }));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tool.run(&words);
}

/// What the program is linked with, the linker itself among them, by the names it is looked for.
fn libraries(program: &Path) -> Vec<String> {
    let out = Command::new("ldd").arg(program).output().expect("ldd runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let words = text.lines().flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}
