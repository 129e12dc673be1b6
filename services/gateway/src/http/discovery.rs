//! The documents by which clients find the gateway by a name: those of Segwarides, which `lsst-efd-client` reads, and of Repertoire, its
//! successor.
//!
//! A caller that shows its own credentials gets them back with the address, so that nobody learns a secret here that it did not know.
//! Segwarides gives credentials to everybody in its network, and a client may have none to show; so a label can name one credential
//! that everybody gets. It is off unless set.

use axum::http::{Method, Uri};
use efd_service::ConfigError;
use efd_service::http::is_address;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::config::is_folder;
use super::error::HttpError;
use crate::credentials::{Caller, Credential};

/// Names by which clients find the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// Folder of the documents of Segwarides. Default `/segwarides/`.
    pub segwarides: String,
    /// Folder of the documents of Repertoire. Default `/repertoire/`.
    pub repertoire: String,
    /// The names; none: no documents are served.
    pub labels: Vec<Label>,
}

/// A name, and what it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Label {
    /// The name, such as `summit_efd`.
    pub name: String,
    /// Address of the gateway as clients reach it, such as `https://efd.example.org/influxdb/`.
    pub url: String,
    /// Database that clients ask by default. None: that of the gateway.
    pub database: Option<String>,
    /// Address of the gateway's gRPC as clients reach it, such as `https://efd.example.org:9180`. None: clients take port 9180 of the
    /// host of `url`.
    pub grpc: Option<String>,
    /// Address of the schema registry as clients reach it.
    pub schema_registry: String,
    /// Name of a credential that everybody gets who asks Segwarides for this label, without showing anything. Default none.
    pub public_credential: Option<String>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// That Segwarides is there.
    Root,
    /// The names.
    List,
    /// Address and credentials of a name, in the form of Segwarides.
    Creds(String),
    /// What there is to find, in the form of Repertoire.
    Discovery,
    /// Address and credentials of a name, in the form of Repertoire.
    Database(String),
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { segwarides: "/segwarides/".into(), repertoire: "/repertoire/".into(), labels: Vec::new() }
    }
}

