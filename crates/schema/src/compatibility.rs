//! Asks a registry whether it would take a schema, without registering it.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::registry::encoded;
use crate::{RegistryClient, RegistryError, RegistryErrorKind};

/// What the registry would do with a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// Take it.
    Compatible,
    /// Refuse it, for this reason.
    Incompatible(String),
    /// It has no such call.
    Unknown,
}

#[derive(Deserialize)]
struct Answer {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

impl RegistryClient {
    /// Whether the registry would register a schema under a subject, by the subject's level of compatibility.
    ///
    /// # Errors
    /// See [`RegistryError`], but for those that are an answer to the question.
    pub async fn compatibility(&self, subject: &str, schema: &str) -> Result<Compatibility, RegistryError> {
        let path =
            format!("/compatibility/subjects/{}/versions?normalize=False&verbose=true", encoded(subject));
        judge(self.call(Method::POST, &path, Some(&json!({"schema": schema}))).await)
    }
}

fn judge(answer: Result<Answer, RegistryError>) -> Result<Compatibility, RegistryError> {
    match answer {
        Ok(Answer { is_compatible: true, .. }) => Ok(Compatibility::Compatible),
        Ok(Answer { messages, .. }) => {
            let reason = messages.into_iter().next();
            Ok(Compatibility::Incompatible(reason.unwrap_or_else(|| "it is incompatible".to_owned())))
        }
        // A subject without versions takes every schema.
        Err(error) if error.kind() == RegistryErrorKind::NotFound => Ok(Compatibility::Compatible),
        Err(RegistryError::Answer { status: 404 | 405, .. }) => Ok(Compatibility::Unknown),
        Err(RegistryError::Answer { status: 409 | 422, message, .. }) => {
            Ok(Compatibility::Incompatible(message))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, code: u32) -> Result<Answer, RegistryError> {
        Err(RegistryError::Answer {
            url: String::new(),
            what: String::new(),
            status,
            code,
            message: "why".into(),
        })
    }

    #[test]
    fn answers_and_refusals_are_told_apart_from_a_registry_that_cannot_say() {
        let answer = |text: &str| Ok(serde_json::from_str(text).unwrap());
        let incompatible = |reason: &str| Compatibility::Incompatible(reason.into());
        let table = [
            (answer(r#"{"is_compatible":true,"messages":[]}"#), Compatibility::Compatible),
            (answer(r#"{"is_compatible":false,"messages":["a","b"]}"#), incompatible("a")),
            (answer(r#"{"is_compatible":false}"#), incompatible("it is incompatible")),
            (error(404, 40401), Compatibility::Compatible),
            (error(422, 42201), incompatible("why")),
            (error(404, 404), Compatibility::Unknown),
            (error(405, 405), Compatibility::Unknown),
        ];
        for (answer, expected) in table {
            assert_eq!(judge(answer).unwrap(), expected);
        }
        judge(error(500, 50001)).unwrap_err();
        judge(error(401, 40101)).unwrap_err();
    }
}
