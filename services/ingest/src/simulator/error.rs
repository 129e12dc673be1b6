//! What ends the simulator with an error.

use std::io;
use std::path::PathBuf;

use crate::error::IngestError;
use crate::initialise::InitialiseError;

/// Why the simulator cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The file with rates is not there or not readable.
    #[error("cannot read {} (setting simulator.rates)", path.display())]
    RatesFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with rates is not as it should be.
    #[error("cannot use {} (setting simulator.rates): {problem}", path.display())]
    RatesMalformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// The clock passed the end of the table of leap seconds.
    #[error(transparent)]
    Clock(#[from] IngestError),
    /// The registry refused the further version of a schema.
    #[error("schema cannot be changed (setting simulator.inject.schema_changes)")]
    SchemaChange(#[source] InitialiseError),
    /// The registry cannot be asked.
    #[error("schema cannot be changed (setting simulator.inject.schema_changes)")]
    Registry(#[source] efd_schema::RegistryError),
    /// The account cannot be written or read.
    #[error("cannot write or read {} (setting simulator.account)", path.display())]
    AccountFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
