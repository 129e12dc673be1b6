//! Whether InfluxDB and SAL can take a schema, as far as the policy for its subject asks.

use apache_avro::Schema as AvroSchema;

use crate::avro;
use crate::error::RegistryError;
use crate::sal::{self, Policy};
use crate::schema::Schema;
use crate::state::State;

impl State {
    /// Refuses what the policy for the subject refuses.
    ///
    /// # Errors
    /// [`RegistryError::NotStorable`] with everything that was found.
    pub(super) fn check_storable(&self, subject: &str, new: &AvroSchema) -> Result<(), RegistryError> {
        if self.policies.of(subject) != Policy::Refuse {
            return Ok(());
        }
        match self.findings(subject, new) {
            None => Ok(()),
            Some(reason) => Err(RegistryError::NotStorable { subject: subject.to_owned(), reason }),
        }
    }

    /// What to warn of when a schema is registered; none where the policy does not ask for warnings, and for a schema that
    /// the subject has already.
    pub fn warning(&self, subject: &str, schema: &Schema) -> Option<String> {
        if self.policies.of(subject) != Policy::Warn || self.look_up(subject, schema, false).is_some() {
            return None;
        }
        let others = self.dependencies(schema).unwrap_or_default();
        self.findings(subject, &avro::parse_with(&schema.text(), &others).ok()?)
    }

    fn findings(&self, subject: &str, new: &AvroSchema) -> Option<String> {
        let mut earlier = Vec::new();
        for version in self.subject(subject).map(|found| &found.versions).into_iter().flatten() {
            // Records of a deleted version are in InfluxDB all the same.
            let Some(schema) = self.schema_of(subject, *version).filter(|schema| schema.is_avro()) else {
                continue;
            };
            let others = self.dependencies(schema).unwrap_or_default();
            if let Ok(parsed) = avro::parse_with(&schema.text(), &others) {
                earlier.push((version.version, parsed));
            }
        }
        let found = sal::findings(new, &earlier);
        (!found.is_empty()).then(|| sal::told(&found))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::change::Change;
    use crate::compatibility::Level;
    use crate::sal::Policies;

    fn state(policy: &str) -> State {
        let policies: Policies = serde_json::from_str(&format!(r#"{{"lsst.": "{policy}"}}"#)).unwrap();
        State::new(Level::None).with_policies(&policies)
    }

    fn register(state: &mut State, subject: &str, schema: &Schema) -> Result<(), RegistryError> {
        let change = Change::Register { subject: subject.into(), schema: schema.clone(), wanted: None };
        let (records, _) = state.plan(&change)?;
        records.iter().for_each(|record| state.apply(record).unwrap());
        Ok(())
    }

    #[test]
    fn the_policy_decides_what_becomes_of_a_schema_that_cannot_be_stored() {
        let schema = Schema::avro("\"string\"");
        let subject: Arc<str> = "lsst.sal.X.y-value".into();
        let mut refusing = state("refuse");
        let error = register(&mut refusing, &subject, &schema).unwrap_err();
        assert_eq!(error.status_and_code(), (422, 42201));
        assert!(error.to_string().contains("schema is not a record"), "{error}");
        register(&mut refusing, "orders-value", &schema).unwrap();

        let mut warning = state("warn");
        assert!(warning.warning(&subject, &schema).unwrap().contains("schema is not a record"));
        register(&mut warning, &subject, &schema).unwrap();
        assert_eq!(warning.warning(&subject, &schema), None, "it is there already");
        assert_eq!(state("off").warning(&subject, &schema), None);
    }

    #[test]
    fn a_version_that_is_deleted_has_its_records_in_influxdb_all_the_same() {
        let topic = |ty: &str| {
            let private = efd_sal::private_fields(false).into_iter().map(|field| {
                let ty = field.ty.avro_name();
                serde_json::json!({"name": field.name, "type": ty})
            });
            let fields: Vec<_> = private.chain([serde_json::json!({"name": "a", "type": ty})]).collect();
            Schema::avro(&serde_json::json!({"type": "record", "name": "y", "fields": fields}).to_string())
        };
        let mut state = state("refuse");
        let subject: Arc<str> = "lsst.sal.X.y-value".into();
        register(&mut state, &subject, &topic("float")).unwrap();
        let delete = Change::DeleteSubject { subject: subject.clone(), permanent: false };
        for record in state.plan(&delete).unwrap().0 {
            state.apply(&record).unwrap();
        }
        let error = register(&mut state, &subject, &topic("int")).unwrap_err().to_string();
        assert!(error.contains("field a: InfluxDB has a as float since version 1"), "{error}");
        register(&mut state, &subject, &topic("double")).unwrap();
    }
}
