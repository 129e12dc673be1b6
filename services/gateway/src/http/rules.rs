//! Which statements a caller may ask, and what is added to them (pure).
//!
//! The gateway only reads, for everybody. A caller whose credential names databases or beginnings of topics may read nothing else: what
//! is not surely inside of them is refused.

use crate::influxql::{quote, regex_of_beginnings};

use super::statement::{Kind, Measurements, Name, Source, Statement, literal_beginning};

/// What a caller may read; empty lists: everything.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Names of databases.
    pub databases: &'a [String],
    /// What names of measurements begin with.
    pub prefixes: &'a [String],
}

/// Where statements are asked.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The database of the request.
    pub database: Option<&'a str>,
    /// Database and retention policy that InfluxDB 2.x must be told, since it knows no default policy for a bucket; none for 1.x.
    pub policy: Option<(&'a str, &'a str)>,
}

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It writes.
    #[error("error authorizing query: the gateway only reads, {0} is not allowed here")]
    Write(String),
    /// It reads more than the credential allows.
    #[error("error authorizing query: {what} is not allowed for these credentials, which may read {allowed}")]
    OutOfScope {
        /// What was asked for.
        what: String,
        /// What may be.
        allowed: String,
    },
}

/// Whether the caller may ask all of it.
///
/// # Errors
/// The first statement that it may not ask.
pub fn check(statements: &[Statement], scope: Scope<'_>, target: Target<'_>) -> Result<(), Refusal> {
    for statement in statements {
        if statement.kind == Kind::Write {
            return Err(Refusal::Write(statement.words.clone()));
        }
        scope.check_databases(statement, target)?;
        scope.check_measurements(statement)?;
    }
    // The answer is made here, and stands for itself.
    let is_listed = |statement: &Statement| statement.kind == Kind::Databases;
    if !scope.databases.is_empty() && statements.len() > 1 && statements.iter().any(is_listed) {
        return Err(scope.refuse("SHOW DATABASES beside other statements"));
    }
    Ok(())
}

/// The text with what has to be added for this caller and this InfluxDB.
pub fn completed(text: &str, statements: &[Statement], scope: Scope<'_>, target: Target<'_>) -> String {
    let mut completed = String::with_capacity(text.len() + 100);
    let mut taken = 0;
    for statement in statements {
        let Kind::Measurements(found) = &statement.kind else { continue };
        completed.push_str(text.get(taken..found.on_end).unwrap_or_default());
        taken = found.on_end;
        if let Some((database, policy)) = target.policy {
            let is_named = statement.on == Some(Name::Is(database.to_owned()));
            if found.on_parts == 1 && is_named {
                completed.push_str(&format!(".{}", quote(policy)));
            } else if found.on_parts == 0 && target.database == Some(database) {
                completed.push_str(&format!(" ON {}.{}", quote(database), quote(policy)));
            }
        }
        if !scope.prefixes.is_empty() && found.filter.is_none() {
            completed.push_str(&format!(" WITH MEASUREMENT =~ {}", regex_of_beginnings(scope.prefixes)));
        }
    }
    completed.push_str(text.get(taken..).unwrap_or_default());
    completed
}

