//! Paths of the REST interface: which call a request is. Pure.
//!
//! Empty segments do not count, so trailing and double slashes are tolerated. Names are percent-decoded. Query parameters
//! that are not known are ignored, `normalize` among them: nothing is normalised beyond [`crate::avro::normal_form`].

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use crate::error::RegistryError;
use crate::state::VersionRef;

/// One request, as far as its path and query say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Is there a registry?
    Root,
    /// Kinds of schemas that can be registered.
    SchemaTypes,
    /// A schema by its id; `max_id` adds the highest id there is.
    Schema { id: u32, max_id: bool },
    /// The text of a schema by its id.
    SchemaText { id: u32 },
    /// Subjects and versions that have a schema.
    SchemaVersions { id: u32, deleted: bool },
    /// Subjects that have a schema.
    SchemaSubjects { id: u32, deleted: bool },
    /// Names of subjects.
    Subjects { which: Which, prefix: String },
    /// Versions of a subject.
    Versions { subject: Arc<str>, which: Which },
    /// One version.
    Version { subject: Arc<str>, version: VersionRef, deleted: bool },
    /// The text of one version.
    VersionText { subject: Arc<str>, version: VersionRef, deleted: bool },
    /// The version of a subject that has the schema in the body.
    LookUp { subject: Arc<str>, deleted: bool },
    /// Registers the schema in the body.
    Register { subject: Arc<str> },
    /// Deletes a subject.
    DeleteSubject { subject: Arc<str>, permanent: bool },
    /// Deletes a version.
    DeleteVersion { subject: Arc<str>, version: VersionRef, permanent: bool },
    /// Compatibility level of a subject, or the global one.
    Level { subject: Option<Arc<str>>, default_to_global: bool },
    /// Sets the level in the body.
    SetLevel { subject: Option<Arc<str>> },
    /// Takes a level back.
    ClearLevel { subject: Option<Arc<str>> },
}

/// Which versions a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not deleted.
    Live,
    /// Softly deleted ones too.
    All,
    /// Only softly deleted ones.
    Deleted,
}

impl Call {
    /// Finds the call of a request.
    ///
    /// # Errors
    /// When there is no such path, or not with this method, or a version in it is none.
    pub fn find(method: &Method, path: &str, query: &str) -> Result<Self, RegistryError> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let segments = segments(path).ok_or(RegistryError::PathNotFound)?;
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        let query = Query::parse(query);
        if let Some(call) = call(method, &segments, &query) {
            return call;
        }
        let others = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
        let is_known = others.iter().any(|other| call(other, &segments, &query).is_some());
        Err(if is_known { RegistryError::MethodNotAllowed } else { RegistryError::PathNotFound })
    }

    /// Whether it changes what the registry knows.
    pub const fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Register { .. }
                | Self::DeleteSubject { .. }
                | Self::DeleteVersion { .. }
                | Self::SetLevel { .. }
                | Self::ClearLevel { .. }
        )
    }

    /// Name of the route, for the metric.
    pub const fn route(&self) -> &'static str {
        match self {
            Self::Root => "GET /",
            Self::SchemaTypes => "GET /schemas/types",
            Self::Schema { .. } => "GET /schemas/ids/{id}",
            Self::SchemaText { .. } => "GET /schemas/ids/{id}/schema",
            Self::SchemaVersions { .. } => "GET /schemas/ids/{id}/versions",
            Self::SchemaSubjects { .. } => "GET /schemas/ids/{id}/subjects",
            Self::Subjects { .. } => "GET /subjects",
            Self::Versions { .. } => "GET /subjects/{subject}/versions",
            Self::Version { .. } => "GET /subjects/{subject}/versions/{version}",
            Self::VersionText { .. } => "GET /subjects/{subject}/versions/{version}/schema",
            Self::LookUp { .. } => "POST /subjects/{subject}",
            Self::Register { .. } => "POST /subjects/{subject}/versions",
            Self::DeleteSubject { .. } => "DELETE /subjects/{subject}",
            Self::DeleteVersion { .. } => "DELETE /subjects/{subject}/versions/{version}",
            Self::Level { subject: None, .. } => "GET /config",
            Self::Level { .. } => "GET /config/{subject}",
            Self::SetLevel { subject: None } => "PUT /config",
            Self::SetLevel { .. } => "PUT /config/{subject}",
            Self::ClearLevel { subject: None } => "DELETE /config",
            Self::ClearLevel { .. } => "DELETE /config/{subject}",
        }
    }
}

