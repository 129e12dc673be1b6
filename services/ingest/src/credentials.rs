//! Who may send to the sources that listen on the network: named credentials, each with a token and the topics it may
//! write to.
//!
//! A caller shows its token as `Bearer <token>`, or as the password of `Basic` with the name of the credential as user.
//! Without any credential in the settings everybody may send.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efd_service::{ConfigError, Env, Secret};
use serde::{Deserialize, Serialize};

/// Beginning of the variables that hold tokens; the name of the credential follows.
const VARIABLE: &str = "EFD_INGEST_TOKEN_";

/// One who may send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credential {
    /// Name, for the log, for `Basic`, and for the variable with the token: `EFD_INGEST_TOKEN_<NAME>` or
    /// `EFD_INGEST_TOKEN_<NAME>_FILE`, in capitals, `-` as `_`. Letters, digits, `-` and `_`.
    pub name: String,
    /// Beginnings of the Kafka topics that it may write to. Empty: all that the source takes.
    pub prefixes: Vec<String>,
    /// Token; only from the environment.
    pub token: Secret,
}

impl Credential {
    /// Name of the variable that holds the token.
    pub fn variable(&self) -> String {
        format!("{VARIABLE}{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// Takes the tokens from the environment.
///
/// # Errors
/// When a secret's file cannot be read.
pub fn overlay(credentials: &mut [Credential], env: &Env) -> Result<(), ConfigError> {
    for credential in credentials {
        if let Some(token) = env.secret(&credential.variable())? {
            credential.token = token;
        }
    }
    Ok(())
}

/// Every credential has a name of its own and a token; `setting` is where they stand.
///
/// # Errors
/// The first that has not.
pub fn check(credentials: &[Credential], setting: &str) -> Result<(), ConfigError> {
    for (place, credential) in credentials.iter().enumerate() {
        let name = &credential.name;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(ConfigError::invalid(
                format!("{setting}.name"),
                format!("is {name:?}, must be letters, digits, - or _"),
            ));
        }
        let variable = credential.variable();
        if credentials.iter().take(place).any(|earlier| earlier.variable() == variable) {
            return Err(ConfigError::invalid(setting, format!("names {name} twice")));
        }
        if credential.token.is_empty() {
            return Err(ConfigError::invalid(
                setting,
                format!("has no token for {name}, set {variable} or {variable}_FILE"),
            ));
        }
        if credential.prefixes.iter().any(String::is_empty) {
            return Err(ConfigError::invalid(
                format!("{setting}.prefixes"),
                "has an empty text, leave the list empty to allow every topic",
            ));
        }
    }
    Ok(())
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It shows nothing.
    #[error("credentials are missing, send a bearer token or a user name and password")]
    Missing,
    /// What it shows is not known.
    #[error("credentials are not known here")]
    Unknown,
}

/// Knows all credentials; clones share them.
#[derive(Clone, Default)]
pub struct Access {
    credentials: Arc<[Credential]>,
}

/// One whose credentials were found good, or anybody where none are asked for.
#[derive(Debug, Clone)]
pub struct Caller {
    name: Arc<str>,
    prefixes: Arc<[String]>,
}

impl Access {
    /// Of these credentials; none: everybody may send.
    pub fn new(credentials: &[Credential]) -> Self {
        Self { credentials: credentials.into() }
    }

    /// Whether a caller has to show anything.
    pub fn is_open(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Who the caller is, from the header `Authorization` (in gRPC the metadata `authorization`).
    ///
    /// # Errors
    /// When credentials are asked for, and none or unknown ones are shown.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Caller, Denied> {
        if self.is_open() {
            return Ok(Caller { name: "anonymous".into(), prefixes: Arc::default() });
        }
        let (user, token) = shown(authorization.ok_or(Denied::Missing)?).ok_or(Denied::Unknown)?;
        let mut found = None;
        // All are compared, so that the time taken does not tell which one was nearly right.
        for credential in &*self.credentials {
            let is_named = user.as_ref().is_none_or(|user| *user == credential.name);
            if is_equal(credential.token.expose().as_bytes(), token.as_bytes()) && is_named {
                found = Some(credential);
            }
        }
        let credential = found.ok_or(Denied::Unknown)?;
        Ok(Caller { name: credential.name.as_str().into(), prefixes: credential.prefixes.as_slice().into() })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("credentials", &self.credentials.len()).finish()
    }
}

impl Caller {
    /// Name of its credential; `anonymous` where none are asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Beginnings of the Kafka topics that it may write to; empty: all that the source takes.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Whether it may write to a Kafka topic.
    pub fn may_write(&self, topic: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| topic.starts_with(prefix.as_str()))
    }
}

/// User, where there is one, and token.
fn shown(authorization: &str) -> Option<(Option<String>, String)> {
    let (scheme, rest) = authorization.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((Some(user.to_owned()), password.to_owned()))
}

/// Compares in a time that depends on the lengths alone.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0 && a.len() == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Vec<Credential> {
        let credential = |name: &str, token: &str, prefixes: &[&str]| Credential {
            name: name.into(),
            token: token.into(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        };
        vec![credential("scripts", "s3cret", &["lsst.square."]), credential("dome-lab", "t0ken", &[])]
    }

