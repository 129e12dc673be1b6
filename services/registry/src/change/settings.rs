//! Compatibility levels, further settings, and modes.

use std::sync::Arc;

use super::{Outcome, Plan, check_settings_name};
use crate::body::ConfigChange;
use crate::error::RegistryError;
use crate::log::{ConfigValue, Fields, Record};
use crate::mode::Mode;
use crate::name::{DEFAULT_CONTEXT, context_of, is_context};
use crate::state::State;

impl State {
    pub(super) fn plan_set_config(
        &self,
        subject: Option<&Arc<str>>,
        change: &ConfigChange,
    ) -> Result<Plan, RegistryError> {
        let outcome = Outcome::ConfigSet(change.clone());
        if let Some(subject) = subject {
            check_settings_name(subject)?;
        }
        self.mode(subject.map(|name| &**name)).check_change(shown(subject))?;
        let known = self.own_config(subject);
        let mut value = known.cloned().unwrap_or_else(|| ConfigValue { level: None, fields: Fields::new() });
        value.level = change.level.or(value.level);
        value.fields.extend(change.fields.clone());
        if known == Some(&value) {
            return Ok((Vec::new(), outcome));
        }
        Ok((vec![Record::Config { subject: subject.cloned(), value: Some(Arc::new(value)) }], outcome))
    }

    pub(super) fn plan_clear_config(&self, subject: Option<&Arc<str>>) -> Result<Plan, RegistryError> {
        self.mode(subject.map(|name| &**name)).check_change(shown(subject))?;
        let known = self.own_config(subject);
        let level = known.and_then(|config| config.level).unwrap_or_else(|| self.level(None));
        let fields = known.map_or_else(Fields::new, |config| config.fields.clone());
        let outcome = Outcome::ConfigCleared(ConfigValue { level: Some(level), fields });
        match (subject, known) {
            (Some(subject), None) => Err(RegistryError::SubjectNotFound(subject.to_string())),
            (None, None) => Ok((Vec::new(), outcome)),
            (_, Some(_)) => Ok((vec![Record::Config { subject: subject.cloned(), value: None }], outcome)),
        }
    }

    pub(super) fn plan_set_mode(
        &self,
        subject: Option<&Arc<str>>,
        mode: Mode,
        force: bool,
    ) -> Result<Plan, RegistryError> {
        if let Some(subject) = subject {
            check_settings_name(subject)?;
        }
        let outcome = Outcome::Mode(mode);
        if self.own_mode(subject) == Some(mode) {
            return Ok((Vec::new(), outcome));
        }
        let mut records = Vec::new();
        if mode == Mode::Import {
            if !force && self.has_live(subject) {
                let problem = "Cannot import since found existing subjects".into();
                return Err(RegistryError::NotPermitted(problem));
            }
            if !self.has_live(subject) {
                records.push(Record::ClearSubject { subject: subject.cloned() });
            }
        }
        records.push(Record::Mode { subject: subject.cloned(), mode: Some(mode) });
        Ok((records, outcome))
    }

    pub(super) fn plan_clear_mode(
        &self,
        subject: Option<&Arc<str>>,
        recursive: bool,
    ) -> Result<Plan, RegistryError> {
        let own = self.own_mode(subject);
        let mut records = Vec::new();
        if own.is_some() {
            records.push(Record::Mode { subject: subject.cloned(), mode: None });
        }
        if recursive && subject.is_none_or(|subject| is_context(subject)) {
            let below = self.subjects.iter().filter(|(name, found)| {
                found.mode.is_some() && subject != Some(*name) && is_within(name, subject)
            });
            records.extend(below.map(|(name, _)| Record::Mode { subject: Some(name.clone()), mode: None }));
        }
        match subject.filter(|_| records.is_empty()) {
            Some(subject) => Err(RegistryError::SubjectNotFound(subject.to_string())),
            None => Ok((records, Outcome::Mode(own.unwrap_or_default()))),
        }
    }

    /// The settings that were made for exactly this subject or context, or for everything.
    pub fn own_config(&self, subject: Option<&Arc<str>>) -> Option<&ConfigValue> {
        match subject {
            Some(subject) => self.subjects.get(subject)?.config.as_deref(),
            None => self.config.as_deref(),
        }
    }

    /// The mode that was set for exactly this subject or context, or for everything.
    pub fn own_mode(&self, subject: Option<&Arc<str>>) -> Option<Mode> {
        match subject {
            Some(subject) => self.subjects.get(subject)?.mode,
            None => self.mode,
        }
    }

    fn has_live(&self, subject: Option<&Arc<str>>) -> bool {
        let is_meant = |name: &Arc<str>| subject == Some(name) || is_within(name, subject);
        self.subjects.iter().any(|(name, found)| is_meant(name) && found.live().next().is_some())
    }
}

/// Whether a subject is in a context, or in the default one if none is given.
fn is_within(subject: &str, context: Option<&Arc<str>>) -> bool {
    match context {
        Some(context) => is_context(context) && context_of(subject) == context_of(context),
        None => context_of(subject) == DEFAULT_CONTEXT,
    }
}

fn shown(subject: Option<&Arc<str>>) -> &str {
    subject.map_or("(all)", |name| name)
}
