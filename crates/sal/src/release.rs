//! A release of the interfaces: a folder with the list of components, the generic topics, and a folder for
//! each component.

use std::fmt;
use std::io::{self, ErrorKind};

use crate::component::{Component, ComponentBuilder};
use crate::error::InterfaceError;
use crate::generics::Generics;
use crate::subsystems::Subsystems;
use crate::suggest::suggestions;
use crate::topic_file::TOPIC_SETS;

/// Gives the text of a file by its path relative to the interfaces folder, with `/` between its parts. The
/// error kind `NotFound` says that a file is absent, which is no error for most of them.
pub type ReadFile = Box<dyn Fn(&str) -> io::Result<String> + Send + Sync>;

const SUBSYSTEMS: &str = "SALSubsystems.xml";
const GENERICS: &str = "SALGenerics.xml";

/// Where releases keep the files, under the folder that people give.
const LAYOUTS: [&str; 4] =
    ["", "sal_interfaces/", "python/lsst/ts/xml/data/sal_interfaces/", "data/sal_interfaces/"];

/// The interfaces of one release of SAL.
pub struct Release {
    files: Files,
    subsystems: Subsystems,
    generics: Generics,
}

impl Release {
    /// Finds the layout and reads the list of components and the generic topics. `root_label` is how messages
    /// call the folder.
    ///
    /// # Errors
    /// No known layout, a file that cannot be read, or one of the two that is wrong.
    pub fn open(root_label: &str, read: ReadFile) -> Result<Release, InterfaceError> {
        let label = root_label.trim_end_matches('/').to_owned();
        let mut files = Files { label, layout: "", read };
        for layout in LAYOUTS {
            files.layout = layout;
            let Some(list) = files.optional(SUBSYSTEMS)? else {
                continue;
            };
            let subsystems = Subsystems::parse(&list.name, &list.text)?;
            let Some(common) = files.optional(GENERICS)? else {
                return Err(InterfaceError::MissingFile { file: files.name(GENERICS) });
            };
            let generics = Generics::parse(&common.name, &common.text)?;
            return Ok(Release { files, subsystems, generics });
        }
        let looked_in = LAYOUTS.map(|layout| if layout.is_empty() { "./" } else { layout }).join(", ");
        Err(InterfaceError::NotARelease { root: root_label.to_owned(), looked_in })
    }

    /// Names of all components, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.subsystems.iter().map(|subsystem| subsystem.name.as_str())
    }

    /// Reads a component's files and gives it with all its topics.
    ///
    /// # Errors
    /// An unknown name (with near ones in the message), no file at all, or anything wrong in one of them.
    pub fn component(&self, name: &str) -> Result<Component, InterfaceError> {
        let Some(subsystem) = self.subsystems.get(name) else {
            return Err(self.unknown(name));
        };
        let mut builder = ComponentBuilder::new(subsystem, &self.generics)?;
        let mut has_file = false;
        for set in TOPIC_SETS {
            let path = format!("{name}/{name}{}", set.file_suffix);
            if let Some(file) = self.files.optional(&path)? {
                builder.add_file(&file.name, &file.text, set)?;
                has_file = true;
            }
        }
        if !has_file {
            return Err(InterfaceError::NoTopicFiles {
                component: name.to_owned(),
                folder: self.files.name(name),
            });
        }
        Ok(builder.finish())
    }

    fn unknown(&self, name: &str) -> InterfaceError {
        let near = suggestions(name, self.names());
        let hint = if near.is_empty() {
            "names are case-sensitive, such as ATCamera".to_owned()
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        InterfaceError::UnknownComponent {
            component: name.to_owned(),
            file: self.files.name(SUBSYSTEMS),
            hint,
        }
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("files", &self.files.name("")).finish_non_exhaustive()
    }
}

/// The folder behind a release.
struct Files {
    label: String,
    layout: &'static str,
    read: ReadFile,
}

struct InterfaceFile {
    name: String,
    text: String,
}

impl Files {
    /// A file as messages call it.
    fn name(&self, path: &str) -> String {
        format!("{}/{}{path}", self.label, self.layout)
    }

    /// A file that may be absent.
    fn optional(&self, path: &str) -> Result<Option<InterfaceFile>, InterfaceError> {
        match (self.read)(&format!("{}{path}", self.layout)) {
            Ok(text) => Ok(Some(InterfaceFile { name: self.name(path), text })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(InterfaceError::Read { file: self.name(path), source }),
        }
    }
}
