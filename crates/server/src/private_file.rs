//! Files that only their owner can access: those of the database and of secrets.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Creates a file unless it exists. Afterwards, the file survives a power loss.
///
/// The file is complete as soon as it has its name, so processes that create it at the same time
/// all read the content of one of them.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    if !path.exists() {
        // Its mode is 0600.
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed.error);
            }
            _ => {}
        }
    }
    // Another process may have created the file and not have synced its name yet.
    sync_directory(directory)
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Fails if another user can access the file.
#[cfg(unix)]
pub(crate) fn check(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let file = path.display();
    let reason = format!("other users can access it (mode {mode:o}); run `chmod 600 {file}`");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

#[cfg(not(unix))]
pub(crate) fn check(_: &Path) -> io::Result<()> {
    Ok(())
}
