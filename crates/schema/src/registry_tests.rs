//! What errors mean, and where settings come from.

use super::*;

fn answer(status: u16, code: u32) -> RegistryError {
    RegistryError::Answer { url: String::new(), what: String::new(), status, code, message: String::new() }
}

#[test]
fn only_a_registry_that_says_so_has_not_found_it() {
    let table = [
        (404, 40403, RegistryErrorKind::NotFound),
        (404, 40401, RegistryErrorKind::NotFound),
        // A proxy's page, or a wrong path: says nothing about the schema.
        (404, 0, RegistryErrorKind::Transient),
        (409, 409, RegistryErrorKind::Refused),
        (422, 42201, RegistryErrorKind::Refused),
        (401, 0, RegistryErrorKind::Transient),
        (500, 50001, RegistryErrorKind::Transient),
        (503, 0, RegistryErrorKind::Transient),
    ];
    for (status, code, kind) in table {
        assert_eq!(answer(status, code).kind(), kind, "{status} {code}");
    }
}

#[test]
fn the_environment_gives_address_and_password() {
    let mut config = RegistryConfig::default();
    config.overlay(&Env::from_pairs([("LSST_SCHEMA_REGISTRY_URL", "http://r:8081/")])).unwrap();
    assert_eq!(config.url(), "http://r:8081");
    config
        .overlay(&Env::from_pairs([("EFD_REGISTRY_URL", "http://s"), ("EFD_REGISTRY_PASSWORD", "pw")]))
        .unwrap();
    assert_eq!((config.url(), config.password.expose()), ("http://s", "pw"));
}

#[test]
fn no_more_schemas_are_kept_than_may_be() {
    let config = RegistryConfig { cached_schemas: 3, ..RegistryConfig::default() };
    let client = RegistryClient::new(&config).unwrap();
    for id in 0..10 {
        client.cell(SchemaRef::Id(id));
        let kept = client.schemas().len();
        assert!(kept <= 3 && client.schemas().contains_key(&SchemaRef::Id(id)), "{kept} after {id}");
    }
}