    fn basic(user: &str, password: &str) -> String {
        efd_service::http::basic_authorization(user, password).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_as_the_password_of_its_name() {
        let access = Access::new(&credentials());
        let name = |authorization: &str| access.caller(Some(authorization)).map(|c| c.name().to_owned());
        assert_eq!(name("Bearer s3cret"), Ok("scripts".into()));
        assert_eq!(name("bearer t0ken"), Ok("dome-lab".into()));
        assert_eq!(name(&basic("scripts", "s3cret")), Ok("scripts".into()));
        let wrong = [
            "Bearer s3cre",
            "Bearer s3cret1",
            "Bearer ",
            "Digest s3cret",
            "s3cret",
            "Basic !",
            &basic("dome-lab", "s3cret"),
        ];
        for authorization in wrong {
            assert_eq!(name(authorization), Err(Denied::Unknown), "{authorization}");
        }
        assert_eq!(access.caller(None).unwrap_err(), Denied::Missing);
    }

    #[test]
    fn a_credential_opens_the_topics_of_its_prefixes_only() {
        let access = Access::new(&credentials());
        let scripts = access.caller(Some("Bearer s3cret")).unwrap();
        assert!(scripts.may_write("lsst.square.metrics") && !scripts.may_write("lsst.sal.Test.scalars"));
        assert!(access.caller(Some("Bearer t0ken")).unwrap().may_write("anything"));
        assert!(Access::new(&[]).caller(None).unwrap().may_write("anything"));
    }

    #[test]
    fn tokens_come_from_the_environment_and_are_never_shown() {
        let mut credentials = credentials();
        overlay(&mut credentials, &Env::from_pairs([("EFD_INGEST_TOKEN_DOME_LAB", "n3w")])).unwrap();
        assert_eq!(credentials.last().unwrap().token.expose(), "n3w");
        let access = Access::new(&credentials);
        assert!(!format!("{credentials:?} {access:?}").contains("n3w"));
    }

    #[test]
    fn a_credential_without_name_or_token_is_refused_by_name() {
        check(&credentials(), "credentials").unwrap();
        let mut cases = [credentials(), credentials(), credentials(), credentials()];
        cases[0][0].token = Secret::default();
        cases[1][0].name = "no blanks".into();
        cases[2][1].name = "scripts".into();
        cases[3][1].prefixes = vec![String::new()];
        let expected = ["EFD_INGEST_TOKEN_SCRIPTS_FILE", "no blanks", "twice", "prefixes"];
        for (case, expected) in cases.iter().zip(expected) {
            let message = check(case, "credentials").unwrap_err().to_string();
            assert!(message.starts_with("credentials") && message.contains(expected), "{message}");
        }
    }
}
