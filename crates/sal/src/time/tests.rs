//! Leap seconds against the published table and around the last one.

use super::*;

/// 2017-01-01, when the offset went from 36 to 37 seconds.
const LAST_LEAP: f64 = 1_483_228_800.0;

const LIST: &str = "# a comment\n#$ 3929093563\n#@ 4023129600\n2272060800\t10\t# 1 Jan 1972\n\n3692217600 37 # 1 Jan 2017\n#h 1 2 3\n";

#[test]
fn offsets_change_when_a_leap_second_has_passed() {
    let leap = LeapSeconds::builtin();
    for (utc, offset) in [(63_072_000.0, 10), (LAST_LEAP - 0.001, 36), (LAST_LEAP, 37), (1_700_000_000.0, 37)]
    {
        assert_eq!(leap.tai_minus_utc_at_utc(utc), Ok(offset), "{utc}");
    }
}

#[test]
fn tai_and_utc_convert_both_ways() {
    let leap = LeapSeconds::builtin();
    assert_eq!(leap.tai_from_utc(1_700_000_000.0), Ok(1_700_000_037.0));
    assert_eq!(leap.utc_from_tai(1_700_000_037.123456), Ok(1_700_000_000.123456));
    assert_eq!(leap.utc_from_tai(1_700_000_037.5), Ok(1_700_000_000.5));
}

#[test]
fn a_leap_second_has_the_seconds_of_the_one_after_it() {
    let leap = LeapSeconds::builtin();
    let after = LAST_LEAP + 37.0;
    for (tai, utc) in
        [(after - 1.5, LAST_LEAP - 0.5), (after - 0.5, LAST_LEAP + 0.5), (after + 0.5, LAST_LEAP + 0.5)]
    {
        assert_eq!(leap.utc_from_tai(tai), Ok(utc), "{tai}");
    }
}

#[test]
fn a_time_outside_the_table_is_an_error() {
    let leap = LeapSeconds::builtin();
    let expires = as_seconds(BUILTIN_EXPIRES);
    assert!(leap.tai_minus_utc_at_utc(expires - 1.0).is_ok());
    assert!(leap.utc_from_tai(expires + 36.0).is_ok());
    for time in [leap.tai_from_utc(expires), leap.utc_from_tai(expires + 37.0)] {
        let message = time.unwrap_err().to_string();
        assert!(message.contains("lies beyond 2027-06-28T00:00:00 UTC"), "{message}");
        assert!(message.contains("give a current leap-seconds.list"), "{message}");
    }
    let message = leap.tai_from_utc(0.0).unwrap_err().to_string();
    assert!(message.contains("lies before 1972-01-01T00:00:00 UTC"), "{message}");
    for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(leap.utc_from_tai(seconds), Err(TimeError::NotATime { .. })));
    }
}

#[test]
fn a_list_gives_its_own_offsets_and_expiry() {
    let leap = LeapSeconds::parse(LIST).unwrap();
    assert_eq!(leap.expires(), BUILTIN_EXPIRES);
    assert_eq!(leap.tai_minus_utc_at_utc(63_072_000.0), Ok(10));
    assert_eq!(leap.tai_minus_utc_at_utc(LAST_LEAP - 1.0), Ok(10));
    assert_eq!(leap.tai_minus_utc_at_utc(LAST_LEAP), Ok(37));
}

#[test]
fn a_damaged_list_is_refused_with_its_line() {
    for (text, message) in [
        ("", "leap-seconds.list has no line with a time and an offset"),
        ("3692217600 37\n", "leap-seconds.list has no expiry"),
        ("#@ soon\n", "line 1: the expiry is not a time"),
        ("#@ 4023129600\n<html>\n", "line 2: the first column is not a time"),
        ("#@ 4023129600\n3692217600\n", "line 2: the second column is not a number of seconds"),
        ("3692217600 37\n3692217600 38\n", "line 2: the time is not after that of the line before"),
        ("99999999999999999999 37\n", "line 1: the first column is not a time"),
    ] {
        let error = LeapSeconds::parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
