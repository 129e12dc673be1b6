//! Paths: method and segments to a call.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::{AllSchemas, ById, Call, OfVersion};
use crate::error::RegistryError;
use crate::name;
use crate::query::Query;
use crate::subject::VersionRef;

/// A call, unless a version in the path is none; nothing where there is no such path.
type Found = Option<Result<Call, RegistryError>>;

/// What a path is read with.
struct Path<'a> {
    method: &'a Method,
    query: &'a Query,
    /// The context in front of the path.
    context: Option<&'a str>,
}

/// Finds the call of a method and a path.
pub(super) fn find(method: &Method, path: &str, query: &Query) -> Result<Call, RegistryError> {
    let segments = segments(path).ok_or(RegistryError::PathNotFound)?;
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    let find = |method| match &*segments {
        ["contexts", context, rest @ ..] if !rest.is_empty() => {
            let context = Some(name::context(context)?);
            Path { method, query, context }.call(rest)
        }
        all => Path { method, query, context: None }.call(all),
    };
    if let Some(call) = find(method) {
        return call;
    }
    let others = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let allowed: Vec<&str> =
        others.iter().filter(|other| find(other).is_some()).map(Method::as_str).collect();
    Err(if allowed.is_empty() {
        RegistryError::PathNotFound
    } else {
        RegistryError::MethodNotAllowed(allowed.join(", "))
    })
}

/// The decoded segments of a path; none when one is not UTF-8.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8().ok()).collect()
}