impl DiscoveryConfig {
    /// Whether every setting makes sense, beside the folder `base` of queries.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, base: &str, credentials: &[Credential]) -> Result<(), ConfigError> {
        if self.labels.is_empty() {
            return Ok(());
        }
        let folders =
            [(&self.segwarides, "discovery.segwarides"), (&self.repertoire, "discovery.repertoire")];
        for (folder, setting) in folders {
            if !is_folder(folder) || folder == base {
                return Err(ConfigError::invalid(
                    setting,
                    "must begin and end with / and differ from http.path",
                ));
            }
        }
        if self.segwarides == self.repertoire {
            return Err(ConfigError::invalid(
                "discovery.repertoire",
                "must differ from discovery.segwarides",
            ));
        }
        self.labels.iter().enumerate().try_for_each(|(place, label)| {
            let is_known = |name: &String| credentials.iter().any(|credential| credential.name == *name);
            let is_new = !self.labels.iter().take(place).any(|earlier| earlier.name == label.name);
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let rules = [
                (
                    !label.name.is_empty() && label.name.chars().all(is_word),
                    "name",
                    "must be letters, digits, - or _",
                ),
                (is_new, "name", "stands there twice"),
                (
                    is_address(&label.url) && is_folder(label.path()),
                    "url",
                    "must be an address that ends with /",
                ),
                (
                    label.grpc.as_deref().is_none_or(is_address),
                    "grpc",
                    "must be an address such as https://efd.example.org:9180",
                ),
                (is_address(&label.schema_registry), "schema_registry", "must be an address"),
                (
                    label.public_credential.as_ref().is_none_or(is_known),
                    "public_credential",
                    "must name a credential",
                ),
            ];
            let broken = rules.into_iter().find(|(holds, ..)| !holds);
            broken.map_or(Ok(()), |(_, setting, problem)| {
                Err(ConfigError::invalid(format!("discovery.labels.{}.{setting}", label.name), problem))
            })
        })
    }

    /// The document at a path; none: there is none.
    ///
    /// # Errors
    /// When it is there, but not for this method.
    pub fn find(&self, method: &Method, path: &str) -> Result<Option<Document>, HttpError> {
        let Some(document) = self.document(path).filter(|_| !self.labels.is_empty()) else { return Ok(None) };
        if method == Method::GET || method == Method::HEAD {
            return Ok(Some(document));
        }
        Err(HttpError::Method { method: method.to_string(), allowed: "GET, HEAD" })
    }

    fn document(&self, path: &str) -> Option<Document> {
        if let Some(rest) = path.strip_prefix(self.segwarides.as_str()) {
            return match rest {
                "" => Some(Document::Root),
                "list" => Some(Document::List),
                _ => rest.strip_prefix("creds/").map(|label| Document::Creds(label.to_owned())),
            };
        }
        let rest = path.strip_prefix(self.repertoire.as_str())?;
        match rest {
            "discovery" => Some(Document::Discovery),
            _ => rest.strip_prefix("discovery/influxdb/").map(|label| Document::Database(label.to_owned())),
        }
    }

    /// What stands in a document for this caller; `database` is the gateway's own, `credentials` are all there are.
    ///
    /// # Errors
    /// When the label is unknown, or the caller gets none of its credentials.
    pub fn answer(
        &self,
        document: &Document,
        caller: Result<Caller, HttpError>,
        database: &str,
        credentials: &[Credential],
    ) -> Result<Value, HttpError> {
        let names = || self.labels.iter().map(|label| label.name.as_str());
        match document {
            Document::Root => Ok(json!({"name": "efd-gateway", "labels": names().count()})),
            Document::List => Ok(names().collect()),
            Document::Discovery => Ok(self.discovery(database)),
            Document::Creds(name) => {
                let label = self.label(name)?;
                let public =
                    credentials.iter().find(|known| Some(&known.name) == label.public_credential.as_ref());
                let caller = match (caller, public) {
                    (Err(HttpError::Missing(_)), Some(public)) => Caller::from(public.clone()),
                    (caller, _) => caller?,
                };
                let uri = label.uri();
                let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
                Ok(label.document(json!({
                    "host": uri.host(),
                    "port": port,
                    "path": label.path(),
                    "schema_registry": label.schema_registry,
                    "username": caller.name(),
                    "password": caller.token(),
                })))
            }
            Document::Database(name) => {
                let label = self.label(name)?;
                let caller = caller?;
                Ok(label.document(json!({
                    "url": label.url,
                    "database": label.database.as_deref().unwrap_or(database),
                    "schema_registry": label.schema_registry,
                    "username": caller.name(),
                    "password": caller.token(),
                })))
            }
        }
    }

    fn label(&self, name: &str) -> Result<&Label, HttpError> {
        let found = self.labels.iter().find(|label| label.name == name);
        found.ok_or_else(|| HttpError::NoSuchLabel(name.chars().take(100).collect()))
    }

    fn discovery(&self, database: &str) -> Value {
        let databases: Map<String, Value> = self
            .labels
            .iter()
            .map(|label| {
                let uri = label.uri();
                let origin = uri
                    .authority()
                    .map(|authority| format!("{}://{authority}", uri.scheme_str().unwrap_or("https")));
                let entry = json!({
                    "url": label.url,
                    "database": label.database.as_deref().unwrap_or(database),
                    "schema_registry": label.schema_registry,
                    "credentials_url": format!(
                        "{}{}discovery/influxdb/{}", origin.unwrap_or_default(), self.repertoire, label.name
                    ),
                });
                (label.name.clone(), entry)
            })
            .collect();
        json!({"influxdb_databases": databases})
    }
}

impl Label {
    /// A document with the address of gRPC, where it is known: only our own clients look for it.
    fn document(&self, mut document: Value) -> Value {
        if let (Some(grpc), Some(keys)) = (&self.grpc, document.as_object_mut()) {
            keys.insert("grpc".to_owned(), grpc.as_str().into());
        }
        document
    }

    fn uri(&self) -> Uri {
        self.url.parse().unwrap_or_default()
    }

