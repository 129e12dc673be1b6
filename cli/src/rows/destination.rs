//! Where bytes go: standard output, or a file that has its name only once it is whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, IsTerminal as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::NamedTempFile;

/// Permissions of a new file, of which the umask takes some.
const PERMISSIONS: u32 = 0o666;

/// Takes bytes.
#[derive(Debug)]
pub enum Destination {
    /// Standard output. When its reader goes away (`| head`), the program ends quietly, as others do.
    Stdout,
    /// What is no file, such as a pipe: it is written to, not replaced.
    Device(File),
    /// A file under a name of its own beside `target`; it is removed if it is not kept.
    File {
        /// What is written to.
        temporary: NamedTempFile,
        /// What it is called at last.
        target: PathBuf,
    },
}

impl Destination {
    /// A file of this path; standard output where there is none, or it is `-`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        match path.filter(|path| *path != Path::new("-")) {
            None => Ok(Self::Stdout),
            Some(path) => Self::at(path).with_context(|| format!("cannot write {}", path.display())),
        }
    }

    fn at(path: &Path) -> anyhow::Result<Self> {
        let target = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("it is a folder"),
            Ok(found) => {
                // Also refuses where the file itself may not be written, though its folder may.
                let device = OpenOptions::new().append(true).open(path)?;
                if !found.is_file() {
                    return Ok(Self::Device(device));
                }
                // What a link names is replaced, not the link.
                path.canonicalize()?
            }
            Err(_) => path.to_owned(),
        };
        let name = target.file_name().context("it names no file")?.to_string_lossy();
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".part")
            .permissions(Permissions::from_mode(PERMISSIONS))
            .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))
            // Its own text names the temporary file.
            .map_err(|error| std::io::Error::from(error.kind()))?;
        Ok(Self::File { temporary, target })
    }

    /// Whether somebody looks at it.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Device(device) => device.is_terminal(),
            Self::File { .. } => false,
        }
    }

    /// The file that is being made, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { target, .. } => Some(target),
            Self::Stdout | Self::Device(_) => None,
        }
    }

    /// All is written: a file gets its name.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep(mut self) -> std::io::Result<()> {
        self.flush()?;
        if let Self::File { temporary, target } = self {
            temporary.as_file().sync_all()?;
            temporary.persist(&target).map_err(|error| error.error)?;
        }
        Ok(())
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout => quiet(std::io::stdout().lock().write(bytes)),
            Self::Device(device) => device.write(bytes),
            Self::File { temporary, .. } => temporary.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout => quiet(std::io::stdout().lock().flush()),
            Self::Device(device) => device.flush(),
            Self::File { temporary, .. } => temporary.flush(),
        }
    }
}

/// Ends the program where nobody reads any more.
fn quiet<T>(outcome: std::io::Result<T>) -> std::io::Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let mut given_up = Destination::open(Some(&path)).unwrap();
        given_up.write_all(b"half").unwrap();
        assert!(!path.exists() && names(folder.path()).len() == 1);
        drop(given_up);
        assert!(names(folder.path()).is_empty());

        std::fs::write(&path, "before").unwrap();
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut kept = Destination::open(Some(&link)).unwrap();
        kept.write_all(b"whole").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        kept.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert!(link.is_symlink() && names(folder.path()).len() == 2);
    }

    #[test]
    fn what_cannot_be_a_file_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| format!("{:#}", Destination::open(Some(path)).unwrap_err());
        assert!(refused(folder.path()).ends_with("it is a folder"));
        let missing = folder.path().join("no/x.csv");
        assert_eq!(refused(&missing), format!("cannot write {}: entity not found", missing.display()));
    }

    #[test]
    fn a_device_is_written_to_and_stays() {
        let device = Destination::open(Some(Path::new("/dev/null"))).unwrap();
        assert!(matches!(device, Destination::Device(_)) && device.file().is_none());
        device.keep().unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
