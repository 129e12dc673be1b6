//! Tests of the cache file.

use super::*;

fn memory() -> Arc<Mutex<Memory>> {
    Arc::new(Mutex::new(Memory::new(10 << 20)))
}

fn entry_of(body: &str) -> Entry {
    Entry {
        status: StatusCode::OK,
        body: body.to_owned().into(),
        at: 7,
        lasting: true,
        expired: false,
        subject: Some("s".into()),
    }
}

/// Keeps an answer in memory and file, as the proxy does.
fn keep(journal: &mut Journal, key: &str, body: &str) {
    journal.memory().put(key.into(), entry_of(body));
    journal.append(&line(key, &entry_of(body))).unwrap();
}

fn path() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    (folder, path)
}

#[test]
fn what_was_learnt_is_there_again_and_what_was_taken_back_is_not() {
    let (_folder, path) = path();
    let mut journal = Journal::open(&path, memory()).unwrap();
    keep(&mut journal, "a", "old");
    keep(&mut journal, "a", "{\"schema\":\"\\\"é\\\"\"}\n");
    keep(&mut journal, "b", "x");
    journal.append(&Line { key: "b".into(), answer: None }).unwrap();
    drop(journal);
    let again = memory();
    Journal::open(&path, again.clone()).unwrap();
    let mut again = again.lock().unwrap();
    assert_eq!(again.get("a"), Some(entry_of("{\"schema\":\"\\\"é\\\"\"}\n")));
    assert_eq!((again.get("b"), again.len()), (None, 1));
}

#[test]
fn a_file_that_was_cut_or_damaged_anywhere_keeps_all_lines_before() {
    let (_folder, path) = path();
    let mut journal = Journal::open(&path, memory()).unwrap();
    let mut ends = vec![journal.bytes];
    for number in 0..5 {
        keep(&mut journal, &format!("k{number}"), &"x".repeat(number * 10));
        ends.push(journal.bytes);
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let lines_before =
        |place: usize| ends.iter().filter(|end| **end <= place as u64).count().saturating_sub(1);
    for cut in HEADER.len()..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let again = memory();
        let mut journal = Journal::open(&path, again.clone()).unwrap();
        assert_eq!(again.lock().unwrap().len(), lines_before(cut), "cut at {cut}");
        // And it can be gone on with.
        keep(&mut journal, "new", "y");
        let third = memory();
        Journal::open(&path, third.clone()).unwrap();
        assert_eq!(third.lock().unwrap().len(), lines_before(cut) + 1);
    }
    for place in HEADER.len()..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let again = memory();
        Journal::open(&path, again.clone()).unwrap();
        assert_eq!(again.lock().unwrap().len(), lines_before(place), "damaged at {place}");
    }
}

#[test]
fn another_version_is_replaced_and_anything_else_is_left_alone() {
    let (_folder, path) = path();
    for text in ["efd-registry-cache 2\nsomething\n", "", "efd-reg", HEADER] {
        std::fs::write(&path, text).unwrap();
        let mut journal = Journal::open(&path, memory()).unwrap();
        keep(&mut journal, "a", "x");
        let again = memory();
        Journal::open(&path, again.clone()).unwrap();
        assert_eq!(again.lock().unwrap().len(), 1, "{text}");
    }
    std::fs::write(&path, "a letter").unwrap();
    assert!(Journal::open(&path, memory()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
}

#[test]
fn the_file_stays_bounded_however_often_an_answer_changes() {
    let (_folder, path) = path();
    let mut journal = Journal::open(&path, memory()).unwrap();
    let longest = 3 * SLACK;
    for number in 0..200 {
        keep(&mut journal, "a", &format!("{number}{}", "x".repeat(100_000)));
        assert!(std::fs::metadata(&path).unwrap().len() < longest);
    }
    let again = memory();
    Journal::open(&path, again.clone()).unwrap();
    assert!(again.lock().unwrap().get("a").unwrap().body.starts_with(b"199x"));
}