impl Path<'_> {
    fn call(&self, segments: &[&str]) -> Found {
        let found = match segments {
            ["contexts", context] if self.method == Method::DELETE => {
                Some(Call::DeleteContext { context: name::context(context)?.into() })
            }
            ["schemas", "ids", id, rest @ ..] => self.get(self.by_id(id, rest)?),
            ["schemas", "guids", guid] => self.get(Call::Guid { guid: (*guid).into() }),
            ["schemas", "guids", guid, "ids"] => self.get(Call::GuidIds { guid: (*guid).into() }),
            ["subjects", subject] => self.subject((*subject).into()),
            ["subjects", subject, "metadata"] => self.get(self.latest_with(subject)),
            ["subjects", subject, "versions"] => self.versions(subject),
            ["subjects", subject, "versions", version, rest @ ..] => {
                return self.version(subject, version, rest);
            }
            ["compatibility", "subjects", subject, "versions", version @ ..] => {
                return self.compatibility(subject, version);
            }
            ["config"] => self.config(self.all_subjects()),
            ["config", subject] => self.config(Some(self.qualified(subject))),
            ["mode"] => self.mode(self.all_subjects()),
            ["mode", subject] => self.mode(Some(self.qualified(subject))),
            _ => self.plain(segments),
        };
        found.map(Ok)
    }

    /// Calls without a name in the path, all of them GET.
    fn plain(&self, segments: &[&str]) -> Option<Call> {
        let call = match segments {
            [] if self.method == Method::POST => return Some(Call::Probe),
            [] => Call::Root,
            ["openapi.json"] => Call::OpenApi,
            ["schemas"] => Call::Schemas(AllSchemas {
                deleted: self.query.flag("deleted"),
                latest_only: self.query.flag("latestOnly"),
                prefix: self.prefix(),
                page: self.query.page(),
            }),
            ["schemas", "types"] => Call::SchemaTypes,
            ["subjects"] => {
                Call::Subjects { which: self.query.which(), prefix: self.prefix(), page: self.query.page() }
            }
            ["contexts"] => Call::Contexts {
                prefix: self.query.get("contextPrefix").unwrap_or("").into(),
                page: self.query.page(),
            },
            ["v1", "metadata", "id"] => Call::ClusterId,
            ["v1", "metadata", "version"] => Call::RegistryVersion,
            ["v1", "metadata", "deployment"] => Call::Deployment,
            _ => return None,
        };
        self.get(call)
    }

    fn get(&self, call: Call) -> Option<Call> {
        (self.method == Method::GET).then_some(call)
    }

    fn qualified(&self, subject: &str) -> Arc<str> {
        name::qualified(self.context, subject).into()
    }

    /// What settings without a subject are about: the context of the path, or everything.
    fn all_subjects(&self) -> Option<Arc<str>> {
        self.context.filter(|context| *context != name::DEFAULT_CONTEXT).map(|_| self.qualified(""))
    }

    fn prefix(&self) -> String {
        let prefix = self.query.get("subjectPrefix");
        match self.context {
            Some(_) => name::qualified(self.context, prefix.unwrap_or("")).into_owned(),
            None => prefix.unwrap_or("").to_owned(),
        }
    }

    fn by_id(&self, id: &str, rest: &[&str]) -> Option<Call> {
        let subject = self.query.get("subject").filter(|subject| !subject.is_empty());
        let subject = subject.map(|subject| self.qualified(subject));
        let context = subject.as_deref().map(name::context_of).or(self.context);
        let by = ById { context: context.unwrap_or(name::DEFAULT_CONTEXT).into(), id: id.parse().ok()? };
        let subject = subject.filter(|subject| !name::is_context(subject));
        let (deleted, page) = (self.query.flag("deleted"), self.query.page());
        match rest {
            [] => Some(Call::Schema { by, max_id: self.query.flag("fetchMaxId") }),
            ["schema"] => Some(Call::SchemaText { by }),
            ["versions"] => Some(Call::SchemaVersions { by, subject, deleted, page }),
            ["subjects"] => Some(Call::SchemaSubjects { by, subject, deleted, page }),
            _ => None,
        }
    }

    fn subject(&self, subject: String) -> Option<Call> {
        let subject = self.qualified(&subject);
        let (deleted, normalize) = (self.query.flag("deleted"), self.query.flag("normalize"));
        match *self.method {
            Method::POST => Some(Call::LookUp { subject, deleted, normalize }),
            Method::DELETE => Some(Call::DeleteSubject { subject, permanent: self.query.flag("permanent") }),
            _ => None,
        }
    }

    fn latest_with(&self, subject: &str) -> Call {
        let pairs = self.query.all("key").zip(self.query.all("value"));
        Call::LatestWith {
            subject: self.qualified(subject),
            properties: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            deleted: self.query.flag("deleted"),
        }
    }

    fn versions(&self, subject: &str) -> Option<Call> {
        let subject = self.qualified(subject);
        match *self.method {
            Method::GET => {
                Some(Call::Versions { subject, which: self.query.which(), page: self.query.page() })
            }
            Method::POST => Some(Call::Register { subject, normalize: self.query.flag("normalize") }),
            _ => None,
        }
    }

    fn version(&self, subject: &str, version: &str, rest: &[&str]) -> Found {
        let is_known = match *self.method {
            Method::GET => matches!(rest, [] | ["schema" | "referencedby"]),
            Method::DELETE => rest.is_empty(),
            Method::POST => rest == ["tags"],
            _ => false,
        };
        if !is_known {
            return None;
        }
        let version = match VersionRef::parse(version) {
            Ok(version) => version,
            Err(error) => return Some(Err(error)),
        };
        let subject = self.qualified(subject);
        match *self.method {
            Method::DELETE => {
                let permanent = self.query.flag("permanent");
                return Some(Ok(Call::DeleteVersion { subject, version, permanent }));
            }
            Method::POST => return Some(Ok(Call::ChangeTags { subject, version })),
            _ => {}
        }
        let of = OfVersion { subject, version, deleted: self.query.flag("deleted") };
        Some(Ok(match rest {
            ["schema"] => Call::VersionText(of),
            ["referencedby"] => Call::ReferencedBy { of, page: self.query.page() },
            _ => Call::Version(of),
        }))
    }

    fn compatibility(&self, subject: &str, version: &[&str]) -> Found {
        if self.method != Method::POST {
            return None;
        }
        let version = match version {
            [] => None,
            [version] => match VersionRef::parse(version) {
                Ok(version) => Some(version),
                Err(error) => return Some(Err(error)),
            },
            _ => return None,
        };
        let (normalize, verbose) = (self.query.flag("normalize"), self.query.flag("verbose"));
        Some(Ok(Call::Compatibility { subject: self.qualified(subject), version, normalize, verbose }))
    }

    fn config(&self, subject: Option<Arc<str>>) -> Option<Call> {
        match *self.method {
            Method::GET => {
                Some(Call::Config { subject, default_to_global: self.query.flag("defaultToGlobal") })
            }
            Method::PUT => Some(Call::SetConfig { subject }),
            Method::DELETE => Some(Call::ClearConfig { subject }),
            _ => None,
        }
    }

    fn mode(&self, subject: Option<Arc<str>>) -> Option<Call> {
        match *self.method {
            Method::GET => {
                Some(Call::Mode { subject, default_to_global: self.query.flag("defaultToGlobal") })
            }
            Method::PUT => Some(Call::SetMode { subject, force: self.query.flag("force") }),
            Method::DELETE => Some(Call::ClearMode { subject, recursive: self.query.flag("recursive") }),
            _ => None,
        }
    }
}
