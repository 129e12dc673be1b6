//! Interface files of a component whose topics have so many fields.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::room::Room;

/// The component.
pub const COMPONENT: &str = "Bench";
/// Numbers of fields, besides the private ones.
pub const WIDTHS: [usize; 3] = [12, 48, WIDEST];
/// The largest of them.
pub const WIDEST: usize = 184;

/// Types in the proportions that the observatory's fields have them; telemetry has few strings.
const TYPES: [(&str, &str); 12] = [
    ("double", "deg_C"),
    ("double", "N"),
    ("float", "V"),
    ("boolean", "unitless"),
    ("double", "deg"),
    ("long", "unitless"),
    ("float", "A"),
    ("double", "Pa"),
    ("long long", "unitless"),
    ("double", "second"),
    ("long", "unitless"),
    ("string", "unitless"),
];

/// SAL name of the topic with so many fields.
pub fn sal_name(width: usize) -> String {
    format!("fields{width}")
}

/// Writes the files into a folder below `parent`.
///
/// # Errors
/// When they cannot be written.
pub fn write(parent: &Path) -> anyhow::Result<PathBuf> {
    let folder = parent.join("interfaces");
    fs::create_dir_all(folder.join(COMPONENT))?;
    fs::copy(Room::interfaces().join("SALGenerics.xml"), folder.join("SALGenerics.xml"))?;
    let subsystem = format!(
        "<SALSubsystemSet><SALSubsystem><Name>{COMPONENT}</Name><Description>For benchmarks.</Description>\
         <IndexEnumeration>no</IndexEnumeration><AddedGenerics>csc</AddedGenerics></SALSubsystem></SALSubsystemSet>"
    );
    fs::write(folder.join("SALSubsystems.xml"), subsystem)?;
    let telemetry = format!("<SALTelemetrySet>{}</SALTelemetrySet>", WIDTHS.map(topic).concat());
    fs::write(folder.join(COMPONENT).join(format!("{COMPONENT}_Telemetry.xml")), telemetry)?;
    Ok(folder)
}

fn topic(width: usize) -> String {
    let mut text = format!(
        "<SALTelemetry><Subsystem>{COMPONENT}</Subsystem><EFDB_Topic>{COMPONENT}_{}</EFDB_Topic>",
        sal_name(width)
    );
    for (number, (kind, units)) in TYPES.iter().cycle().take(width).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "<item><EFDB_Name>field{number}</EFDB_Name><Description>Field {number}.</Description>\
             <IDL_Type>{kind}</IDL_Type><Units>{units}</Units><Count>1</Count></item>"
        );
    }
    text + "</SALTelemetry>"
}
