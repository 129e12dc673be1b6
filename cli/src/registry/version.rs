//! One version of a subject as the registry gives it, and as a line of an exported file; and how versions are asked for.

use efd_schema::{RegistryClient, RegistryError, RegistryErrorKind, encoded_subject};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A version with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Subject.
    pub subject: String,
    /// Version, from 1.
    pub version: u32,
    /// Schema id.
    pub id: u32,
    /// Text of the schema.
    pub schema: String,
    /// Softly deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// `schemaType`, `references`, `metadata`, `ruleSet` and whatever else the registry says of it.
    #[serde(flatten)]
    pub further: Map<String, Value>,
}

/// Which versions are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not deleted.
    Live,
    /// Softly deleted ones too.
    All,
}

impl Which {
    fn query(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::All => "?deleted=true",
        }
    }
}

/// Names of subjects that begin with `prefix`, in order.
pub async fn subjects(
    client: &RegistryClient,
    prefix: &str,
    which: Which,
) -> Result<Vec<String>, RegistryError> {
    let all: Vec<String> = client.call(Method::GET, &format!("/subjects{}", which.query()), None).await?;
    // Not every registry knows a parameter for the beginning.
    let mut found: Vec<String> = all.into_iter().filter(|subject| subject.starts_with(prefix)).collect();
    found.sort();
    Ok(found)
}

/// Numbers of a subject's versions; none where there is no such subject.
pub async fn numbers(
    client: &RegistryClient,
    subject: &str,
    which: Which,
) -> Result<Vec<u32>, RegistryError> {
    let path = format!("/subjects/{}/versions{}", encoded_subject(subject), which.query());
    match client.call(Method::GET, &path, None).await {
        Err(error) if error.kind() == RegistryErrorKind::NotFound => Ok(Vec::new()),
        answer => answer,
    }
}

/// One version, also a softly deleted one; none where there is no such.
pub async fn version(
    client: &RegistryClient,
    subject: &str,
    version: &str,
) -> Result<Option<Version>, RegistryError> {
    // The latest one is the latest that is not deleted.
    let which = if version == "latest" { Which::Live } else { Which::All };
    let path = format!(
        "/subjects/{}/versions/{}{}",
        encoded_subject(subject),
        encoded_subject(version),
        which.query()
    );
    match client.call(Method::GET, &path, None).await {
        Err(error) if error.kind() == RegistryErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_what_is_not_known_here() {
        let line = r#"{"subject":"s","version":2,"id":7,"schema":"\"int\"","references":[{"name":"n","subject":"t","version":1}],"guid":"g"}"#;
        let version: Version = serde_json::from_str(line).unwrap();
        assert!(!version.deleted && version.further.contains_key("references"));
        assert_eq!(serde_json::to_string(&version).unwrap(), line);
    }
}
