//! Reads SAL interface files from a folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use efd_sal::{Component, Folder, InterfaceError, Release};

/// Opens the interfaces in `folder`: SAL files at its top or a ts_xml checkout.
///
/// # Errors
/// When the folder holds no interfaces, or a file that all components need is missing or malformed.
pub fn open(folder: &Path) -> Result<Release, InterfaceError> {
    let root = PathBuf::from(folder);
    let label = root.display().to_string();
    let (files, folders) = (root.clone(), root);
    let read = Box::new(move |path: &str| fs::read_to_string(files.join(path)));
    let list = Box::new(move |path: &str| file_names(&folders.join(path)));
    Release::open(Folder { label, read, list })
}

/// Names that are not UTF-8 are no interface files.
fn file_names(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
    names.collect()
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
