//! Where the value of a key is written. A destination can be checked without changing it, written,
//! and restored. Messages never contain a value.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use rockset_apikeys::{ApiKeyValue, Config};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};
use crate::{dotenv, output, profile};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A file that contains only the value and that only its owner can read.
    File(PathBuf),
    /// A variable in a dotenv file.
    Dotenv(PathBuf, String),
    /// A profile in the vendor's file.
    Profile(String),
    /// A command that reads the value from standard input.
    Exec(String),
    /// A line on standard output.
    Stdout,
}

/// A destination that was written, with its previous content.
#[must_use]
pub(crate) struct Written {
    destination: Destination,
    previous: Previous,
}

enum Previous {
    /// `None` if there was no file.
    File(PathBuf, Option<Content>),
    /// Writing cannot be undone.
    Unknown,
}

/// A file's bytes and permissions.
type Content = (Zeroizing<Vec<u8>>, Permissions);

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let destination = match text.split_once(':') {
            None if text == "-" => Self::Stdout,
            Some(("file", path)) if !path.is_empty() => Self::File(path.into()),
            Some(("profile", name)) if !name.is_empty() => Self::Profile(name.to_owned()),
            Some(("exec", command)) if !command.trim().is_empty() => Self::Exec(command.to_owned()),
            Some(("dotenv", target)) => match target.rsplit_once('#') {
                Some((path, variable)) if !path.is_empty() && dotenv::is_variable(variable) => {
                    Self::Dotenv(path.into(), variable.to_owned())
                }
                _ => return Err("expected dotenv:PATH#VAR, for example dotenv:.env#API_KEY"),
            },
            _ => {
                return Err(
                    "expected one of file:PATH, dotenv:PATH#VAR, profile:NAME, exec:COMMAND, -",
                );
            }
        };
        Ok(destination)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Dotenv(path, variable) => write!(f, "dotenv:{}#{variable}", path.display()),
            Self::Profile(name) => write!(f, "profile:{name}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Stdout => f.write_str("-"),
        }
    }
}

impl Destination {
    /// Checks that the destination can be written. A command cannot be checked.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Some(path) = self.file()? else { return Ok(()) };
        check_file(&path, matches!(self, Self::Profile(_))).map_err(failed)?;
        let old = read(&path).map_err(failed)?;
        // Any value shows whether the file can be updated.
        self.content(old.as_ref(), &"x".into(), "localhost").map(drop)
    }

    /// Writes the value. A new profile gets the API server as well.
    pub(crate) fn write(&self, value: &ApiKeyValue, server: &str) -> Result<Written, Failure> {
        let previous = match (self, self.file()?) {
            (Self::Exec(command), _) => {
                run(command, value).map_err(failed)?;
                Previous::Unknown
            }
            (_, None) => {
                let line = Zeroizing::new(format!("{}\n", value.expose_secret()));
                output::write(line.as_bytes()).map_err(failed)?;
                Previous::Unknown
            }
            (_, Some(path)) => {
                let old = read(&path).map_err(failed)?;
                let new = self.content(old.as_ref(), value, server)?;
                let permissions = match (self, &old) {
                    (Self::Dotenv(..), Some((_, permissions))) => Some(permissions.clone()),
                    _ => None,
                };
                if let (Self::Profile(_), Some(directory)) = (self, path.parent()) {
                    fs::create_dir_all(directory).map_err(failed)?;
                }
                replace(&path, &new, permissions).map_err(failed)?;
                Previous::File(path, old)
            }
        };
        Ok(Written { destination: self.clone(), previous })
    }

    /// Makes the path absolute, so that it is valid in every working directory.
    pub(crate) fn absolute(self) -> Result<Self, Failure> {
        Ok(match self {
            Self::File(path) => Self::File(path::absolute(path).map_err(failed)?),
            Self::Dotenv(path, name) => Self::Dotenv(path::absolute(path).map_err(failed)?, name),
            other => other,
        })
    }

    /// Returns the file that the destination replaces. Symbolic links are followed.
    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        let path = match self {
            Self::File(path) | Self::Dotenv(path, _) => path.clone(),
            Self::Profile(_) => Config::profile_path()?,
            Self::Exec(_) | Self::Stdout => return Ok(None),
        };
        Ok(Some(fs::canonicalize(&path).unwrap_or(path)))
    }

    /// Returns the new content of the file.
    fn content(
        &self,
        old: Option<&Content>,
        value: &ApiKeyValue,
        server: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let old = old.map_or(&[][..], |(old, _)| old);
        let secret = value.expose_secret();
        match self {
            Self::Dotenv(_, variable) => {
                dotenv::with_variable(old, variable, secret).map_err(failed)
            }
            Self::Profile(name) => {
                profile::with_key(old, name, value, server).map_err(Failure::usage)
            }
            _ => Ok(Zeroizing::new(secret.as_bytes().to_vec())),
        }
    }
}

fn failed(reason: impl fmt::Display) -> Failure {
    Failure::new(Code::Failed, reason.to_string())
}

impl Written {
    /// Restores the previous content. Returns an error message if it cannot be restored.
    pub(crate) fn restore(self) -> Result<(), String> {
        let Self { destination, previous } = self;
        let restored = match previous {
            Previous::File(path, Some((content, permissions))) => {
                replace(&path, &content, Some(permissions))
            }
            Previous::File(path, None) => fs::remove_file(path),
            Previous::Unknown => {
                return Err(format!("{destination} received the value, which cannot be undone"));
            }
        };
        restored.map_err(|error| format!("cannot restore {destination}: {error}"))
    }
}

/// Checks that a file can be created or replaced.
fn check_file(path: &Path, creates_directory: bool) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is not a file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut directory = parent(path);
    while creates_directory && !directory.exists() {
        directory = parent(directory);
    }
    tempfile::tempfile_in(directory).map(drop)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read(path: &Path) -> io::Result<Option<Content>> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(content) => Ok(Some((content, fs::metadata(path)?.permissions()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file atomically. Without permissions, only its owner can read it.
fn replace(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let directory = parent(path);
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Runs a command with the value on its standard input. Its output goes to standard error.
pub(crate) fn run(command: &str, value: &ApiKeyValue) -> io::Result<()> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut child = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::piped())
        .stdout(Stdio::from(io::stderr()))
        .spawn()?;
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(value.expose_secret().as_bytes()));
    let status = child.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("the command failed with {status}")));
    }
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => {
            io::Error::new(error.kind(), "the command did not read the whole value")
        }
        _ => error,
    })
}
