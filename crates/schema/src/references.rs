//! A schema may name types of others: then it is fetched with all of them.

use std::collections::HashSet;
use std::sync::Arc;

use http::Method;
use serde::Deserialize;

use crate::registry::{RegistryClient, RegistryError, encoded};
use crate::wire::SchemaRef;

/// Schemas that one may name, directly or by others.
const MAX_REFERENCES: usize = 100;

/// A schema as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// Its text.
    pub text: Arc<str>,
    /// Texts of the schemas that it names types of, and of those that they name.
    pub references: Vec<Arc<str>>,
}

#[derive(Deserialize)]
struct SchemaAnswer {
    schema: String,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
struct Reference {
    subject: String,
    version: u32,
}

impl RegistryClient {
    /// Asks the registry for a schema and everything that it names.
    pub(crate) async fn fetch(&self, schema: SchemaRef) -> Result<RegisteredSchema, RegistryError> {
        let path = match schema {
            SchemaRef::Id(id) => format!("/schemas/ids/{id}"),
            SchemaRef::Guid(_) => format!("/schemas/guids/{schema}"),
        };
        let root: SchemaAnswer = self.call(Method::GET, &path, None).await?;
        let (mut open, mut seen) = (root.references, HashSet::new());
        let mut references = Vec::new();
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                let reason = format!("more than {MAX_REFERENCES} references");
                return Err(RegistryError::Malformed { url: self.url().to_owned(), what: path, reason });
            }
            let path = format!("/subjects/{}/versions/{}", encoded(&reference.subject), reference.version);
            let answer: SchemaAnswer = self.call(Method::GET, &path, None).await?;
            references.push(Arc::from(answer.schema));
            open.extend(answer.references);
        }
        Ok(RegisteredSchema { text: root.schema.into(), references })
    }
}
