//! What is committed when partitions go.

use std::sync::Arc;

use super::*;

fn partition(topic: &str) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: 0 }
}

/// Remembers what was committed.
#[derive(Default)]
struct Coordinator {
    committed: Mutex<BTreeMap<String, i64>>,
}

impl Committer for Coordinator {
    fn commit_offsets(&self, offsets: &TopicPartitionList, _mode: CommitMode) -> KafkaResult<()> {
        for element in offsets.elements() {
            let next = element.offset().to_raw().unwrap();
            let before = self.committed.lock().unwrap().insert(element.topic().to_owned(), next);
            assert!(before.is_none_or(|before| before <= next), "offsets went back");
        }
        Ok(())
    }
}

#[test]
fn a_revoked_partition_commits_what_is_written_and_nothing_later() {
    let (coordinator, commits) = (Coordinator::default(), <Commits>::default());
    let (a, b) = (partition("a"), partition("b"));
    commits.assigned(&[a.clone(), b.clone()]);
    let first = commits.open(vec![(a.clone(), 5), (b.clone(), 5)]);
    let second = commits.open(vec![(a.clone(), 9), (b, 9)]);
    commits.close(first);
    commits.revoked(std::slice::from_ref(&a), &coordinator);
    assert_eq!(*coordinator.committed.lock().unwrap(), BTreeMap::from([("a".into(), 5)]));
    commits.close(second);
    let ready = commits.ready();
    commits.commit(&coordinator).unwrap();
    assert_eq!(
        coordinator.committed.lock().unwrap().len(),
        1,
        "nothing is committed before it is accounted for"
    );
    commits.keep(ready);
    commits.commit(&coordinator).unwrap();
    assert_eq!(*coordinator.committed.lock().unwrap(), BTreeMap::from([("a".into(), 5), ("b".into(), 9)]));
    // A late failure does not bring the partition back.
    let mut late = TopicPartitionList::new();
    add_offset(&mut late, &a, 5);
    commits.failed(&late);
    commits.commit(&coordinator).unwrap();
}

#[test]
fn a_failure_heard_late_does_not_set_the_group_back() {
    let (coordinator, commits) = (Coordinator::default(), <Commits>::default());
    let a = partition("a");
    commits.assigned(std::slice::from_ref(&a));
    for next in [5, 9] {
        let batch = commits.open(vec![(a.clone(), next)]);
        commits.close(batch);
        commits.keep(commits.ready());
        commits.commit(&coordinator).unwrap();
    }
    let failed = |next| {
        let mut offsets = TopicPartitionList::new();
        add_offset(&mut offsets, &a, next);
        commits.failed(&offsets);
    };
    // The coordinator refuses an offset that goes back.
    failed(5);
    assert!(!commits.has_kept());
    failed(9);
    assert!(commits.has_kept());
    commits.commit(&coordinator).unwrap();
    // Another may have gone further while the partition was away.
    commits.revoked(std::slice::from_ref(&a), &coordinator);
    commits.assigned(std::slice::from_ref(&a));
    failed(9);
    assert!(!commits.has_kept());
}

#[test]
fn a_revocation_waits_for_what_is_on_its_way() {
    let commits = Arc::new(<Commits>::default());
    let (a, b) = (partition("a"), partition("b"));
    commits.assigned(&[a.clone(), b.clone()]);
    let first = commits.open(vec![(a.clone(), 5)]);
    commits.open(vec![(b.clone(), 5)]);
    let closing = {
        let commits = commits.clone();
        std::thread::spawn(move || commits.close(first))
    };
    assert!(commits.drained(std::slice::from_ref(&a), Duration::from_secs(60)));
    closing.join().unwrap();
    let coordinator = Coordinator::default();
    commits.revoked(&[a], &coordinator);
    assert_eq!(*coordinator.committed.lock().unwrap(), BTreeMap::from([("a".into(), 5)]));
    // A destination that takes nothing holds nobody up for ever.
    assert!(!commits.drained(std::slice::from_ref(&b), Duration::from_millis(1)));
    commits.ended();
    assert!(!commits.drained(&[b], Duration::from_secs(600)));
}
