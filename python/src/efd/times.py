"""Times: what users write, as nanoseconds of UTC and as messages."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from astropy.time import Time, TimeDelta

Instant: TypeAlias = "Time | datetime.datetime | pd.Timestamp | np.datetime64 | str"
"""A time: of `astropy.time` in any scale; or UTC, where it names no zone."""

Span: TypeAlias = "TimeDelta | datetime.timedelta | pd.Timedelta | np.timedelta64 | str"
"""A length of time; text as pandas reads it, such as ``10s`` or ``5min``."""

SECOND = 1_000_000_000

# When TAI got further ahead of UTC, as UTC without leap seconds, and by how many seconds it is ahead since then.
_LEAPS = {
    "1972-01-01": 10, "1972-07-01": 11, "1973-01-01": 12, "1974-01-01": 13, "1975-01-01": 14, "1976-01-01": 15,
    "1977-01-01": 16, "1978-01-01": 17, "1979-01-01": 18, "1980-01-01": 19, "1981-07-01": 20, "1982-07-01": 21,
    "1983-07-01": 22, "1985-07-01": 23, "1988-01-01": 24, "1990-01-01": 25, "1991-01-01": 26, "1992-07-01": 27,
    "1993-07-01": 28, "1994-07-01": 29, "1996-01-01": 30, "1997-07-01": 31, "1999-01-01": 32, "2006-01-01": 33,
    "2009-01-01": 34, "2012-07-01": 35, "2015-07-01": 36, "2017-01-01": 37,
}  # fmt: skip
_LEAP_TIMES = np.array(list(_LEAPS), dtype="datetime64[ns]").view(np.int64)
_LEAP_OFFSETS = np.array([0, *_LEAPS.values()], dtype=np.int64)


def is_astropy_time(value: object) -> bool:
    """Whether it is a `astropy.time.Time`, found without importing astropy."""
    return _is_of_astropy(value, "Time")


def is_astropy_delta(value: object) -> bool:
    """Whether it is a `astropy.time.TimeDelta`, found without importing astropy."""
    return _is_of_astropy(value, "TimeDelta")


def _is_of_astropy(value: object, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.startswith("astropy.") for kind in type(value).__mro__)


def nanos(value: Instant) -> int:
    """Nanoseconds of UTC since 1970, without leap seconds.

    Parameters
    ----------
    value : `Instant`
        A time.

    Returns
    -------
    nanos : `int`
        Exact to what the value itself holds.

    Raises
    ------
    TypeError
        When it is no time.
    ValueError
        When it cannot be read, or is none that 64 bits can hold.
    """
    if is_astropy_time(value):
        moment: Any = value
        if not moment.isscalar:
            raise TypeError("a time must be a single one, not an array")
        return int(np.datetime64(moment.utc.datetime64, "ns").astype(np.int64))
    if not isinstance(value, (str, datetime.datetime, np.datetime64)):
        raise TypeError(f"a time must be an astropy Time, a datetime or text, not {type(value).__name__}")
    stamp = pd.Timestamp(value)
    if pd.isna(stamp):
        raise ValueError(f"{value!r} is no time")
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return int(stamp.as_unit("ns").value)


def span_nanos(value: Span) -> int:
    """Nanoseconds of a length of time.

    Parameters
    ----------
    value : `Span`
        A length of time.

    Returns
    -------
    nanos : `int`
        Exact to what the value itself holds.

    Raises
    ------
    TypeError
        When it is no length of time.
    """
    if is_astropy_delta(value):
        delta: Any = value
        days, rest = float(delta.jd1), float(delta.jd2)
        # Whole days and their fraction apart: their sum does not hold nanoseconds.
        return round(days * 86_400) * SECOND + round(rest * 86_400 * SECOND)
    if not isinstance(value, (str, datetime.timedelta, np.timedelta64)):
        raise TypeError(f"a length of time must be a TimeDelta, a timedelta or text, not {type(value).__name__}")
    length = pd.Timedelta(value)
    if pd.isna(length):
        raise ValueError(f"{value!r} is no length of time")
    return int(length.as_unit("ns").value)


def bounds(start: Instant, end: Instant | Span, is_window: bool = False) -> tuple[int, int]:
    """First and last time of a range.

    Parameters
    ----------
    start : `Instant`
        First time; with ``is_window`` and a length of time the middle.
    end : `Instant` or `Span`
        Last time, or a length of time; text is a time.
    is_window : `bool`, optional
        Whether a length of time lies half before and half after ``start``.

    Returns
    -------
    start, end : `int`
        Both inclusive, in nanoseconds of UTC.

    Raises
    ------
    TypeError
        When one is neither.
    ValueError
        When the end is before the start.
    """
    is_span: bool = is_astropy_delta(end) or isinstance(end, (datetime.timedelta, np.timedelta64))
    first, last = _around(start, end, is_window) if is_span else (nanos(start), nanos(cast("Instant", end)))
    if last < first:
        raise ValueError(f"the end of the range, {_text(last)}, is before its start, {_text(first)}")
    return first, last


def _around(start: Instant, length: Any, is_window: bool) -> tuple[int, int]:
    """Bounds of a length of time that begins at a time, or lies around it."""
    if is_astropy_time(start) and is_astropy_delta(length):
        # Astropy counts the leap seconds between them.
        moment: Any = start
        before, after = (length / 2, length / 2) if is_window else (length * 0, length)
        return nanos(moment - before), nanos(moment + after)
    middle, total = nanos(start), span_nanos(length)
    first = middle - total // 2 if is_window else middle
    return first, first + total


def _text(moment: int) -> str:
    """A time as people read it."""
    return f"{np.datetime64(moment, 'ns')}Z"


def timestamp(moment: int) -> Timestamp:
    """A time as a message, from nanoseconds of UTC."""
    seconds, rest = divmod(moment, SECOND)
    return Timestamp(seconds=seconds, nanos=rest)


def duration(length: int) -> Duration:
    """A length of time as a message, from nanoseconds."""
    sign = -1 if length < 0 else 1
    seconds, rest = divmod(abs(length), SECOND)
    return Duration(seconds=sign * seconds, nanos=sign * rest)


def tai_from_utc(moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Nanoseconds of TAI from nanoseconds of UTC.

    Parameters
    ----------
    moments : `numpy.ndarray`
        Nanoseconds of UTC since 1970, without leap seconds.

    Returns
    -------
    moments : `numpy.ndarray`
        Nanoseconds of TAI since 1970, which is what ``unix_tai`` counts; before 1972 they are left as they are.
    """
    places = np.searchsorted(_LEAP_TIMES, moments, side="right")
    return moments + _LEAP_OFFSETS[places] * SECOND


def utc_from_tai(moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Nanoseconds of UTC from nanoseconds of TAI, the reverse of `tai_from_utc`.

    Parameters
    ----------
    moments : `numpy.ndarray`
        Nanoseconds of TAI since 1970.

    Returns
    -------
    moments : `numpy.ndarray`
        Nanoseconds of UTC since 1970; those of a leap second are the second after it.
    """
    places = np.searchsorted(_LEAP_TIMES + _LEAP_OFFSETS[1:] * SECOND, moments, side="right")
    return moments - _LEAP_OFFSETS[places] * SECOND