fn call(method: &Method, segments: &[&str], query: &Query) -> Option<Result<Call, RegistryError>> {
    let found = match segments {
        [] => (method == Method::GET).then_some(Call::Root),
        ["schemas", "types"] => (method == Method::GET).then_some(Call::SchemaTypes),
        ["schemas", "ids", id, rest @ ..] if method == Method::GET => schema_call(id, rest, query),
        ["subjects"] => (method == Method::GET).then(|| Call::Subjects {
            which: query.which(),
            prefix: query.get("subjectPrefix").unwrap_or("").into(),
        }),
        ["subjects", subject] => subject_call(method, (*subject).into(), query),
        ["subjects", subject, "versions"] => versions_call(method, (*subject).into(), query),
        ["subjects", subject, "versions", version, rest @ ..] => {
            return version_call(method, ((*subject).into(), version), rest, query);
        }
        ["config"] => level_call(method, None, query),
        ["config", subject] => level_call(method, Some((*subject).into()), query),
        _ => None,
    };
    found.map(Ok)
}

fn schema_call(id: &str, rest: &[&str], query: &Query) -> Option<Call> {
    let id = id.parse().ok()?;
    let deleted = query.flag("deleted");
    match rest {
        [] => Some(Call::Schema { id, max_id: query.flag("fetchMaxId") }),
        ["schema"] => Some(Call::SchemaText { id }),
        ["versions"] => Some(Call::SchemaVersions { id, deleted }),
        ["subjects"] => Some(Call::SchemaSubjects { id, deleted }),
        _ => None,
    }
}

fn subject_call(method: &Method, subject: Arc<str>, query: &Query) -> Option<Call> {
    match *method {
        Method::POST => Some(Call::LookUp { subject, deleted: query.flag("deleted") }),
        Method::DELETE => Some(Call::DeleteSubject { subject, permanent: query.flag("permanent") }),
        _ => None,
    }
}

fn versions_call(method: &Method, subject: Arc<str>, query: &Query) -> Option<Call> {
    match *method {
        Method::GET => Some(Call::Versions { subject, which: query.which() }),
        Method::POST => Some(Call::Register { subject }),
        _ => None,
    }
}

fn version_call(
    method: &Method,
    (subject, version): (Arc<str>, &str),
    rest: &[&str],
    query: &Query,
) -> Option<Result<Call, RegistryError>> {
    let is_text = match rest {
        [] => false,
        ["schema"] if method == Method::GET => true,
        _ => return None,
    };
    if method != Method::GET && method != Method::DELETE {
        return None;
    }
    let deleted = query.flag("deleted");
    Some(VersionRef::parse(version).map(|version| match (method == Method::DELETE, is_text) {
        (true, _) => Call::DeleteVersion { subject, version, permanent: query.flag("permanent") },
        (false, true) => Call::VersionText { subject, version, deleted },
        (false, false) => Call::Version { subject, version, deleted },
    }))
}

fn level_call(method: &Method, subject: Option<Arc<str>>, query: &Query) -> Option<Call> {
    match *method {
        Method::GET => Some(Call::Level { subject, default_to_global: query.flag("defaultToGlobal") }),
        Method::PUT => Some(Call::SetLevel { subject }),
        Method::DELETE => Some(Call::ClearLevel { subject }),
        _ => None,
    }
}

/// The decoded segments of a path; none when one is not UTF-8.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8().ok()).collect()
}

/// Query parameters; of a name that comes twice the first counts.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Self {
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `true` in any case; Python's clients send `True` and `False`.
    fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn which(&self) -> Which {
        match (self.flag("deletedOnly"), self.flag("deleted")) {
            (true, _) => Which::Deleted,
            (false, true) => Which::All,
            (false, false) => Which::Live,
        }
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
