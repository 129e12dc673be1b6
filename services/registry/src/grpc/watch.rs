//! New versions, as they come to be known.

use std::collections::HashMap;
use std::sync::Arc;

use efd_proto::registry::v1::{SubjectVersion, WatchVersionsResponse};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::access::Caller;
use crate::error::RegistryError;
use crate::state::State;
use crate::store::View;

/// What one client has seen. It holds a number for each subject, not what waits to be sent: that is looked up when the client reads on.
#[derive(Debug)]
pub(super) struct Watch {
    view: watch::Receiver<View>,
    /// Who watches, and the beginning of the subjects that it wants.
    wanted: (Caller, String),
    /// The highest version seen of each subject.
    seen: HashMap<Arc<str>, u32>,
}

impl Watch {
    pub(super) fn new(view: watch::Receiver<View>, wanted: (Caller, String), include_known: bool) -> Self {
        let mut seen = HashMap::new();
        if !include_known {
            let known = unseen(&view.borrow().state, &wanted, &seen);
            seen.extend(known);
        }
        Self { view, wanted, seen }
    }

    /// Sends until the client is gone (none), or the log is no longer read.
    pub(super) async fn run(
        &mut self,
        sender: &mpsc::Sender<Result<WatchVersionsResponse, Status>>,
    ) -> Option<RegistryError> {
        loop {
            let new = unseen(&self.view.borrow_and_update().state, &self.wanted, &self.seen);
            for (subject, version) in new {
                // Looked up only now, so that nothing is held for a slow client; it may have been deleted meanwhile.
                let found = version_of(&self.view.borrow().state, &subject, version);
                if let Some(found) = found {
                    sender.send(Ok(WatchVersionsResponse { version: Some(found) })).await.ok()?;
                }
                self.seen.insert(subject, version);
            }
            if self.view.changed().await.is_err() {
                return Some(RegistryError::Stopping);
            }
        }
    }
}

/// The versions above those seen, in the order of their subjects and numbers.
fn unseen(
    state: &State,
    (caller, prefix): &(Caller, String),
    seen: &HashMap<Arc<str>, u32>,
) -> Vec<(Arc<str>, u32)> {
    let mut new = Vec::new();
    let is_wanted = |name: &str| name.starts_with(prefix) && caller.may_use(name);
    for (name, subject) in state.subjects.iter().filter(|(name, _)| is_wanted(name)) {
        let last = seen.get(name).copied().unwrap_or(0);
        let above = subject.live().filter(|version| version.version > last);
        new.extend(above.map(|version| (name.clone(), version.version)));
    }
    new
}

fn version_of(state: &State, subject: &str, number: u32) -> Option<SubjectVersion> {
    let version = state.subject(subject)?.live().find(|version| version.version == number)?;
    let schema = state.schema_of(subject, *version)?.text();
    Some(SubjectVersion { subject: subject.to_owned(), version: number, id: version.id, schema })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compatibility::Level;
    use crate::log::{Record, SchemaValue};
    use crate::schema::Schema;

    fn version(subject: &str, version: u32, deleted: bool) -> Record {
        let schema = Arc::new(Schema::avro(&format!("\"{version}\"")));
        let value = SchemaValue { id: version, schema, deleted };
        Record::Schema { subject: subject.into(), version, value: Some(value) }
    }

    #[tokio::test]
    async fn a_watch_sends_each_new_version_of_its_subjects_once() {
        let mut state = State::new(Level::None);
        state.apply(&version("a", 1, false)).unwrap();
        let first = View { state: Arc::new(state), next_offset: 0, is_loaded: true };
        let (views, view) = watch::channel(first);
        let (sender, mut sent) = mpsc::channel(16);
        let mut watch = Watch::new(view.clone(), (Caller::default(), "a".into()), false);
        let mut whole = Watch::new(view, (Caller::default(), String::new()), true);
        let apply = |record: Record| {
            views.send_modify(|view| Arc::make_mut(&mut view.state).apply(&record).unwrap());
        };
        for record in
            [version("b", 2, false), version("a", 3, false), version("a", 4, true), version("a", 5, false)]
        {
            apply(record);
        }
        drop(views);
        assert!(watch.run(&sender).await.is_some());
        assert!(whole.run(&sender).await.is_some());
        drop(sender);
        let mut told = Vec::new();
        while let Some(response) = sent.recv().await {
            let version = response.unwrap().version.unwrap();
            told.push((version.subject, version.version));
        }
        let told: Vec<(&str, u32)> =
            told.iter().map(|(subject, version)| (subject.as_str(), *version)).collect();
        assert_eq!(told, [("a", 3), ("a", 5), ("a", 1), ("a", 3), ("a", 5), ("b", 2)]);
    }
}
