//! Where the value of a key is written. A sink is checked before anything is created, written, and
//! can get its old content back. Nothing is created here, and no text here contains a value.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use rockset_apikeys::ApiKeyValue;
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};
use crate::output;
use crate::profiles::Profiles;

/// A place for the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// A file of its own, which only its owner can read.
    File(PathBuf),
    /// A variable in a dotenv file, whose other lines stay as they are.
    Env(PathBuf, String),
    /// A profile of the vendor's command line.
    Profile(String),
    /// A command that gets the value on standard input.
    Exec(String),
    /// A line of standard output.
    Stdout,
}

/// A sink that was written, and what it had before.
#[must_use]
pub(crate) struct Written {
    sink: Sink,
    old: Old,
}

enum Old {
    /// The file's content and permissions, or `None` if there was no file.
    File(PathBuf, Option<(Zeroizing<Vec<u8>>, Permissions)>),
    /// The value is out of reach.
    Unknown,
}

impl FromStr for Sink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sink = match text.split_once(':') {
            None if text == "-" => Self::Stdout,
            Some(("file", path)) if !path.is_empty() => Self::File(path.into()),
            Some(("profile", name)) if !name.is_empty() => Self::Profile(name.to_owned()),
            Some(("exec", command)) if !command.trim().is_empty() => Self::Exec(command.to_owned()),
            Some(("env", place)) => match place.rsplit_once('#') {
                Some((path, variable)) if !path.is_empty() && is_variable(variable) => {
                    Self::Env(path.into(), variable.to_owned())
                }
                _ => return Err("write env:PATH#VAR, such as env:.env#ROCKSET_APIKEY".to_owned()),
            },
            _ => {
                let forms = "file:PATH, env:PATH#VAR, profile:NAME, exec:COMMAND, -";
                return Err(format!("the forms are {forms}"));
            }
        };
        Ok(sink)
    }
}

fn is_variable(name: &str) -> bool {
    let is_name = |char: char| char == '_' || char.is_ascii_alphanumeric();
    !name.is_empty()
        && name.chars().all(is_name)
        && !name.starts_with(|it: char| it.is_ascii_digit())
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(path, variable) => write!(f, "env:{}#{variable}", path.display()),
            Self::Profile(name) => write!(f, "profile:{name}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Stdout => f.write_str("-"),
        }
    }
}

impl Sink {
    /// Checks that the sink can be written, and changes nothing. A command cannot be checked.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.file()? {
            Some(path) => {
                check_place(&path, matches!(self, Self::Profile(_))).map_err(failed)?;
                // Any value shows whether the file can take one.
                self.content(&"x".into(), "localhost").map(drop)
            }
            None => Ok(()),
        }
    }

    /// Writes the value. A new profile gets the server with it.
    pub(crate) fn write(&self, value: &ApiKeyValue, server: &str) -> Result<Written, Failure> {
        let written = |old| Written { sink: self.clone(), old };
        if let Some(path) = self.file()? {
            let old = read(&path).map_err(failed)?;
            let content = self.content(value, server)?;
            let permissions = match (self, &old) {
                (Self::Env(..), Some((_, permissions))) => Some(permissions.clone()),
                _ => None,
            };
            if let (Self::Profile(_), Some(folder)) = (self, path.parent()) {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            replace(&path, &content, permissions).map_err(failed)?;
            return Ok(written(Old::File(path, old)));
        }
        let outcome = match self {
            Self::Exec(command) => run(command, value),
            _ => {
                let line = Zeroizing::new(format!("{}\n", value.expose_secret()));
                output::write(line.as_bytes())
            }
        };
        outcome.map(|()| written(Old::Unknown)).map_err(failed)
    }

    /// Returns the sink with an absolute path, which means the same in any directory.
    pub(crate) fn absolute(self) -> Result<Self, Failure> {
        Ok(match self {
            Self::File(path) => Self::File(path::absolute(path).map_err(failed)?),
            Self::Env(path, name) => Self::Env(path::absolute(path).map_err(failed)?, name),
            other => other,
        })
    }

    /// Returns the file that the sink replaces. A link is followed.
    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        let path = match self {
            Self::File(path) | Self::Env(path, _) => path.clone(),
            Self::Profile(_) => Profiles::path()?,
            Self::Exec(_) | Self::Stdout => return Ok(None),
        };
        Ok(Some(fs::canonicalize(&path).unwrap_or(path)))
    }

    /// Returns the new content of the file.
    fn content(&self, value: &ApiKeyValue, server: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self {
            Self::Env(path, variable) => {
                let old = read(path).map_err(failed)?;
                let old = old.map(|(bytes, _)| bytes).unwrap_or_default();
                with_variable(&old, variable, value.expose_secret()).map_err(failed)
            }
            Self::Profile(name) => {
                let text = Profiles::read_or_empty()?.with_key(name, value, server)?;
                Ok(Zeroizing::new(text.as_bytes().to_vec()))
            }
            _ => Ok(Zeroizing::new(value.expose_secret().as_bytes().to_vec())),
        }
    }
}

