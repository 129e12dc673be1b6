//! Which lists make up the list of a caller.

use super::*;

#[test]
fn a_list_is_made_of_what_begins_with_both() {
    let own = ["lsst.sal.Lab.", "lsst.sal.Lab.a", "lsst.sal.ATDome.", ":.lab:x"];
    let own: Vec<String> = own.iter().map(|prefix| (*prefix).to_owned()).collect();
    let table: [(&str, &[&str]); 12] = [
        ("", &[":.lab:x", "lsst.sal.ATDome.", "lsst.sal.Lab."]),
        (":*:", &[":.lab:x", "lsst.sal.ATDome.", "lsst.sal.Lab."]),
        (":.:", &["lsst.sal.ATDome.", "lsst.sal.Lab."]),
        (":.lab:", &[":.lab:x"]),
        (":.lab:xy", &[":.lab:xy"]),
        (":.lab:y", &[]),
        (":*:xy", &[":.lab:xy"]),
        (":*:lsst", &["lsst.sal.ATDome.", "lsst.sal.Lab."]),
        (":.:lsst.sal.Lab.abc", &["lsst.sal.Lab.abc"]),
        ("lsst.sal.Lab.abc", &["lsst.sal.Lab.abc"]),
        ("lsst.sal.ATD", &["lsst.sal.ATDome."]),
        ("lsst.sal.X.", &[]),
    ];
    for (wanted, expected) in table {
        assert_eq!(narrowed(&own, wanted), expected, "{wanted}");
    }
}

#[test]
fn a_list_is_asked_for_whole_and_cut_afterwards() {
    let asked = |target: &str| without_page(&Request::get(target).unwrap());
    assert_eq!(
        asked("/schemas/ids/7/subjects?offset=1&deleted=true&limit=2"),
        "/schemas/ids/7/subjects?deleted=true"
    );
    assert_eq!(asked("/schemas/ids/7/versions"), "/schemas/ids/7/versions?");
}
