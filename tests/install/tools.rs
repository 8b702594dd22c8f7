//! Helm and kustomize, as a user has them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Both programs, and the repository they are run in.
pub(crate) struct Tools {
    helm: PathBuf,
    kubectl: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
}

impl Tools {
    /// The programs, or what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let found = |name: &str| {
            let path = repository.join("target/tools").join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(format!("no {}; run tests/setup", path.display()))
            }
        };
        let repository = repository.canonicalize().map_err(|error| error.to_string())?;
        Ok(Self {
            helm: found("helm")?,
            kubectl: found("kubectl")?,
            repository: repository.clone(),
        })
    }

    /// What Helm prints, or complains about; values are read from its standard input with `--values -`.
    pub(crate) fn helm(
        &self,
        kubeconfig: &Path,
        words: &[&str],
        values: &str,
    ) -> Result<String, String> {
        let mut command = Command::new(&self.helm);
        command.args(words).env("KUBECONFIG", kubeconfig);
        said(command, values)
    }

    /// What kustomize makes of a folder.
    pub(crate) fn kustomize(&self, folder: &Path) -> Result<String, String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("kustomize").arg(folder);
        said(command, "")
    }
}

fn said(mut command: Command, input: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // One that does not read is seen by its exit code.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let out = child.wait_with_output().map_err(|error| error.to_string())?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&out.stderr).trim()))
    }
}
