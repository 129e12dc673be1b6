//! Who may ask the gateway, and what for.

use std::sync::Arc;

use efd_service::Secret;
use efd_service::server::credentials::{Credential as _, Denied, Guard};
use serde::{Deserialize, Serialize};

use crate::error::QueryError;
use crate::quota::QuotaConfig;

/// One who may ask.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Name, for the log, for `Basic` and InfluxDB's `u`, and for the variable with the token: `EFD_GATEWAY_TOKEN_<NAME>` or
    /// `EFD_GATEWAY_TOKEN_<NAME>_FILE`, in capitals, `-` as `_`. Letters, digits, `-` and `_`.
    pub name: String,
    /// Beginnings of the topics (measurements) that it may read. Empty: all.
    pub prefixes: Vec<String>,
    /// Databases that it may read. Empty: all that the gateway may.
    pub databases: Vec<String>,
    /// How much it may ask. None: what the setting `quota` says.
    pub quota: Option<QuotaConfig>,
    /// Token; only from the environment.
    pub token: Secret,
}

impl efd_service::server::credentials::Credential for Credential {
    const VARIABLE: &'static str = "EFD_GATEWAY_TOKEN_";

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

/// Knows all credentials; clones share them.
#[derive(Debug, Clone)]
pub struct Access(Guard<Credential>);

/// One whose credentials were found good, or anybody where none are asked for.
#[derive(Debug, Clone, Default)]
pub struct Caller(Option<Arc<Credential>>);

impl Access {
    /// Of these credentials; none: everybody may ask.
    pub fn new(credentials: &[Credential]) -> Self {
        Self(Guard::new(credentials.to_vec()))
    }

    /// Who the caller is, from the header `Authorization` (in gRPC the metadata `authorization`): `Bearer`, `Basic`, or
    /// InfluxDB's `Token`, behind which a token stands alone or as `name:token`.
    ///
    /// # Errors
    /// When credentials are asked for, and none or unknown ones are shown.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Caller, Denied> {
        let token = authorization.and_then(|text| text.trim().split_once(' '));
        match token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("token")) {
            Some((_, shown)) if !self.0.is_open() => {
                let shown = shown.trim();
                let pair = shown.split_once(':');
                let (user, token) = pair.map_or((None, shown), |(user, token)| (Some(user), token));
                self.named(user, token)
            }
            _ => self.0.caller(authorization).map(Caller),
        }
    }

    /// Who has this token and, where one is given, this name.
    ///
    /// # Errors
    /// When credentials are asked for and it is none of them.
    pub fn named(&self, user: Option<&str>, token: &str) -> Result<Caller, Denied> {
        if self.0.is_open() {
            return Ok(Caller::default());
        }
        self.0.find(user, token).map(|credential| Caller(Some(credential)))
    }
}

tokio::task_local! {
    /// Who makes the call that the current task answers.
    static CALLER: Caller;
}

impl From<Credential> for Caller {
    fn from(credential: Credential) -> Self {
        Self(Some(Arc::new(credential)))
    }
}

impl Caller {
    /// Runs `answering` as work for this caller; see [`current`](Self::current).
    pub fn scope<F: Future>(self, answering: F) -> impl Future<Output = F::Output> {
        CALLER.scope(self, answering)
    }

    /// For whom the current task works, so that no call can forget to ask.
    ///
    /// # Errors
    /// `Unauthenticated` outside of [`scope`](Self::scope).
    pub fn current() -> Result<Self, QueryError> {
        CALLER.try_with(Clone::clone).map_err(|_| QueryError::Unauthenticated)
    }

    /// Name of its credential; `anonymous` where none are asked for.
    pub fn name(&self) -> &str {
        self.0.as_ref().map_or("anonymous", |credential| &credential.name)
    }

    /// Its own token; empty where none are asked for.
    pub fn token(&self) -> &str {
        self.0.as_ref().map_or("", |credential| credential.token.expose())
    }

    /// Beginnings of the topics that it may read; empty: all.
    pub fn prefixes(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |credential| &credential.prefixes)
    }

    /// Databases that it may read; empty: all.
    pub fn databases(&self) -> &[String] {
        self.0.as_ref().map_or(&[], |credential| &credential.databases)
    }

    /// Whether it may read a topic.
    pub fn may_read(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|credential| credential.covers(topic))
    }

    /// As [`may_read`](Self::may_read), with the reason.
    ///
    /// # Errors
    /// `ForbiddenTopic`.
    pub fn check_topic(&self, topic: &str) -> Result<(), QueryError> {
        if self.may_read(topic) {
            return Ok(());
        }
        let allowed = self.prefixes().join(" or ");
        Err(QueryError::ForbiddenTopic { topic: topic.chars().take(200).collect(), allowed })
    }

    /// Whether it may read a database.
    pub fn may_read_database(&self, database: &str) -> bool {
        let databases = self.databases();
        databases.is_empty() || databases.iter().any(|name| name == database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let credential = |name: &str, token: &str| Credential {
            name: name.into(),
            token: Secret::from(token),
            prefixes: vec![format!("lsst.{name}.")],
            databases: vec!["efd".into()],
            quota: None,
        };
        Access::new(&[credential("dome", "t0ken"), credential("lab", "s3cret")])
    }

    #[test]
    fn a_token_is_shown_in_all_the_ways_that_clients_of_influxdb_know() {
        let access = access();
        let name = |shown: &str| access.caller(Some(shown)).map(|caller| caller.name().to_owned());
        for shown in ["Bearer t0ken", "Token t0ken", "token dome:t0ken", "Token  t0ken"] {
            assert_eq!(name(shown).as_deref(), Ok("dome"), "{shown}");
        }
        for shown in ["Token lab:t0ken", "Token", "Token s3cre", "Bearer dome:t0ken"] {
            assert_eq!(name(shown), Err(Denied::Unknown), "{shown}");
        }
        assert_eq!(access.named(Some("lab"), "s3cret").unwrap().name(), "lab");
        assert_eq!(access.named(Some("lab"), "t0ken").unwrap_err(), Denied::Unknown);
        assert_eq!(access.caller(None).unwrap_err(), Denied::Missing);
    }

    #[test]
    fn a_caller_reads_what_its_credential_says() {
        let caller = access().caller(Some("Bearer t0ken")).unwrap();
        assert!(caller.may_read("lsst.dome.x") && !caller.may_read("lsst.lab.x"));
        assert!(caller.may_read_database("efd") && !caller.may_read_database("other"));
        let anybody = Access::new(&[]).caller(Some("Token x")).unwrap();
        assert_eq!((anybody.name(), anybody.token()), ("anonymous", ""));
        assert!(anybody.may_read("x") && anybody.may_read_database("y"));
    }
}
