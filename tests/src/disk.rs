//! A small disk of its own for a server, to be filled up.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Written at once while the disk is filled.
const CHUNK: usize = 1024 * 1024;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Mounts an empty disk of so many MiB at `place`.
    ///
    /// # Errors
    /// When that is not allowed: it takes root.
    pub fn mount(place: &Path, mebibytes: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(place)?;
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).output()?;
        let reason = String::from_utf8_lossy(&mount.stderr);
        anyhow::ensure!(
            mount.status.success(),
            "a tmpfs cannot be mounted (it takes root): {}",
            reason.trim()
        );
        Ok(Self { place: place.to_owned() })
    }

    /// Leaves no byte free.
    ///
    /// # Errors
    /// When nothing can be written at all.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.ballast()).context("cannot fill the disk")?;
        let mut chunk = vec![0_u8; CHUNK];
        while !chunk.is_empty() {
            if file.write_all(&chunk).is_err() {
                let half = chunk.len() / 2;
                chunk.truncate(half);
            }
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> anyhow::Result<()> {
        fs::remove_file(self.ballast()).context("the disk was not filled")
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was just killed may still hold a file for a moment.
        let _ = Command::new("umount").arg("--lazy").arg(&self.place).status();
    }
}
