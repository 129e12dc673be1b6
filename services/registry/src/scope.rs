//! What a caller gets to see who may use only some subjects: lists have those alone, and a schema is given by its id or GUID only
//! if one of those has it, or had it before a soft delete.
//!
//! It asks for no more than whoever may use everything could ask, so it holds in front of an upstream registry too.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::access::Caller;
use crate::api::{Reply, Request};
use crate::error::RegistryError;
use crate::front::Front;
use crate::name::{DEFAULT_CONTEXT, context_of};
use crate::query::Page;
use crate::route::{AllSchemas, ById, Call};
use crate::subject::Which;

/// In front of a prefix of subjects: in any context.
const ANY_CONTEXT: &str = ":*:";

/// An answer, or the refusal that another registry gave instead of a list.
type List = Result<Vec<Value>, Reply>;

/// Answers a request of a caller who may use only some subjects; the call itself was found to be allowed.
///
/// # Errors
/// When no subject of the caller's has the schema, or as [`Front::unscoped`].
pub(crate) async fn answer(front: &Front, request: &Request) -> Result<Reply, RegistryError> {
    let caller = &request.caller;
    match &request.call {
        Call::Schema { by, .. } | Call::SchemaText { by } => match hidden(front, caller, by).await? {
            Some(refusal) => Ok(refusal),
            None => front.unscoped(request).await,
        },
        Call::SchemaVersions { by, page, .. } | Call::SchemaSubjects { by, page, .. } => {
            if let Some(refusal) = hidden(front, caller, by).await? {
                return Ok(refusal);
            }
            let is_own = |entry: &Value| subject_of(entry).is_some_and(|subject| caller.may_use(subject));
            filtered(front, without_page(request), *page, is_own).await
        }
        Call::Guid { guid } | Call::GuidIds { guid } => of_guid(front, request, guid).await,
        Call::Subjects { which, prefix, page } => {
            let target = |prefix: &str, page: &str| {
                let (deleted, only) = (*which == Which::All, *which == Which::Deleted);
                format!("/subjects?subjectPrefix={prefix}&deleted={deleted}&deletedOnly={only}{page}")
            };
            list(front, caller, (prefix, *page), target).await
        }
        Call::Schemas(AllSchemas { deleted, latest_only, prefix, page }) => {
            let target = |prefix: &str, page: &str| {
                format!("/schemas?subjectPrefix={prefix}&deleted={deleted}&latestOnly={latest_only}{page}")
            };
            list(front, caller, (prefix, *page), target).await
        }
        Call::Contexts { prefix, page } => {
            let target = format!("/contexts?contextPrefix={}", encoded(prefix));
            let has_own = |entry: &Value| {
                let own = |prefix: &String| entry.as_str() == Some(context_of(prefix));
                caller.prefixes().iter().any(own)
            };
            filtered(front, target, *page, has_own).await
        }
        _ => front.unscoped(request).await,
    }
}

/// Nothing when a subject of the caller's has the schema; else what is to be answered instead of it.
async fn hidden(front: &Front, caller: &Caller, by: &ById) -> Result<Option<Reply>, RegistryError> {
    match subjects(front, by).await? {
        Err(refusal) => Ok(Some(refusal)),
        Ok(subjects) if has_own(caller, &subjects) => Ok(None),
        Ok(_) => {
            let allowed = caller.prefixes().join(" or ");
            let what =
                format!("may use subjects that begin with {allowed}, none of which has schema {}", by.id);
            Err(caller.forbidden(&what))
        }
    }
}

/// A GUID stands for the same schema in several contexts.
async fn of_guid(front: &Front, request: &Request, guid: &str) -> Result<Reply, RegistryError> {
    let caller = &request.caller;
    let mut own = Vec::new();
    match entries(front, format!("/schemas/guids/{}/ids", encoded(guid))).await? {
        Err(refusal) => return Ok(refusal),
        Ok(places) => {
            for place in places {
                let id = place.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
                let context = place.get("context").and_then(Value::as_str).unwrap_or(DEFAULT_CONTEXT);
                let by = ById { context: context.into(), id: id.unwrap_or_default() };
                if subjects(front, &by).await?.is_ok_and(|subjects| has_own(caller, &subjects)) {
                    own.push(place);
                }
            }
        }
    }
    if own.is_empty() {
        let allowed = caller.prefixes().join(" or ");
        let what = format!("may use subjects that begin with {allowed}, none of which has schema {guid}");
        return Err(caller.forbidden(&what));
    }
    if matches!(request.call, Call::GuidIds { .. }) {
        return Ok(reply(own.into_iter(), Page::default()));
    }
    front.unscoped(request).await
}

