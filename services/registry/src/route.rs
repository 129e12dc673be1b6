//! The calls of the REST interface, and which one a request is. Pure.
//!
//! Empty segments of a path do not count, so trailing and double slashes are tolerated. Names are percent-decoded. In front of
//! each path may stand `/contexts/.lab`, which puts the subjects and ids of the rest into that context.

mod path;

use std::sync::Arc;

use axum::http::Method;

use crate::error::RegistryError;
use crate::query::{Page, Query};
use crate::subject::{VersionRef, Which};

/// A schema by its id, in a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ById {
    /// Context.
    pub context: Arc<str>,
    /// Id.
    pub id: u32,
}

/// A list of all versions of all subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllSchemas {
    /// Softly deleted ones too.
    pub deleted: bool,
    /// Only the highest version of each subject.
    pub latest_only: bool,
    /// Beginning of the subjects.
    pub prefix: String,
    /// Part of the list.
    pub page: Page,
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfVersion {
    /// Subject.
    pub subject: Arc<str>,
    /// Version.
    pub version: VersionRef,
    /// Also a softly deleted one.
    pub deleted: bool,
}

/// One request, as far as its path and query say it. Subjects have their context in the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Is there a registry?
    Root,
    /// The same question of clients that do not use GET.
    Probe,
    /// The description of this interface.
    OpenApi,
    /// Kinds of schemas that can be registered.
    SchemaTypes,
    /// All versions of all subjects.
    Schemas(AllSchemas),
    /// A schema by its id; `max_id` adds the highest id there is.
    Schema { by: ById, max_id: bool },
    /// The text of a schema by its id.
    SchemaText { by: ById },
    /// Subjects and versions that have a schema.
    SchemaVersions { by: ById, subject: Option<Arc<str>>, deleted: bool, page: Page },
    /// Subjects that have a schema.
    SchemaSubjects { by: ById, subject: Option<Arc<str>>, deleted: bool, page: Page },
    /// A schema by its GUID.
    Guid { guid: String },
    /// Contexts and ids of a schema.
    GuidIds { guid: String },
    /// Names of subjects.
    Subjects { which: Which, prefix: String, page: Page },
    /// Versions of a subject.
    Versions { subject: Arc<str>, which: Which, page: Page },
    /// One version.
    Version(OfVersion),
    /// The text of one version.
    VersionText(OfVersion),
    /// Ids of the schemas that refer to one version.
    ReferencedBy { of: OfVersion, page: Page },
    /// The highest version that has these properties in its metadata.
    LatestWith { subject: Arc<str>, properties: Vec<(String, String)>, deleted: bool },
    /// The version of a subject that has the schema in the body.
    LookUp { subject: Arc<str>, deleted: bool, normalize: bool },
    /// Registers the schema in the body.
    Register { subject: Arc<str>, normalize: bool },
    /// Registers a version once more, with the tags in the body.
    ChangeTags { subject: Arc<str>, version: VersionRef },
    /// Deletes a subject.
    DeleteSubject { subject: Arc<str>, permanent: bool },
    /// Deletes a version.
    DeleteVersion { subject: Arc<str>, version: VersionRef, permanent: bool },
    /// Whether the schema in the body fits a version, or all that count.
    Compatibility { subject: Arc<str>, version: Option<VersionRef>, normalize: bool, verbose: bool },
    /// Compatibility level and other settings of a subject, or the global ones.
    Config { subject: Option<Arc<str>>, default_to_global: bool },
    /// Sets what is in the body.
    SetConfig { subject: Option<Arc<str>> },
    /// Takes the settings back.
    ClearConfig { subject: Option<Arc<str>> },
    /// Mode of a subject, or the global one.
    Mode { subject: Option<Arc<str>>, default_to_global: bool },
    /// Sets the mode in the body.
    SetMode { subject: Option<Arc<str>>, force: bool },
    /// Takes a mode back.
    ClearMode { subject: Option<Arc<str>>, recursive: bool },
    /// Names of contexts.
    Contexts { prefix: String, page: Page },
    /// Deletes an empty context.
    DeleteContext { context: Arc<str> },
    /// Which cluster this is.
    ClusterId,
    /// Which version of the registry this is.
    RegistryVersion,
    /// How the registry is deployed.
    Deployment,
}

