//! Answers in memory, as many as a bound on their bytes allows. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;

/// What an entry takes beside key, subject and body.
const ENTRY_BYTES: u64 = 160;
/// Age of what the file says about an answer, in milliseconds, beyond which it is written again though it is the same.
const REWRITE_AFTER: u64 = 60_000;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// When the upstream gave it, in milliseconds since 1970.
    pub(super) at: u64,
    /// It can never change.
    pub(super) lasting: bool,
    /// A write may have changed it; it is good only as long as there is no better one.
    pub(super) expired: bool,
    /// Subject that it is about.
    pub(super) subject: Option<Arc<str>>,
}

/// What keeping an entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// It says something else than what was known, or that was long ago.
    pub(super) is_news: bool,
    /// Entries that had to go.
    pub(super) evicted: u64,
}

/// All answers.
#[derive(Debug)]
pub(super) struct Memory {
    entries: HashMap<Arc<str>, (Entry, u64)>,
    /// Keys by the time of their last use, counted in uses.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
    bytes: u64,
    max_bytes: u64,
    writes: u64,
}

impl Memory {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, max_bytes, writes: 0 }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<Entry> {
        let (entry, used) = self.entries.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.by_use.remove(used) {
            self.by_use.insert(self.uses, key);
        }
        *used = self.uses;
        Some(entry.clone())
    }

    pub(super) fn put(&mut self, key: Arc<str>, entry: Entry) -> Kept {
        let old = self.remove(&key);
        let is_same = old.is_some_and(|old| {
            old.body == entry.body
                && old.status == entry.status
                && entry.at.saturating_sub(old.at) < REWRITE_AFTER
        });
        self.uses += 1;
        self.bytes += bytes(&key, &entry);
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, (entry, self.uses));
        let mut evicted = 0;
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.remove(&oldest);
            evicted += 1;
        }
        Kept { is_news: !is_same, evicted }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let (entry, used) = self.entries.remove(key)?;
        self.by_use.remove(&used);
        self.bytes -= bytes(key, &entry);
        Some(entry)
    }

    /// A write changed a subject, or with none the whole registry: what may be otherwise now is asked again. A delete also takes
    /// back what is known to be registered; the keys of what is gone are given.
    pub(super) fn written(&mut self, subject: Option<&Arc<str>>, is_delete: bool) -> Vec<Arc<str>> {
        self.writes += 1;
        let mut gone = Vec::new();
        for (key, (entry, _)) in &mut self.entries {
            let concerned = subject.is_none() || entry.subject.is_none() || entry.subject.as_ref() == subject;
            // A schema stays what its id stands for.
            let is_registration = entry.lasting && entry.subject.is_some();
            if !concerned || (entry.lasting && !is_registration) {
                continue;
            }
            if !entry.status.is_success() || (is_delete && entry.subject.is_some()) {
                gone.push(key.clone());
            } else if !is_registration {
                entry.expired = true;
            }
        }
        for key in &gone {
            self.remove(key);
        }
        gone
    }

    /// Everything that is worth keeping over a restart.
    pub(super) fn lasting_entries(&self) -> Vec<(Arc<str>, Entry)> {
        let positive =
            self.by_use.values().filter_map(|key| Some((key.clone(), self.entries.get(key)?.0.clone())));
        positive.filter(|(_, entry)| entry.status.is_success()).collect()
    }

    /// How often something was written.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn bytes(key: &str, entry: &Entry) -> u64 {
    let subject = entry.subject.as_ref().map_or(0, |subject| subject.len());
    ENTRY_BYTES + (key.len() + subject + entry.body.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(body: &str, lasting: bool, subject: Option<&str>) -> Entry {
        let body = Bytes::from(body.to_owned());
        Entry {
            status: StatusCode::OK,
            body,
            at: 0,
            lasting,
            expired: false,
            subject: subject.map(Arc::from),
        }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_bound_holds() {
        let one = bytes("a", &entry("x", true, None));
        let mut memory = Memory::new(3 * one);
        for key in ["a", "b", "c"] {
            assert_eq!(memory.put(key.into(), entry("x", true, None)), Kept { is_news: true, evicted: 0 });
        }
        assert!(memory.get("a").is_some());
        assert_eq!(memory.put("d".into(), entry("x", true, None)).evicted, 1);
        assert!(memory.get("b").is_none());
        assert!(memory.get("a").is_some() && memory.get("c").is_some() && memory.get("d").is_some());
        assert_eq!((memory.len(), memory.bytes()), (3, 3 * one));
        let long = "x".repeat(usize::try_from(4 * one).unwrap());
        assert_eq!(memory.put("e".into(), entry(&long, true, None)).evicted, 4);
        assert_eq!((memory.len(), memory.bytes(), memory.by_use.len()), (0, 0, 0));
    }

    #[test]
    fn the_same_answer_is_no_news_until_it_is_old() {
        let mut memory = Memory::new(1 << 20);
        assert!(memory.put("a".into(), entry("x", false, None)).is_news);
        assert!(!memory.put("a".into(), entry("x", false, None)).is_news);
        assert!(memory.put("a".into(), Entry { at: REWRITE_AFTER, ..entry("x", false, None) }).is_news);
        assert!(memory.put("a".into(), entry("y", false, None)).is_news);
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn a_write_expires_what_it_may_have_changed_and_a_delete_forgets_registrations() {
        let mut memory = Memory::new(1 << 20);
        memory.put("schema".into(), entry("1", true, None));
        memory.put("list".into(), entry("1", false, None));
        memory.put("registered".into(), entry("1", true, Some("a")));
        memory.put("latest".into(), entry("1", false, Some("a")));
        memory.put("absent".into(), Entry { status: StatusCode::NOT_FOUND, ..entry("1", false, Some("a")) });
        memory.put("other".into(), entry("1", false, Some("b")));
        let subject: Arc<str> = "a".into();
        assert_eq!(memory.written(Some(&subject), false), ["absent".into()]);
        let expired = |memory: &mut Memory, key: &str| memory.get(key).map(|entry| entry.expired);
        for (key, is_expired) in
            [("schema", false), ("list", true), ("registered", false), ("latest", true), ("other", false)]
        {
            assert_eq!(expired(&mut memory, key), Some(is_expired), "{key}");
        }
        let mut gone = memory.written(Some(&subject), true);
        gone.sort();
        assert_eq!(gone, ["latest".into(), "registered".into()]);
        assert_eq!(expired(&mut memory, "schema"), Some(false));
        memory.written(None, false);
        assert_eq!(expired(&mut memory, "other"), Some(true));
    }
}
