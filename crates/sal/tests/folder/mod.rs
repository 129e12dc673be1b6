//! An interfaces folder in memory.

use std::collections::HashMap;
use std::io;

use efd_sal::{InterfaceError, Release};

const GENERICS: &str = "\
<SALObjects><SALCommandSet>
<SALCommand><EFDB_Topic>SALGeneric_command_start</EFDB_Topic><Category>csc</Category></SALCommand>
<SALCommand><EFDB_Topic>SALGeneric_command_enterControl</EFDB_Topic></SALCommand>
</SALCommandSet><SALEventSet>
<SALEvent><EFDB_Topic>SALGeneric_logevent_heartbeat</EFDB_Topic><Category>mandatory</Category></SALEvent>
<SALEvent><EFDB_Topic>SALGeneric_logevent_summaryState</EFDB_Topic><Category>csc</Category></SALEvent>
</SALEventSet></SALObjects>";

/// Paths and texts.
pub struct Folder {
    files: HashMap<String, String>,
}

impl Folder {
    /// Today's layout with one component, `Dome`.
    pub fn current(indices: &str, generics: &str) -> Folder {
        let list = format!(
            "<SALSubsystemSet>\n<SALSubsystem>\n<Name>Dome</Name>\n<IndexEnumeration>{indices}</IndexEnumeration>\n\
             <AddedGenerics>{generics}</AddedGenerics></SALSubsystem></SALSubsystemSet>"
        );
        let files = HashMap::new();
        Folder { files }.with("SALSubsystems.xml", &list).with("SALGenerics.xml", GENERICS)
    }

    /// Adds or replaces a file.
    pub fn with(mut self, path: &str, text: &str) -> Folder {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Takes a file away.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub fn without(mut self, path: &str) -> Folder {
        self.files.remove(path);
        self
    }

    /// Moves all files.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub fn under(self, layout: &str) -> Folder {
        Folder {
            files: self.files.into_iter().map(|(path, text)| (format!("{layout}{path}"), text)).collect(),
        }
    }

    /// Opens the folder as `xml`.
    pub fn open(&self) -> Result<Release, InterfaceError> {
        let files = self.files.clone();
        let paths: Vec<String> = files.keys().cloned().collect();
        Release::open(efd_sal::Folder {
            label: "xml".into(),
            read: Box::new(move |path| files.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())),
            list: Box::new(move |folder| {
                let inside = paths.iter().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'));
                let names: Vec<String> =
                    inside.filter(|name| !name.contains('/')).map(str::to_owned).collect();
                if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
            }),
        })
    }

    /// Opens a folder that is right.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub fn release(&self) -> Release {
        self.open().expect("the test's own release")
    }
}

/// A topic file with one topic; `element` is that of the topic.
#[allow(dead_code, reason = "each test file uses a part")]
pub fn topic(element: &str, name: &str, items: &str) -> String {
    let about = name.split_once('_').map_or(name, |(_, sal_name)| sal_name);
    format!(
        "<{element}Set>\n<{element}>\n<EFDB_Topic>{name}</EFDB_Topic><Description>about {about}</Description>\n\
         {items}\n</{element}></{element}Set>"
    )
}