impl Call {
    /// Finds the call of a request.
    ///
    /// # Errors
    /// When there is no such path, or not with this method, or a version in it is none.
    pub fn find(method: &Method, path: &str, query: &str) -> Result<Self, RegistryError> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        path::find(method, path, &Query::parse(query))
    }

    /// Whether it changes what the registry knows.
    pub const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Register { .. }
                | Self::ChangeTags { .. }
                | Self::DeleteSubject { .. }
                | Self::DeleteVersion { .. }
                | Self::SetConfig { .. }
                | Self::ClearConfig { .. }
                | Self::SetMode { .. }
                | Self::ClearMode { .. }
                | Self::DeleteContext { .. }
        )
    }

    /// The subject that it is about; none for what is about all of them.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Versions { subject, .. }
            | Self::LatestWith { subject, .. }
            | Self::LookUp { subject, .. }
            | Self::Compatibility { subject, .. }
            | Self::Register { subject, .. }
            | Self::ChangeTags { subject, .. }
            | Self::DeleteSubject { subject, .. }
            | Self::DeleteVersion { subject, .. } => Some(subject),
            Self::Version(of) | Self::VersionText(of) | Self::ReferencedBy { of, .. } => Some(&of.subject),
            Self::Config { subject, .. }
            | Self::Mode { subject, .. }
            | Self::SetConfig { subject }
            | Self::ClearConfig { subject }
            | Self::SetMode { subject, .. }
            | Self::ClearMode { subject, .. } => subject.as_deref(),
            _ => None,
        }
    }

    /// Name of the route, for the metric: method and path, as `openapi.json` has them.
    pub const fn route(&self) -> &'static str {
        match self {
            Self::Root => "GET /",
            Self::Probe => "POST /",
            Self::OpenApi => "GET /openapi.json",
            Self::SchemaTypes => "GET /schemas/types",
            Self::Schemas(_) => "GET /schemas",
            Self::Schema { .. } => "GET /schemas/ids/{id}",
            Self::SchemaText { .. } => "GET /schemas/ids/{id}/schema",
            Self::SchemaVersions { .. } => "GET /schemas/ids/{id}/versions",
            Self::SchemaSubjects { .. } => "GET /schemas/ids/{id}/subjects",
            Self::Guid { .. } => "GET /schemas/guids/{guid}",
            Self::GuidIds { .. } => "GET /schemas/guids/{guid}/ids",
            Self::Subjects { .. } => "GET /subjects",
            Self::Versions { .. } => "GET /subjects/{subject}/versions",
            Self::Version(_) => "GET /subjects/{subject}/versions/{version}",
            Self::VersionText(_) => "GET /subjects/{subject}/versions/{version}/schema",
            Self::ReferencedBy { .. } => "GET /subjects/{subject}/versions/{version}/referencedby",
            Self::LatestWith { .. } => "GET /subjects/{subject}/metadata",
            Self::LookUp { .. } => "POST /subjects/{subject}",
            Self::Register { .. } => "POST /subjects/{subject}/versions",
            Self::ChangeTags { .. } => "POST /subjects/{subject}/versions/{version}/tags",
            Self::DeleteSubject { .. } => "DELETE /subjects/{subject}",
            Self::DeleteVersion { .. } => "DELETE /subjects/{subject}/versions/{version}",
            Self::Compatibility { version: None, .. } => "POST /compatibility/subjects/{subject}/versions",
            Self::Compatibility { .. } => "POST /compatibility/subjects/{subject}/versions/{version}",
            Self::Config { subject: None, .. } => "GET /config",
            Self::Config { .. } => "GET /config/{subject}",
            Self::SetConfig { subject: None } => "PUT /config",
            Self::SetConfig { .. } => "PUT /config/{subject}",
            Self::ClearConfig { subject: None } => "DELETE /config",
            Self::ClearConfig { .. } => "DELETE /config/{subject}",
            Self::Mode { subject: None, .. } => "GET /mode",
            Self::Mode { .. } => "GET /mode/{subject}",
            Self::SetMode { subject: None, .. } => "PUT /mode",
            Self::SetMode { .. } => "PUT /mode/{subject}",
            Self::ClearMode { subject: None, .. } => "DELETE /mode",
            Self::ClearMode { .. } => "DELETE /mode/{subject}",
            Self::Contexts { .. } => "GET /contexts",
            Self::DeleteContext { .. } => "DELETE /contexts/{context}",
            Self::ClusterId => "GET /v1/metadata/id",
            Self::RegistryVersion => "GET /v1/metadata/version",
            Self::Deployment => "GET /v1/metadata/deployment",
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
