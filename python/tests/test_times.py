"""Times as users write them."""

import datetime

import numpy as np
import pandas as pd
import pytest
from astropy.time import Time, TimeDelta

from efd import times

NOON = 1_796_040_000 * times.SECOND


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-30T12:00:00",
        "2026-11-30T12:00:00Z",
        "2026-11-30 13:00:00+01:00",
        datetime.datetime(2026, 11, 30, 12),
        datetime.datetime(2026, 11, 30, 13, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
        pd.Timestamp("2026-11-30T12:00:00"),
        np.datetime64("2026-11-30T12:00:00"),
        Time("2026-11-30T12:00:00", scale="utc"),
        Time("2026-11-30T12:00:37", scale="tai"),
    ],
)
def test_every_way_to_write_a_time_is_the_same_time(value):
    assert times.nanos(value) == NOON


@pytest.mark.parametrize("value", [1, 1.5, None, TimeDelta(1, format="sec"), Time(["2026-11-30", "2026-12-01"])])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(TypeError, match="a time must be"):
        times.nanos(value)


def test_text_that_is_no_time_is_refused():
    for text in ("noon", "NaT", ""):
        with pytest.raises(ValueError):  # noqa: PT011 (the words are those of pandas)
            times.nanos(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10s", 10 * times.SECOND),
        ("1.5min", 90 * times.SECOND),
        (datetime.timedelta(microseconds=1), 1_000),
        (np.timedelta64(1, "ns"), 1),
        (TimeDelta(1e-9, format="sec"), 1),
        (TimeDelta(86_400.25, format="sec"), 86_400_250_000_000),
        (TimeDelta(3650.5, format="jd"), 315_403_200 * times.SECOND),
        (TimeDelta(-2, format="sec"), -2 * times.SECOND),
    ],
)
def test_lengths_of_time(value, expected):
    assert times.span_nanos(value) == expected


def test_a_length_of_time_begins_at_the_start_or_lies_around_it():
    for length in (TimeDelta(4, format="sec"), datetime.timedelta(seconds=4)):
        for start in (Time("2026-11-30T12:00:00", scale="utc"), "2026-11-30T12:00:00"):
            assert times.bounds(start, length) == (NOON, NOON + 4 * times.SECOND)
            assert times.bounds(start, length, True) == (NOON - 2 * times.SECOND, NOON + 2 * times.SECOND)


def test_a_length_over_a_leap_second_is_what_astropy_makes_of_it():
    start, length = Time("2016-12-31T23:59:50", scale="utc"), TimeDelta(20, format="sec")
    assert times.bounds(start, length)[1] == times.nanos("2017-01-01T00:00:09")


def test_tai_is_what_astropy_says():
    texts = [
        "1972-01-01",
        "1972-06-30T23:59:59",
        "1999-01-01",
        "2016-12-31T23:59:59",
        "2017-01-01",
        "2026-11-30T12:00:00",
    ]
    utc = np.array([times.nanos(text) for text in texts], dtype=np.int64)
    expected = np.array([round(Time(text, scale="utc").tai.unix_tai) for text in texts]) * times.SECOND
    assert times.tai_from_utc(utc).tolist() == expected.tolist()
    assert times.utc_from_tai(expected).tolist() == utc.tolist()


def test_messages_hold_nanoseconds_before_1970_too():
    assert times.timestamp(-1).ToNanoseconds() == -1
    assert times.timestamp(NOON + 1).ToNanoseconds() == NOON + 1
    for length in (-1_500_000_000, 1_500_000_000):
        assert times.duration(length).ToNanoseconds() == length
