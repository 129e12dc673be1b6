//! Reads SAL interface files from a folder.

use std::path::{Path, PathBuf};

use efd_sal::{Component, InterfaceError, Release};

/// Opens the interfaces in `folder`: SAL files at its top or a ts_xml checkout.
///
/// # Errors
/// When the folder holds no interfaces, or a file that all components need is missing or malformed.
pub fn open(folder: &Path) -> Result<Release, InterfaceError> {
    let root = PathBuf::from(folder);
    let label = root.display().to_string();
    Release::open(&label, Box::new(move |path| std::fs::read_to_string(root.join(path))))
}

/// Reads the named components.
///
/// # Errors
/// As [`open`], and when a component is unknown or its files are malformed.
pub fn load(folder: &Path, names: &[String]) -> Result<Vec<Component>, InterfaceError> {
    let release = open(folder)?;
    let mut components = Vec::with_capacity(names.len());
    for name in names {
        components.push(release.component(name)?);
    }
    Ok(components)
}
