"""What is asked, as messages."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, TypeAlias

from efd import times
from efd.errors import RequestError
from efd.query.v1 import columns_pb2
from efd.query.v1 import query_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from efd.names import Column, Fields

Topics: TypeAlias = "Mapping[str, Fields] | Sequence[tuple[str, Fields]]"
"""Topics, each with its fields."""

Condition: TypeAlias = "tuple[str, str, bool | int | float | str]"
"""Name of a scalar or an element of an array, an operator such as ``<``, and what it is compared with."""

_OPERATORS = {
    "==": pb.OPERATOR_EQUAL,
    "=": pb.OPERATOR_EQUAL,
    "!=": pb.OPERATOR_NOT_EQUAL,
    "<": pb.OPERATOR_LESS,
    "<=": pb.OPERATOR_LESS_OR_EQUAL,
    ">": pb.OPERATOR_GREATER,
    ">=": pb.OPERATOR_GREATER_OR_EQUAL,
}

_AGGREGATES: dict[str, Any] = {
    name.removeprefix("AGGREGATE_").lower(): number for name, number in columns_pb2.Aggregate.items() if number
}

_TEXTS = (columns_pb2.FIELD_TYPE_STRING, columns_pb2.FIELD_TYPE_BYTES, columns_pb2.FIELD_TYPE_ENUM)
_WHOLE = (columns_pb2.FIELD_TYPE_INT, columns_pb2.FIELD_TYPE_LONG)


def time_range(start: int, end: int, stored_tai: bool = False) -> pb.TimeRange:
    """Range of time, from nanoseconds of UTC.

    Parameters
    ----------
    start, end : `int`
        Both inclusive.
    stored_tai : `bool`, optional
        Whether times stand in TAI in InfluxDB, as in some databases of before 2021.

    Returns
    -------
    range : `TimeRange`
        In UTC.
    """
    return pb.TimeRange(
        start=times.timestamp(start),
        end=times.timestamp(end),
        scale=pb.TIME_SCALE_UTC,
        stored_scale=stored_scale(stored_tai),
    )


def stored_scale(stored_tai: bool) -> pb.TimeScale:
    """Scale of times in InfluxDB."""
    return pb.TIME_SCALE_TAI if stored_tai else pb.TIME_SCALE_UTC


def selection(topic: str, columns: Iterable[Column] | None, index: int | None = None) -> pb.Selection:
    """Fields of a topic.

    Parameters
    ----------
    topic : `str`
        Its name.
    columns : iterable of `Column` or `None`
        Which; `None` for all.
    index : `int`, optional
        Only rows of this index; `None` and 0: of all, as ``lsst-efd-client`` has it.

    Returns
    -------
    selection : `Selection`
        Each field once.
    """
    fields = list(dict.fromkeys(column.field for column in columns or ()))
    return pb.Selection(topic=topic, fields=fields, sal_index=index or None)


def aggregates(names: str | Sequence[str]) -> list[columns_pb2.Aggregate]:
    """Aggregates by their names.

    Parameters
    ----------
    names : `str` or sequence of `str`
        Such as ``mean``.

    Returns
    -------
    aggregates : `list` of `int`
        Each once, in this order.

    Raises
    ------
    RequestError
        When a name is unknown.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in _AGGREGATES]
    if unknown or not wanted:
        raise RequestError(f"{', '.join(unknown) or 'nothing'} is no aggregate; there are {', '.join(_AGGREGATES)}")
    return [_AGGREGATES[name] for name in dict.fromkeys(wanted)]


def condition(wanted: Condition, column: Column, field: columns_pb2.Field) -> pb.Condition:
    """Write what must hold for a row, with the value in the field's type.

    Parameters
    ----------
    wanted : `Condition`
        As users write it.
    column : `Column`
        What its name is.
    field : `Field`
        The field that it belongs to.

    Returns
    -------
    condition : `Condition`
        The message.

    Raises
    ------
    RequestError
        When the operator is unknown or the value does not fit the field.
    """
    name, operator, value = wanted
    if operator not in _OPERATORS:
        raise RequestError(f"{operator} is no operator; there are {' '.join(_OPERATORS)}")
    if field.HasField("array_length") and column.element is None:
        raise RequestError(f"{name} is an array; compare one of its elements, such as {name}0")
    made = pb.Condition(field=column.name, operator=_OPERATORS[operator])
    is_flag = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")
    if field.type == columns_pb2.FIELD_TYPE_BOOLEAN and is_flag:
        made.boolean = bool(value)
    elif field.type in _TEXTS and isinstance(value, str):
        made.string = value
    elif field.type in _WHOLE and isinstance(value, numbers.Integral) and not is_flag:
        made.long = int(value)
    elif field.type not in (*_TEXTS, *_WHOLE) and isinstance(value, numbers.Real) and not is_flag:
        made.double = float(value)
    else:
        raise RequestError(f"{name} cannot be compared with {value!r}: it is {columns_pb2.FieldType.Name(field.type)}")
    return made


def count(rows: int) -> int:
    """Check a number of rows, which messages hold without a sign.

    Parameters
    ----------
    rows : `int`
        How many are wanted.

    Returns
    -------
    rows : `int`
        The same.

    Raises
    ------
    RequestError
        When there is no such number of rows.
    """
    if not 1 <= rows < 1 << 32:
        raise RequestError(f"a number of rows must be from 1 to 100,000, not {rows}")
    return int(rows)
