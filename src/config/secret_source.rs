//! Where a key comes from, and the fetching of it.
//!
//! Does the input and output that `resolve` does not. Invariant: an error names the source and never its
//! content, nor what a command printed.

use super::env::Env;
use crate::secret::Secret;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a command may take. Long enough to ask a key store over a network, short enough for a start.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read from a file or a command. Keys have some hundred bytes, tokens a few thousand; a
/// source that goes on for ever must not.
const SECRET_MAX: u64 = 64 * 1024;

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// The output of a shell command.
    Command(String),
    /// A credential that systemd passed on, by name.
    Credential(String),
}

/// Why a key could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// The file could not be opened or read.
    #[error("the key file {} cannot be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::ErrorKind },
    /// The file can be read by others than its owner.
    #[error("the key file {} can be read by others (mode {mode:03o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    /// The command could not be started or failed.
    #[error("the command that prints the key failed: {0}")]
    CommandFailed(String),
    /// The command took too long and was ended.
    #[error("the command that prints the key was still running after 10 seconds")]
    CommandTimeout,
    /// The process was started without credentials.
    #[error("systemd passed no credentials on: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// systemd passed others on.
    #[error("systemd passed no credential of this name on")]
    NoSuchCredential,
    /// Larger than a key can be, or not text.
    #[error("what the source holds is too long or not text")]
    NotText,
    /// There is nothing in it.
    #[error("the source of the key is empty")]
    Empty,
}

impl SecretError {
    /// What a person does about it.
    pub(super) fn remedy(&self) -> String {
        match self {
            SecretError::Unreadable { .. } => "create the file, or let this user read it".to_owned(),
            SecretError::Exposed { path, .. } => format!("run `chmod 600 {}`", path.display()),
            SecretError::CommandFailed(_) | SecretError::CommandTimeout => {
                "run the command by hand, as the user that runs tidegate; it must print the key and nothing else"
                    .to_owned()
            }
            SecretError::NoCredentials | SecretError::NoSuchCredential => {
                "add `LoadCredential=NAME:/path/of/the/key` to the unit".to_owned()
            }
            SecretError::NotText | SecretError::Empty => "put the key there, alone, on one line".to_owned(),
        }
    }
}

/// Fetches a key.
///
/// # Errors
/// When the source cannot be read, is open to others, is empty, or holds no text.
pub(super) fn fetch(source: &SecretSource, env: &Env) -> Result<Secret, SecretError> {
    let bytes = match source {
        SecretSource::File(path) => read_file(path, true)?,
        SecretSource::Command(command) => run(command, COMMAND_TIMEOUT)?,
        SecretSource::Credential(name) => read_credential(name, env)?,
    };
    if bytes.len() as u64 > SECRET_MAX {
        return Err(SecretError::NotText);
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText)?;
    match text.trim() {
        "" => Err(SecretError::Empty),
        key => Ok(Secret::new(key.to_owned())),
    }
}

fn read_file(path: &Path, owner_only: bool) -> Result<Vec<u8>, SecretError> {
    let unreadable =
        |cause: io::Error| SecretError::Unreadable { path: path.to_owned(), cause: cause.kind() };
    let file = open(path).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::ErrorKind::InvalidInput.into()));
    }
    if let Some(mode) = open_to_others(&metadata).filter(|_| owner_only) {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(SECRET_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Without waiting for the other end of a pipe, which is refused then.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

fn read_credential(name: &str, env: &Env) -> Result<Vec<u8>, SecretError> {
    let directory = env.get("CREDENTIALS_DIRECTORY").ok_or(SecretError::NoCredentials)?;
    // A name, not a path: it must not lead out of the directory.
    if name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(SecretError::NoSuchCredential);
    }
    // systemd guards the directory itself, and gives the files modes of its own. The path is not told in an
    // error, because people paste keys where the name is wanted.
    read_file(&Path::new(directory).join(name), false).map_err(|_| SecretError::NoSuchCredential)
}

fn run(command: &str, timeout: Duration) -> Result<Vec<u8>, SecretError> {
    let failed = |why: io::Error| SecretError::CommandFailed(why.kind().to_string());
    let mut child = start(command).map_err(failed)?;
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map(|output| output.take(SECRET_MAX + 1).read_to_end(&mut bytes));
        // Nobody listens any more after a timeout.
        let _ = sender.send(read.transpose().map(|_| bytes));
    });
    let Ok(read) = receiver.recv_timeout(timeout) else {
        end(&mut child);
        return Err(SecretError::CommandTimeout);
    };
    // The reader stops at the bound without reading the rest; ending the command keeps it from waiting for that.
    let bytes = read.map_err(failed)?;
    if bytes.len() as u64 > SECRET_MAX {
        end(&mut child);
        return Err(SecretError::NotText);
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(bytes) } else { Err(SecretError::CommandFailed(status.to_string())) }
}

fn start(command: &str) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.spawn()
}

/// Ends the command and what it has started: they share a process group, which the shell can signal without
/// unsafe code on our side.
fn end(child: &mut Child) {
    // Without `--` before the group: dash does not know it here.
    let group = format!("kill -KILL -{}", child.id());
    let _ = Command::new("sh").args(["-c", &group]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests;