/// A list of subjects or of their versions. With one prefix that counts it is a list like any other; several lists follow each other.
async fn list(
    front: &Front,
    caller: &Caller,
    (wanted, page): (&str, Page),
    target: impl Fn(&str, &str) -> String,
) -> Result<Reply, RegistryError> {
    let prefixes = narrowed(caller.prefixes(), wanted);
    if let [only] = &*prefixes {
        let limit = page.limit.map_or_else(String::new, |limit| format!("&limit={limit}"));
        let page = format!("&offset={}{limit}", page.offset);
        return front.unscoped(&Request::get(target(&encoded(only), &page))?).await;
    }
    let mut all = Vec::new();
    for prefix in prefixes {
        match entries(front, target(&encoded(&prefix), "")).await? {
            Err(refusal) => return Ok(refusal),
            Ok(entries) => all.extend(entries),
        }
    }
    Ok(reply(all.into_iter(), page))
}

/// The entries of a list that the caller may see.
async fn filtered(
    front: &Front,
    target: String,
    page: Page,
    is_own: impl Fn(&Value) -> bool,
) -> Result<Reply, RegistryError> {
    Ok(match entries(front, target).await? {
        Err(refusal) => refusal,
        Ok(entries) => reply(entries.into_iter().filter(is_own), page),
    })
}

async fn subjects(front: &Front, by: &ById) -> Result<List, RegistryError> {
    let ById { context, id } = by;
    let within = match &**context {
        DEFAULT_CONTEXT => String::new(),
        context => format!("/contexts/{}", encoded(context)),
    };
    entries(front, format!("{within}/schemas/ids/{id}/subjects?deleted=true")).await
}

async fn entries(front: &Front, target: String) -> Result<List, RegistryError> {
    let reply = front.unscoped(&Request::get(target)?).await?;
    if !reply.status.is_success() {
        return Ok(Err(reply));
    }
    // What is no list has nothing that could be shown.
    Ok(Ok(serde_json::from_slice(&reply.body).unwrap_or_default()))
}

fn has_own(caller: &Caller, subjects: &[Value]) -> bool {
    subjects.iter().filter_map(subject_of).any(|subject| caller.may_use(subject))
}

/// The subject of an entry: a name, or an object with one.
fn subject_of(entry: &Value) -> Option<&str> {
    entry.as_str().or_else(|| entry.get("subject")?.as_str())
}

fn reply(entries: impl Iterator<Item = Value>, page: Page) -> Reply {
    Reply::from(bytes::Bytes::from(Value::from_iter(page.of(entries)).to_string()))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Path and query of a request, without the part of the list that it wants.
fn without_page(request: &Request) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let is_page = |pair: &&str| ["offset", "limit"].contains(&pair.split('=').next().unwrap_or(""));
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_page(pair)).collect();
    format!("{path}?{}", rest.join("&"))
}

/// The prefixes that together have the subjects which begin with a prefix of the caller's and with the wanted one, in order and
/// without those that another one has already.
fn narrowed(own: &[String], wanted: &str) -> Vec<String> {
    let mut prefixes: Vec<String> = own.iter().filter_map(|own| both(own, wanted)).collect();
    prefixes.sort_unstable();
    prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
    prefixes
}

/// The prefix of what begins with both; none where nothing can.
fn both(own: &str, wanted: &str) -> Option<String> {
    let longer = |a: &str, b: &str| {
        let longer = if a.len() > b.len() { a } else { b };
        (longer.starts_with(a) && longer.starts_with(b)).then(|| longer.to_owned())
    };
    if let Some(wanted) = wanted.strip_prefix(ANY_CONTEXT) {
        let context = match context_of(own) {
            DEFAULT_CONTEXT => String::new(),
            context => format!(":{context}:"),
        };
        let name = own.strip_prefix(&context)?;
        return longer(name, wanted).map(|name| format!("{context}{name}"));
    }
    match wanted.strip_prefix(":.:") {
        Some(wanted) => longer(own, wanted).filter(|prefix| context_of(prefix) == DEFAULT_CONTEXT),
        None => longer(own, wanted),
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
