//! Who may ask, and for which subjects. Which of the rules need no look at what the registry knows stand here; the others in
//! [`crate::scope`].
//!
//! Every request has a [`Caller`], which only [`Access::admit`] makes of what a client shows. It is checked wherever a request is
//! answered: also where a replica has a write made by another one, which shows the credential of its client.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use efd_service::Secret;
use efd_service::server::credentials::{Credential as _, Guard};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::Request;
use crate::error::RegistryError;
use crate::limits::{LimitsConfig, Rate};
use crate::name::{context_of, qualified};
use crate::route::Call;

/// One who may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Name, for the log, for `Basic`, and for the variable with the token: `EFD_REGISTRY_TOKEN_<NAME>` or
    /// `EFD_REGISTRY_TOKEN_<NAME>_FILE`, in capitals, `-` as `_`. Letters, digits, `-` and `_`.
    pub name: String,
    /// Beginnings of the subjects that it may use, with the context in front (`:.lab:`). Empty: all, and the global settings.
    pub prefixes: Vec<String>,
    /// It may change nothing. Default false.
    pub read_only: bool,
    /// Token; only from the environment.
    pub token: Secret,
}

impl efd_service::server::credentials::Credential for Credential {
    const VARIABLE: &'static str = "EFD_REGISTRY_TOKEN_";

    fn name(&self) -> &str {
        &self.name
    }

    fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    fn token(&self) -> &Secret {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Secret {
        &mut self.token
    }
}

/// Knows all credentials, and how much each has asked for.
#[derive(Debug)]
pub(crate) struct Access {
    guard: Guard<Credential>,
    of_all: Option<Rate>,
    of_each: HashMap<String, Rate>,
}

/// One whose credential was found good; none: anybody where none are asked for, and the registry itself.
#[derive(Debug, Clone, Default)]
pub struct Caller(Option<Arc<Credential>>);

impl Access {
    /// Of these credentials; none: everybody may ask.
    pub(crate) fn new(credentials: &[Credential], limits: &LimitsConfig) -> Self {
        let each = |credential: &Credential| {
            Some((credential.name.clone(), Rate::new(limits.requests_per_second_each)?))
        };
        Self {
            guard: Guard::new(credentials.to_vec()),
            of_all: Rate::new(limits.requests_per_second),
            of_each: credentials.iter().filter_map(each).collect(),
        }
    }

    /// Who asks, from the header `Authorization` (in gRPC the metadata `authorization`). Counts as a request.
    ///
    /// # Errors
    /// When more is asked than may be, or credentials are asked for, and none or unknown ones are shown.
    pub(crate) fn admit(&self, authorization: Option<&HeaderValue>) -> Result<Caller, RegistryError> {
        take(self.of_all.as_ref(), || "of all callers together".into())?;
        // What is no text is no credential that is known.
        let shown = authorization.map(|value| value.to_str().unwrap_or_default());
        let caller = self.guard.caller(shown).map_err(RegistryError::Unauthenticated)?;
        if let Some(credential) = &caller {
            take(self.of_each.get(&credential.name), || format!("of {}", credential.name))?;
        }
        Ok(Caller(caller))
    }
}

fn take(rate: Option<&Rate>, whose: impl Fn() -> String) -> Result<(), RegistryError> {
    let busy = |wait: Duration| RegistryError::TooManyRequests {
        whose: format!("more requests {} than may come in a second", whose()),
        retry_after: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
    };
    rate.map_or(Ok(()), |rate| rate.take().map_err(busy))
}

impl Caller {
    /// Name of its credential; `anonymous` where none are asked for.
    pub(crate) fn name(&self) -> &str {
        self.0.as_ref().map_or("anonymous", |credential| &credential.name)
    }

    /// Beginnings of the subjects that it may use; empty: all.
    pub(crate) fn prefixes(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |credential| &credential.prefixes)
    }

    /// Whether it may use a subject.
    pub(crate) fn may_use(&self, subject: &str) -> bool {
        self.0.as_ref().is_none_or(|credential| credential.covers(subject))
    }

    /// Refuses what the credential does not allow, as far as the request alone says it.
    ///
    /// # Errors
    /// [`RegistryError::Forbidden`].
    pub(crate) fn check(&self, request: &Request) -> Result<(), RegistryError> {
        let Some(credential) = &self.0 else { return Ok(()) };
        let call = &request.call;
        if credential.read_only && call.is_change() {
            return Err(self.forbidden("may only read"));
        }
        if credential.prefixes.is_empty() {
            return Ok(());
        }
        match call {
            Call::DeleteContext { context } => self.check_subject(&format!(":{context}:"))?,
            call => match call.subject() {
                Some(subject) => self.check_subject(subject)?,
                None if call.is_change() => {
                    return Err(self.forbidden("may not change what is for all subjects"));
                }
                None => {}
            },
        }
        named_in_body(request).iter().try_for_each(|subject| self.check_subject(subject))
    }

    fn check_subject(&self, subject: &str) -> Result<(), RegistryError> {
        if self.may_use(subject) {
            return Ok(());
        }
        let allowed = self.prefixes().join(" or ");
        Err(self.forbidden(&format!("may use subjects that begin with {allowed}, not '{subject}'")))
    }

    /// Why this caller is refused.
    pub(crate) fn forbidden(&self, what: &str) -> RegistryError {
        RegistryError::Forbidden(format!("{} {what} (setting credentials)", self.name()))
    }
}

/// Subjects that a body speaks of beside the one in the path: those of references, and the one that a name is to stand for.
fn named_in_body(request: &Request) -> Vec<String> {
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    match &request.call {
        Call::Register { subject, .. }
        | Call::LookUp { subject, .. }
        | Call::Compatibility { subject, .. } => {
            let body = body();
            let references = body.get("references").and_then(Value::as_array).into_iter().flatten();
            let named = references.filter_map(|reference| reference.get("subject")?.as_str());
            named.map(|name| qualified(Some(context_of(subject)), name).into_owned()).collect()
        }
        Call::SetConfig { .. } => {
            body().get("alias").and_then(Value::as_str).map(str::to_owned).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