impl Scope<'_> {
    fn check_databases(self, statement: &Statement, target: Target<'_>) -> Result<(), Refusal> {
        if self.databases.is_empty() {
            return Ok(());
        }
        let is_allowed = |name: &str| self.databases.iter().any(|database| database == name);
        let check = |name: Option<&str>| match name.or(target.database) {
            // InfluxDB says that one is needed.
            None => Ok(()),
            Some(name) if is_allowed(name) => Ok(()),
            Some(name) => Err(self.refuse(&format!("database {name}"))),
        };
        match &statement.kind {
            Kind::Databases | Kind::Write => return Ok(()),
            Kind::Server => return Err(self.refuse(&statement.words)),
            Kind::Select | Kind::Measurements(_) | Kind::OfMeasurements | Kind::Policies => {}
        }
        match &statement.on {
            Some(Name::Is(name)) => check(Some(name))?,
            Some(Name::Matches(_) | Name::Unclear) => return Err(self.refuse("a database that is not named")),
            None => check(None)?,
        }
        for source in &statement.sources {
            if source.measurement == Name::Unclear {
                return Err(self.refuse("a source that is not named"));
            }
            check(source.database.as_deref())?;
        }
        Ok(())
    }

    fn check_measurements(self, statement: &Statement) -> Result<(), Refusal> {
        if self.prefixes.is_empty() {
            return Ok(());
        }
        match &statement.kind {
            Kind::Databases | Kind::Policies | Kind::Write => Ok(()),
            Kind::Server => Err(self.refuse(&statement.words)),
            Kind::Measurements(Measurements { filter: None, .. }) => Ok(()),
            Kind::Measurements(Measurements { filter: Some(name), .. }) => self.check_name(name),
            Kind::Select | Kind::OfMeasurements => {
                if statement.sources.is_empty() {
                    return Err(self.refuse(&format!("{} without FROM", statement.words)));
                }
                statement
                    .sources
                    .iter()
                    .try_for_each(|Source { measurement, .. }| self.check_name(measurement))
            }
        }
    }

    fn check_name(self, name: &Name) -> Result<(), Refusal> {
        let covers =
            |beginning: &str| self.prefixes.iter().any(|prefix| beginning.starts_with(prefix.as_str()));
        match name {
            Name::Is(name) if covers(name) => Ok(()),
            Name::Matches(regex) if covers(&literal_beginning(regex)) => Ok(()),
            Name::Is(name) => Err(self.refuse(name)),
            Name::Matches(regex) => {
                Err(self.refuse(&format!("/{regex}/, which does not begin with ^ and one of these,")))
            }
            Name::Unclear => Err(self.refuse("a source that is not named")),
        }
    }

    fn refuse(self, what: &str) -> Refusal {
        const SHOWN: usize = 200;
        let mut what = what.to_owned();
        if what.len() > SHOWN {
            what.truncate(what.floor_char_boundary(SHOWN));
            what.push('…');
        }
        let mut allowed = Vec::new();
        if !self.prefixes.is_empty() {
            allowed.push(format!("what begins with {}", self.prefixes.join(" or ")));
        }
        if !self.databases.is_empty() {
            allowed.push(format!("databases {}", self.databases.join(" and ")));
        }
        Refusal::OutOfScope { what, allowed: allowed.join(" in ") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::statements;
    use super::*;

    const V1: Target<'_> = Target { database: Some("efd"), policy: None };
    const V2: Target<'_> = Target { database: Some("efd"), policy: Some(("efd", "autogen")) };

    fn lists(databases: &[&str], prefixes: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        (owned(databases), owned(prefixes))
    }

    fn checked(text: &str, (databases, prefixes): &(Vec<String>, Vec<String>)) -> Result<(), Refusal> {
        check(&statements(text).unwrap(), Scope { databases, prefixes }, V1)
    }

    #[test]
    fn nobody_writes() {
        let refusal = checked("SELECT a FROM m; DROP MEASUREMENT m", &lists(&[], &[])).unwrap_err();
        let expected =
            "error authorizing query: the gateway only reads, DROP MEASUREMENT is not allowed here";
        assert_eq!(refusal.to_string(), expected);
        checked("SHOW USERS; SELECT a FROM anything.x.y; SHOW DATABASES", &lists(&[], &[])).unwrap();
    }

    #[test]
    fn a_credential_with_databases_reads_those_only() {
        let scope = lists(&["efd"], &[]);
        let allowed = [
            "SELECT a FROM m",
            "SELECT a FROM efd.autogen.m, n",
            "SHOW MEASUREMENTS",
            "SHOW MEASUREMENTS ON efd",
            "SHOW DATABASES",
            "SHOW RETENTION POLICIES ON efd",
            "SELECT a FROM (SELECT b FROM efd..m)",
        ];
        for text in allowed {
            assert_eq!(checked(text, &scope), Ok(()), "{text}");
        }
        let refused = [
            "SELECT a FROM other.autogen.m",
            "SELECT a FROM m, other..m",
            "SELECT a FROM (SELECT b FROM other..m)",
            "SELECT a FROM other.autogen./m/",
            "SELECT a FROM $m",
            "SHOW MEASUREMENTS ON other",
            "SHOW MEASUREMENTS ON *.*",
            "SHOW RETENTION POLICIES ON other",
            "SHOW TAG VALUES ON other FROM m WITH KEY = k",
            "SHOW QUERIES",
            "SHOW DATABASES; SHOW DATABASES",
        ];
        for text in refused {
            let refusal = checked(text, &scope).unwrap_err().to_string();
            assert!(refusal.contains("may read databases efd"), "{text}: {refusal}");
        }
        let other = Target { database: Some("other"), ..V1 };
        let (databases, prefixes) = &scope;
        let found = statements("SELECT a FROM m").unwrap();
        check(&found, Scope { databases, prefixes }, other).unwrap_err();
    }

    #[test]
    fn a_credential_with_prefixes_reads_what_surely_begins_with_them() {
        let scope = lists(&[], &["lsst.sal.Test.", "lsst.sal.MTM1M3."]);
        let allowed = [
            r#"SELECT a FROM "efd"."autogen"."lsst.sal.Test.scalars""#,
            r"SELECT a FROM /^lsst\.sal\.Test\..*/",
            r#"SELECT a FROM (SELECT b FROM "lsst.sal.Test.scalars"), "lsst.sal.MTM1M3.x""#,
            "SHOW MEASUREMENTS",
            r"SHOW MEASUREMENTS WITH MEASUREMENT =~ /^lsst\.sal\.Test\.s/",
            r#"SHOW FIELD KEYS FROM "lsst.sal.Test.scalars""#,
            "SHOW DATABASES",
        ];
        for text in allowed {
            assert_eq!(checked(text, &scope), Ok(()), "{text}");
        }
        let refused = [
            r#"SELECT a FROM "lsst.sal.Tests""#,
            r#"SELECT a FROM "lsst.sal.Test.scalars", m"#,
            r"SELECT a FROM /lsst\.sal\.Test\./",
            r"SELECT a FROM /^lsst\.sal\.Test\.|m/",
            r"SELECT a FROM /^lsst\.sal\.Tes/",
            "SELECT a FROM $m",
            "SELECT a FROM (SELECT b FROM m)",
            "SHOW MEASUREMENTS WITH MEASUREMENT =~ /./",
            "SHOW MEASUREMENTS WITH MEASUREMENT != m",
            "SHOW FIELD KEYS",
            "SHOW SERIES CARDINALITY",
            "SHOW QUERIES",
        ];
        for text in refused {
            let refusal = checked(text, &scope).unwrap_err().to_string();
            assert!(refusal.contains("lsst.sal.Test. or lsst.sal.MTM1M3."), "{text}: {refusal}");
        }
    }

    #[test]
    fn measurements_are_listed_for_the_caller_and_for_both_generations() {
        let (databases, prefixes) = lists(&[], &["lsst.sal.Test.", "a/b"]);
        let completed = |text: &str, prefixes: &[String], target: Target<'_>| {
            completed(text, &statements(text).unwrap(), Scope { databases: &databases, prefixes }, target)
        };
        assert_eq!(
            completed("SHOW MEASUREMENTS; SHOW DATABASES", &[], V1),
            "SHOW MEASUREMENTS; SHOW DATABASES"
        );
        assert_eq!(
            completed("SHOW MEASUREMENTS LIMIT 1; show measurements on efd", &prefixes, V1),
            r"SHOW MEASUREMENTS WITH MEASUREMENT =~ /^(lsst\.sal\.Test\.|a\/b)/ LIMIT 1; show measurements on efd WITH MEASUREMENT =~ /^(lsst\.sal\.Test\.|a\/b)/"
        );
        assert_eq!(completed("SHOW MEASUREMENTS", &[], V2), r#"SHOW MEASUREMENTS ON "efd"."autogen""#);
        assert_eq!(completed("SHOW MEASUREMENTS ON efd", &[], V2), r#"SHOW MEASUREMENTS ON efd."autogen""#);
        assert_eq!(completed("SHOW MEASUREMENTS ON x", &[], V2), "SHOW MEASUREMENTS ON x");
        let filtered = "SHOW MEASUREMENTS WITH MEASUREMENT = \"lsst.sal.Test.a\"";
        assert_eq!(completed(filtered, &prefixes, V1), filtered);
    }
}