fn failed(reason: impl fmt::Display) -> Failure {
    Failure::new(Code::Failed, reason.to_string())
}

impl Written {
    /// Gives the sink its old content back. Returns what cannot be undone.
    pub(crate) fn restore(self) -> Result<(), String> {
        let Self { sink, old } = self;
        let restored = match old {
            Old::File(path, Some((content, permissions))) => {
                replace(&path, &content, Some(permissions))
            }
            Old::File(path, None) => fs::remove_file(path),
            Old::Unknown => return Err(format!("{sink} has the value, and that cannot be undone")),
        };
        restored.map_err(|error| format!("{sink} cannot get its old content back: {error}"))
    }
}

/// Checks that a file can be created or replaced here.
fn check_place(path: &Path, may_create_folder: bool) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is not a file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut folder = folder_of(path);
    while may_create_folder && !folder.exists() {
        folder = folder_of(folder);
    }
    tempfile::tempfile_in(folder).map(drop)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read(path: &Path) -> io::Result<Option<(Zeroizing<Vec<u8>>, Permissions)>> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(content) => Ok(Some((content, fs::metadata(path)?.permissions()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file in one step. Without permissions, only its owner can read it.
fn replace(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Returns a dotenv file with this value of a variable; all other bytes are kept.
fn with_variable(old: &[u8], name: &str, value: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.~+/".contains(char);
    if !value.chars().all(is_plain) {
        return Err("the value has characters that mean something in a dotenv file");
    }
    let mut new = Zeroizing::new(Vec::with_capacity(old.len() + name.len() + value.len() + 3));
    let mut is_found = false;
    for line in old.split_inclusive(|byte| *byte == b'\n') {
        let Some((assignment, rest)) = assignment(line, name) else {
            new.extend_from_slice(line);
            continue;
        };
        if std::mem::replace(&mut is_found, true) {
            return Err("the variable is set more than once; remove all but one");
        }
        let end =
            rest.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |it| it + 1);
        let (text, ending) = rest.split_at(end);
        let text = text.trim_ascii();
        if let Some(quote @ (b'"' | b'\'')) = text.first()
            && text.iter().filter(|byte| *byte == quote).count() < 2
        {
            return Err("the variable has a value of more than one line; make it one line");
        }
        new.extend_from_slice(assignment);
        new.extend_from_slice(value.as_bytes());
        new.extend_from_slice(ending);
    }
    if !is_found {
        if !matches!(new.last(), None | Some(b'\n')) {
            new.push(b'\n');
        }
        new.extend_from_slice(format!("{name}={value}\n").as_bytes());
    }
    Ok(new)
}

/// Splits a line that sets the variable after its `=`.
fn assignment<'a>(line: &'a [u8], name: &str) -> Option<(&'a [u8], &'a [u8])> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let (assignment, rest) = line.split_at(equals + 1);
    let left = assignment.strip_suffix(b"=")?.trim_ascii();
    let left = match left.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii_start(),
        _ => left,
    };
    (left == name.as_bytes()).then_some((assignment, rest))
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
            io::Error::new(error.kind(), "the command did not read all of the value")
        }
        _ => error,
    })
}
