//! A made-up release of the interfaces, as large as ts_xml 28: 63 components with 3,188 topics, in its layout.
//!
//! Counts, types and the longest array are those of the real one; names and texts are not. It is the same each time.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// Components; each third one is indexed.
pub const COMPONENTS: usize = 63;
/// Commands, events and telemetry topics of the components' own.
const OWN_TOPICS: [usize; 3] = [474, 1340, 402];
/// Fields of these topics.
pub const OWN_FIELDS: usize = 17_544;
/// Own values once arrays are taken apart.
pub const OWN_VALUES: usize = 176_450;
/// All topics: own ones, generic ones and `ackcmd`.
pub const TOPICS: usize = 3188;

const ARRAYS: usize = 2578;
const LONGEST_ARRAY: usize = 3024;

/// How often each type comes.
const TYPES: [(&str, usize); 11] = [
    ("double", 8019),
    ("boolean", 2474),
    ("string", 2247),
    ("long", 1759),
    ("float", 1469),
    ("long long", 958),
    ("int", 460),
    ("short", 100),
    ("unsigned short", 22),
    ("byte", 21),
    ("unsigned int", 15),
];

/// Own topics of the largest components; the others share the rest.
const LARGEST: [usize; 8] = [491, 245, 145, 126, 123, 93, 37, 3];

/// Which generic topics are added, and by how many components.
const GENERICS: [(&str, usize); 9] = [
    ("csc, configurable", 34),
    ("csc", 10),
    ("csc, configurable, logevent_largeFileObjectAvailable", 6),
    ("csc, logevent_largeFileObjectAvailable", 4),
    ("csc, command_enterControl, configurable, logevent_largeFileObjectAvailable", 3),
    ("csc, configurable, logevent_clockOffset", 2),
    ("command_setLogLevel, logevent_largeFileObjectAvailable", 2),
    ("csc, configurable, logevent_largeFileObjectAvailable, logevent_statusCode", 1),
    ("command_setLogLevel", 1),
];

/// File, set, topic element and the beginning of its name.
const KINDS: [(&str, &str, &str); 3] = [
    ("Commands", "SALCommand", "command_"),
    ("Events", "SALEvent", "logevent_"),
    ("Telemetry", "SALTelemetry", ""),
];

/// Writes the release below `folder`; the generic topics are those of `generics`, a `SALGenerics.xml`.
///
/// # Errors
/// When a file cannot be written.
pub fn write_release(folder: &Path, generics: &Path) -> io::Result<()> {
    let root = folder.join("python/lsst/ts/xml/data/sal_interfaces");
    fs::create_dir_all(&root)?;
    fs::copy(generics, root.join("SALGenerics.xml"))?;
    fs::write(root.join("SALSubsystems.xml"), list())?;
    let mut topics = Topics::new();
    for component in 0..COMPONENTS {
        let name = name(component);
        let files = topics.of_component(&name, own_topics(component));
        fs::create_dir(root.join(&name))?;
        for ((file, set, _), text) in KINDS.iter().zip(files) {
            if !text.is_empty() {
                let text = format!("<{set}Set>\n{text}</{set}Set>\n");
                fs::write(root.join(&name).join(format!("{name}_{file}.xml")), text)?;
            }
        }
    }
    Ok(())
}

fn name(component: usize) -> String {
    format!("Part{component:02}")
}

fn list() -> String {
    let generics = GENERICS.iter().flat_map(|(generics, count)| std::iter::repeat_n(generics, *count));
    let mut list = String::from("<SALSubsystemSet>\n");
    for (component, generics) in generics.enumerate() {
        let indices = if component % 3 == 0 { "any" } else { "no" };
        let name = name(component);
        // Writing to a String cannot fail.
        let _ = writeln!(
            list,
            "<SALSubsystem><Name>{name}</Name><Description>Made-up component {component}.</Description>\
             <IndexEnumeration>{indices}</IndexEnumeration><AddedGenerics>{generics}</AddedGenerics></SALSubsystem>"
        );
    }
    list + "</SALSubsystemSet>\n"
}

