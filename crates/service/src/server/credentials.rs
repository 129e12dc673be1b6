//! Who may call a server: named credentials, each with a token.
//!
//! A caller shows its token as `Bearer <token>`, or as the password of `Basic` with the name of the credential as user.
//! Without any credential in the settings everybody may call. What a credential allows is the service's own.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{ConfigError, Env, Secret};

/// One who may call, as it stands in the settings of a service.
pub trait Credential {
    /// Beginning of the variables that hold tokens, such as `EFD_INGEST_TOKEN_`; the name follows.
    const VARIABLE: &'static str;

    /// Letters, digits, `-` and `_`: for the log, for `Basic`, and for the variable with the token.
    fn name(&self) -> &str;
    /// What the names of topics, subjects or measurements it may use begin with. Empty: all.
    fn prefixes(&self) -> &[String];
    /// Token; only from the environment.
    fn token(&self) -> &Secret;
    /// To set the token.
    fn token_mut(&mut self) -> &mut Secret;

    /// Name of the variable that holds the token: the name in capitals, `-` as `_`. With `_FILE` behind, it names a file.
    fn variable(&self) -> String {
        format!("{}{}", Self::VARIABLE, self.name().to_ascii_uppercase().replace('-', "_"))
    }

    /// Whether it may use what has this name.
    fn covers(&self, name: &str) -> bool {
        let prefixes = self.prefixes();
        prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// Takes the tokens from the environment.
///
/// # Errors
/// When a secret's file cannot be read.
pub fn overlay(credentials: &mut [impl Credential], env: &Env) -> Result<(), ConfigError> {
    for credential in credentials {
        if let Some(token) = env.secret(&credential.variable())? {
            *credential.token_mut() = token;
        }
    }
    Ok(())
}

/// Every credential has a name of its own and a token; `setting` is where they stand.
///
/// # Errors
/// The first that has not.
pub fn check(credentials: &[impl Credential], setting: &str) -> Result<(), ConfigError> {
    for (place, credential) in credentials.iter().enumerate() {
        let name = credential.name();
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
        if credential.token().is_empty() {
            return Err(ConfigError::invalid(
                setting,
                format!("has no token for {name}, set {variable} or {variable}_FILE"),
            ));
        }
        if credential.prefixes().iter().any(String::is_empty) {
            return Err(ConfigError::invalid(
                format!("{setting}.prefixes"),
                "has an empty text, leave the list empty to allow everything",
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
pub struct Guard<C> {
    credentials: Arc<[Arc<C>]>,
}

impl<C: Credential> Guard<C> {
    /// Of these credentials; none: everybody may call.
    pub fn new(credentials: Vec<C>) -> Self {
        Self { credentials: credentials.into_iter().map(Arc::new).collect() }
    }

    /// Whether a caller has to show anything.
    pub fn is_open(&self) -> bool {
        self.credentials.is_empty()
    }

    /// The caller's credential, from the header `Authorization` (in gRPC the metadata `authorization`); none where none
    /// are asked for.
    ///
    /// # Errors
    /// When credentials are asked for, and none or unknown ones are shown.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Option<Arc<C>>, Denied> {
        if self.is_open() {
            return Ok(None);
        }
        let (user, token) = shown(authorization.ok_or(Denied::Missing)?).ok_or(Denied::Unknown)?;
        self.find(user.as_deref(), &token).map(Some)
    }

    /// The credential with this token and, where one is given, this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, user: Option<&str>, token: &str) -> Result<Arc<C>, Denied> {
        let mut found = None;
        // All are compared, so that the time taken does not tell which one was nearly right.
        for credential in &*self.credentials {
            let is_named = user.is_none_or(|user| user == credential.name());
            if is_equal(credential.token().expose().as_bytes(), token.as_bytes()) && is_named {
                found = Some(credential);
            }
        }
        found.cloned().ok_or(Denied::Unknown)
    }
}

impl<C> Clone for Guard<C> {
    fn clone(&self) -> Self {
        Self { credentials: self.credentials.clone() }
    }
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("credentials", &self.credentials.len()).finish()
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

    #[derive(Debug)]
    struct Named {
        name: String,
        token: Secret,
        prefixes: Vec<String>,
    }

    impl Credential for Named {
        const VARIABLE: &'static str = "EFD_TEST_TOKEN_";

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

    fn credentials() -> Vec<Named> {
        let credential = |name: &str, token: &str, prefixes: &[&str]| Named {
            name: name.into(),
            token: token.into(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        };
        vec![credential("scripts", "s3cret", &["lsst.square."]), credential("dome-lab", "t0ken", &[])]
    }

    fn basic(user: &str, password: &str) -> String {
        crate::http::basic_authorization(user, password).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_as_the_password_of_its_name() {
        let guard = Guard::new(credentials());
        let name =
            |authorization: &str| guard.caller(Some(authorization)).map(|c| c.unwrap().name().to_owned());
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
        assert_eq!(guard.caller(None).unwrap_err(), Denied::Missing);
    }

    #[test]
    fn a_credential_covers_the_names_of_its_prefixes_only() {
        let guard = Guard::new(credentials());
        let scripts = guard.caller(Some("Bearer s3cret")).unwrap().unwrap();
        assert!(scripts.covers("lsst.square.metrics") && !scripts.covers("lsst.sal.Test.scalars"));
        assert!(guard.find(Some("dome-lab"), "t0ken").unwrap().covers("anything"));
        assert!(Guard::<Named>::new(Vec::new()).caller(None).unwrap().is_none());
    }

    #[test]
    fn tokens_come_from_the_environment_and_are_never_shown() {
        let mut credentials = credentials();
        overlay(&mut credentials, &Env::from_pairs([("EFD_TEST_TOKEN_DOME_LAB", "n3w")])).unwrap();
        assert_eq!(credentials.last().unwrap().token.expose(), "n3w");
        let text = format!("{credentials:?}");
        assert!(!format!("{text} {:?}", Guard::new(credentials)).contains("n3w"));
    }

    #[test]
    fn a_credential_without_name_or_token_is_refused_by_name() {
        check(&credentials(), "credentials").unwrap();
        let mut cases = [credentials(), credentials(), credentials(), credentials()];
        cases[0][0].token = Secret::default();
        cases[1][0].name = "no blanks".into();
        cases[2][1].name = "scripts".into();
        cases[3][1].prefixes = vec![String::new()];
        let expected = ["EFD_TEST_TOKEN_SCRIPTS_FILE", "no blanks", "twice", "prefixes"];
        for (case, expected) in cases.iter().zip(expected) {
            let message = check(case, "credentials").unwrap_err().to_string();
            assert!(message.starts_with("credentials") && message.contains(expected), "{message}");
        }
    }
}
