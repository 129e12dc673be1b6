//! A release of the interfaces: a folder with the list of components, the generic topics, and a folder for
//! each component.

use std::fmt;
use std::io::{self, ErrorKind};

use crate::avro_file::AvroFile;
use crate::component::{Component, ComponentBuilder};
use crate::error::InterfaceError;
use crate::generics::Generics;
use crate::subsystems::Subsystems;
use crate::suggest::suggestions;
use crate::topic_file::TOPIC_SETS;

/// Gives the text of a file by its path relative to the interfaces folder, with `/` between its parts. The
/// error kind `NotFound` says that a file is absent, which is no error for most of them.
pub type ReadFile = Box<dyn Fn(&str) -> io::Result<String> + Send + Sync>;

/// Gives the names of the files in a folder by its path, which is as that of [`ReadFile`] and may begin with
/// `..`. The error kind `NotFound` says that the folder is absent, which is no error.
pub type ListFiles = Box<dyn Fn(&str) -> io::Result<Vec<String>> + Send + Sync>;

/// The interfaces folder, wherever it is.
pub struct Folder {
    /// How messages call it.
    pub label: String,
    /// Reads a file in it.
    pub read: ReadFile,
    /// Lists a folder in it or beside it.
    pub list: ListFiles,
}

const SUBSYSTEMS: &str = "SALSubsystems.xml";
const GENERICS: &str = "SALGenerics.xml";
const AVRO_SUFFIX: &str = ".avsc";

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
    /// Finds the layout and reads the list of components and the generic topics.
    ///
    /// # Errors
    /// No known layout, a file that cannot be read, or one of the two that is wrong.
    pub fn open(folder: Folder) -> Result<Release, InterfaceError> {
        let mut files = Files { label: folder.label.trim_end_matches('/').to_owned(), layout: "", folder };
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
        Err(InterfaceError::NotARelease { root: files.folder.label, looked_in })
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
        builder.add_ackcmd();
        for folder in self.files.avro_folders(name) {
            for file in self.files.avro_files(&folder)? {
                builder.add_avro_file(&AvroFile {
                    file: &file.name,
                    sal_name: &file.stem,
                    text: &file.text,
                })?;
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

    /// Name and text of each file that topics of a component stand in: the generic ones, then its own. For readers
    /// that need what [`component`](Self::component) leaves out.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn topic_files(&self, name: &str) -> Result<Vec<(String, String)>, InterfaceError> {
        let own = TOPIC_SETS.map(|set| format!("{name}/{name}{}", set.file_suffix));
        let mut files = Vec::new();
        for path in [GENERICS.to_owned()].into_iter().chain(own) {
            files.extend(self.files.optional(&path)?.map(|file| (file.name, file.text)));
        }
        Ok(files)
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
    folder: Folder,
}

/// A camera's Avro file; the stem of its name is the name of its topic.
struct CameraFile {
    name: String,
    stem: String,
    text: String,
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
        match (self.folder.read)(&format!("{}{path}", self.layout)) {
            Ok(text) => Ok(Some(InterfaceFile { name: self.name(path), text })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(InterfaceError::Read { file: self.name(path), source }),
        }
    }

    /// Where the Avro files of a component may be, from the layout: in a folder beside its XML files, or in a
    /// folder beside `sal_interfaces`, which is where releases since v28 have them.
    fn avro_folders(&self, component: &str) -> [String; 2] {
        let beside = match self.layout.strip_suffix("sal_interfaces/") {
            Some(above) => format!("{above}interfaces/{component}"),
            None => format!("../interfaces/{component}"),
        };
        [format!("{}{component}/avsc", self.layout), beside]
    }

    /// The Avro files of a folder, by name.
    fn avro_files(&self, folder: &str) -> Result<Vec<CameraFile>, InterfaceError> {
        let name = format!("{}/{folder}", self.label);
        let mut names = match (self.folder.list)(folder) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(InterfaceError::Read { file: name, source }),
        };
        names.sort();
        let mut files = Vec::new();
        for (file, stem) in names.iter().filter_map(|name| Some((name, name.strip_suffix(AVRO_SUFFIX)?))) {
            let name = format!("{name}/{file}");
            let text = (self.folder.read)(&format!("{folder}/{file}"))
                .map_err(|source| InterfaceError::Read { file: name.clone(), source })?;
            files.push(CameraFile { name, stem: stem.to_owned(), text });
        }
        Ok(files)
    }
}