    /// The path of the address.
    fn path(&self) -> &str {
        let after_scheme = self.url.split_once("://").map_or("", |(_, rest)| rest);
        after_scheme.find('/').and_then(|start| after_scheme.get(start..)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use efd_service::Secret;
    use efd_service::server::credentials::Denied;

    use super::*;

    fn credential(name: &str) -> Credential {
        Credential {
            name: name.into(),
            token: Secret::from(format!("{name}-token").as_str()),
            ..Credential::default()
        }
    }

    fn config() -> DiscoveryConfig {
        let label = Label {
            name: "summit_efd".into(),
            url: "https://efd.example.org:8443/influxdb/".into(),
            schema_registry: "https://registry.example.org/".into(),
            ..Label::default()
        };
        let public = Label {
            name: "demo_efd".into(),
            url: "https://demo.example.org/".into(),
            database: Some("demo".into()),
            grpc: Some("https://grpc.example.org:9180".into()),
            public_credential: Some("reader".into()),
            ..label.clone()
        };
        DiscoveryConfig { labels: vec![label, public], ..DiscoveryConfig::default() }
    }

    fn answer(path: &str, caller: Result<Caller, HttpError>) -> Result<Value, HttpError> {
        let config = config();
        let document = config.find(&Method::GET, path)?.ok_or_else(|| HttpError::NoSuchPath(path.into()))?;
        config.answer(&document, caller, "efd", &[credential("lab"), credential("reader")])
    }

    fn lab() -> Result<Caller, HttpError> {
        Ok(Caller::from(credential("lab")))
    }

    fn nobody() -> Result<Caller, HttpError> {
        Err(HttpError::Missing(Denied::Missing))
    }

    #[test]
    fn a_caller_finds_its_own_credentials_by_a_label() {
        let creds = answer("/segwarides/creds/summit_efd", lab()).unwrap();
        let expected = json!({
            "host": "efd.example.org", "port": 8443, "path": "/influxdb/",
            "schema_registry": "https://registry.example.org/", "username": "lab", "password": "lab-token",
        });
        assert_eq!(creds, expected);
        let found = answer("/repertoire/discovery/influxdb/summit_efd", lab()).unwrap();
        assert_eq!(found["url"], "https://efd.example.org:8443/influxdb/");
        assert_eq!((&found["database"], &found["password"]), (&json!("efd"), &json!("lab-token")));
    }

    #[test]
    fn nobody_learns_a_secret_unless_a_label_gives_it_to_everybody() {
        for path in ["/segwarides/creds/summit_efd", "/repertoire/discovery/influxdb/demo_efd"] {
            assert_eq!(answer(path, nobody()).unwrap_err().status(), 401, "{path}");
        }
        let public = answer("/segwarides/creds/demo_efd", nobody()).unwrap();
        assert_eq!((&public["username"], &public["password"]), (&json!("reader"), &json!("reader-token")));
        assert_eq!(
            (&public["port"], &public["grpc"]),
            (&json!(443), &json!("https://grpc.example.org:9180"))
        );
        let unknown = Err(HttpError::Unknown(Denied::Unknown));
        assert_eq!(answer("/segwarides/creds/demo_efd", unknown).unwrap_err().status(), 401);
        for path in ["/segwarides/", "/segwarides/list", "/repertoire/discovery"] {
            assert!(!answer(path, nobody()).unwrap().to_string().contains("token"), "{path}");
        }
    }

    #[test]
    fn labels_are_listed_and_unknown_ones_are_not_found() {
        assert_eq!(answer("/segwarides/list", nobody()).unwrap(), json!(["summit_efd", "demo_efd"]));
        let discovery = answer("/repertoire/discovery", nobody()).unwrap();
        let found = &discovery["influxdb_databases"]["summit_efd"];
        assert_eq!(
            found["credentials_url"],
            "https://efd.example.org:8443/repertoire/discovery/influxdb/summit_efd"
        );
        assert_eq!(answer("/segwarides/creds/x", lab()).unwrap_err().status(), 404);
        assert_eq!(answer("/segwarides/other", lab()).unwrap_err().status(), 404);
        assert_eq!(config().find(&Method::POST, "/segwarides/list").unwrap_err().status(), 405);
        assert_eq!(DiscoveryConfig::default().find(&Method::GET, "/segwarides/list").unwrap(), None);
    }

    #[test]
    fn labels_that_make_no_sense_are_refused_by_name() {
        let refused = |change: fn(&mut DiscoveryConfig)| {
            let mut config = config();
            change(&mut config);
            config.check("/", &[credential("reader")]).unwrap_err().to_string()
        };
        config().check("/", &[credential("reader")]).unwrap();
        assert!(refused(|config| config.labels[0].url = "https://x".into()).contains("summit_efd.url"));
        assert!(refused(|config| config.labels[1].name = "summit_efd".into()).contains("twice"));
        assert!(refused(|config| config.labels[1].grpc = Some("grpc:9180".into())).contains("demo_efd.grpc"));
        assert!(
            refused(|config| config.labels[0].schema_registry = String::new()).contains("schema_registry")
        );
        assert!(
            refused(|config| config.labels[1].public_credential = Some("x".into()))
                .contains("public_credential")
        );
        assert!(refused(|config| config.segwarides = "/".into()).starts_with("discovery.segwarides"));
        assert!(
            refused(|config| config.repertoire = "/segwarides/".into()).starts_with("discovery.repertoire")
        );
    }
}