fn own_topics(component: usize) -> usize {
    let rest: usize = OWN_TOPICS.iter().sum::<usize>() - LARGEST.iter().sum::<usize>();
    let others = COMPONENTS - LARGEST.len();
    match LARGEST.get(component) {
        Some(topics) => *topics,
        None => share(component - LARGEST.len(), others, rest),
    }
}

/// What comes to the place `index` of `places` when `amount` is spread evenly.
fn share(index: usize, places: usize, amount: usize) -> usize {
    (index + 1) * amount / places - index * amount / places
}

/// Counts what was written, so that the sums come out.
struct Topics {
    topics: usize,
    kinds: [usize; 3],
    fields: usize,
    numbers: usize,
    arrays: usize,
}

impl Topics {
    fn new() -> Self {
        Topics { topics: 0, kinds: [0; 3], fields: 0, numbers: 0, arrays: 0 }
    }

    /// The topics of one component, by kind.
    fn of_component(&mut self, component: &str, count: usize) -> [String; 3] {
        let mut files = [String::new(), String::new(), String::new()];
        for _ in 0..count {
            let kind = self.next_kind();
            let Some((file, (_, element, prefix))) = files.get_mut(kind).zip(KINDS.get(kind)) else {
                continue;
            };
            let number = self.topics;
            let _ = writeln!(
                file,
                "<{element}>\n  <Subsystem>{component}</Subsystem>\n  <EFDB_Topic>{component}_{prefix}topic{number}t</EFDB_Topic>\n  \
                 <Description>Made-up topic {number} with some words about what it is for.</Description>"
            );
            let fields = share(number, OWN_TOPICS.iter().sum(), OWN_FIELDS);
            for _ in 0..fields {
                self.field(file);
            }
            let _ = writeln!(file, "</{element}>");
            self.topics += 1;
        }
        files
    }

    /// The kind that is furthest behind its share.
    fn next_kind(&mut self) -> usize {
        let behind = |kind: &usize| {
            let (wanted, made) = (OWN_TOPICS.get(*kind), self.kinds.get(*kind));
            let total: usize = OWN_TOPICS.iter().sum();
            let (wanted, made) = (wanted.copied().unwrap_or_default(), made.copied().unwrap_or_default());
            (self.topics + 1) as i64 * wanted as i64 - (made * total) as i64
        };
        let kind = (0..OWN_TOPICS.len()).max_by_key(behind).unwrap_or_default();
        if let Some(made) = self.kinds.get_mut(kind) {
            *made += 1;
        }
        kind
    }

    fn field(&mut self, file: &mut String) {
        // A step that has no factor in common with the number of fields visits every place once.
        let ty = type_at(self.fields * 7919 % OWN_FIELDS);
        let mut count = 1;
        if ty != "string" {
            let numbers = OWN_FIELDS - 2247;
            if share(self.numbers, numbers, ARRAYS) == 1 {
                count = self.array();
            }
            self.numbers += 1;
        }
        let number = self.fields;
        // A name that ends in a letter cannot be taken for an element of an array.
        let _ = writeln!(
            file,
            "  <item>\n    <EFDB_Name>field{number}f</EFDB_Name>\n    <Description>Made-up field {number} of that topic.</Description>\n    \
             <IDL_Type>{ty}</IDL_Type>\n    <Units>unitless</Units>\n    <Count>{count}</Count>\n  </item>"
        );
        self.fields += 1;
    }

    /// Length of the next array.
    fn array(&mut self) -> usize {
        let elements = OWN_VALUES - (OWN_FIELDS - ARRAYS) - LONGEST_ARRAY;
        let count = match self.arrays {
            0 => LONGEST_ARRAY,
            array => share(array - 1, ARRAYS - 1, elements),
        };
        self.arrays += 1;
        count
    }
}

fn type_at(mut place: usize) -> &'static str {
    for (ty, count) in TYPES {
        if place < count {
            return ty;
        }
        place -= count;
    }
    "double"
}
