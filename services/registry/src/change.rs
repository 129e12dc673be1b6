//! Changes: which records a request adds to the log, or why it is refused. Pure.

mod delete;
mod register;
mod settings;
mod storable;

use std::sync::Arc;

use crate::body::{ConfigChange, Wanted};
use crate::error::RegistryError;
use crate::log::{ConfigValue, Record};
use crate::mode::Mode;
use crate::name::is_context;
use crate::schema::Schema;
use crate::state::State;
use crate::subject::{Subject, VersionRef};
use crate::tags::TagChange;

/// Names that Confluent's registry keeps for itself.
const RESERVED: [&str; 3] = ["__GLOBAL", "__EMPTY", "__DEFAULT"];

/// What a client asks to change.
#[derive(Debug, Clone)]
pub enum Change {
    /// Give a schema an id and a place under a subject.
    Register {
        /// Subject.
        subject: Arc<str>,
        /// The schema, in the form in which it is stored.
        schema: Schema,
        /// Id and version of the client's choice.
        wanted: Option<Wanted>,
    },
    /// Register a version once more, with other tags.
    Tag {
        /// Subject.
        subject: Arc<str>,
        /// Which.
        version: VersionRef,
        /// What is to be other.
        change: Box<TagChange>,
    },
    /// Delete all versions of a subject.
    DeleteSubject {
        /// Subject.
        subject: Arc<str>,
        /// For good, after a soft delete.
        permanent: bool,
    },
    /// Delete one version.
    DeleteVersion {
        /// Subject.
        subject: Arc<str>,
        /// Which.
        version: VersionRef,
        /// For good, after a soft delete.
        permanent: bool,
    },
    /// Set a compatibility level, or other settings.
    SetConfig {
        /// Subject or context, none for the global ones.
        subject: Option<Arc<str>>,
        /// What to set.
        change: ConfigChange,
    },
    /// Take all settings back.
    ClearConfig {
        /// Subject or context, none for the global ones.
        subject: Option<Arc<str>>,
    },
    /// Set a mode.
    SetMode {
        /// Subject or context, none for the global mode.
        subject: Option<Arc<str>>,
        /// Mode.
        mode: Mode,
        /// Also for an import into what is not empty.
        force: bool,
    },
    /// Take a mode back.
    ClearMode {
        /// Subject or context, none for the global mode.
        subject: Option<Arc<str>>,
        /// Those of all subjects in the context too.
        recursive: bool,
    },
    /// Delete a context without subjects.
    DeleteContext {
        /// Context.
        context: Arc<str>,
    },
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The schema that was registered.
    Registered {
        /// Id.
        id: u32,
        /// Version.
        version: u32,
        /// GUID.
        guid: String,
    },
    /// The versions that were deleted.
    Versions(Vec<u32>),
    /// The version that was deleted.
    Version(u32),
    /// What was asked to be set.
    ConfigSet(ConfigChange),
    /// The settings that were taken back.
    ConfigCleared(ConfigValue),
    /// The mode that was set, or taken back.
    Mode(Mode),
    /// Nothing is left to say.
    Done,
}

/// Records to write, in this order and all or none; empty when the log says it already.
pub type Plan = (Vec<Record>, Outcome);

impl State {
    /// Says which records a change needs.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn plan(&self, change: &Change) -> Result<Plan, RegistryError> {
        match change {
            Change::Register { subject, schema, wanted } => self.plan_register(subject, schema, *wanted),
            Change::Tag { subject, version, change } => self.plan_change_tags(subject, *version, change),
            Change::DeleteSubject { subject, permanent: false } => self.plan_soft_delete(subject),
            Change::DeleteSubject { subject, permanent: true } => self.plan_permanent_delete(subject),
            Change::DeleteVersion { subject, version, permanent } => {
                self.plan_delete_version(subject, *version, *permanent)
            }
            Change::SetConfig { subject, change } => self.plan_set_config(subject.as_ref(), change),
            Change::ClearConfig { subject } => self.plan_clear_config(subject.as_ref()),
            Change::SetMode { subject, mode, force } => self.plan_set_mode(subject.as_ref(), *mode, *force),
            Change::ClearMode { subject, recursive } => self.plan_clear_mode(subject.as_ref(), *recursive),
            Change::DeleteContext { context } => self.plan_delete_context(context),
        }
    }

    fn known_subject(&self, subject: &str) -> Result<&Subject, RegistryError> {
        self.subject(subject).ok_or_else(|| RegistryError::SubjectNotFound(subject.to_owned()))
    }
}

/// A name that settings may be given to: of a subject, or of a context.
fn check_settings_name(subject: &str) -> Result<(), RegistryError> {
    if is_context(subject) { Ok(()) } else { check_name(subject) }
}

fn check_name(subject: &str) -> Result<(), RegistryError> {
    let is_valid = !subject.is_empty()
        && !is_context(subject)
        && !subject.contains(char::is_control)
        && !RESERVED.contains(&subject);
    if is_valid { Ok(()) } else { Err(RegistryError::InvalidSubject(subject.to_owned())) }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
