"""Names of fields as InfluxDB stores them, where element 3 of an array ``force`` is ``force3``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from efd.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from efd.query.v1 import columns_pb2 as pb

Fields: TypeAlias = "str | bytes | Sequence[str | bytes] | None"
"""Names of fields, arrays or elements of arrays; a regular expression between slashes; ``*`` or `None` for all."""


@dataclass(frozen=True)
class Column:
    """A column that was asked for.

    Parameters
    ----------
    name : `str`
        As it was asked for.
    field : `str`
        Name of the field that it is, or is an element of.
    element : `int` or `None`
        Which element of the array; `None` for all of it, and for a scalar.
    """

    name: str
    field: str
    element: int | None = None


def as_list(fields: Fields) -> list[str]:
    """Names of fields as a list of text; empty for all.

    Parameters
    ----------
    fields : `Fields`
        As users write them.

    Returns
    -------
    names : `list` [`str`]
        Each of them once.
    """
    if fields is None:
        return []
    given = [fields] if isinstance(fields, (str, bytes)) else list(fields)
    names = [name.decode() if isinstance(name, bytes) else name for name in given]
    if not names:
        raise RequestError("name at least one field, or give None for all")
    return [] if "*" in names else list(dict.fromkeys(names))


def stored(fields: Iterable[pb.Field]) -> dict[str, Column]:
    """Stored names of a topic's fields.

    Parameters
    ----------
    fields : iterable of `Field`
        In the order of the schema: where two claim one name, the first has it.

    Returns
    -------
    names : `dict` [`str`, `Column`]
        What each stored name is.
    """
    names: dict[str, Column] = {}
    for field in fields:
        if not field.HasField("array_length"):
            names.setdefault(field.name, Column(field.name, field.name))
        for element in range(field.array_length):
            name = f"{field.name}{element}"
            names.setdefault(name, Column(name, field.name, element))
    return names


def resolve(wanted: Sequence[str], fields: Sequence[pb.Field], topic: str) -> list[Column]:
    """Find the columns that were asked for.

    Parameters
    ----------
    wanted : sequence of `str`
        Names, and regular expressions between slashes.
    fields : sequence of `Field`
        What the topic has.
    topic : `str`
        Its name, for messages.

    Returns
    -------
    columns : `list` [`Column`]
        In the order in which they were asked for, each once.

    Raises
    ------
    RequestError
        When a name is unknown or an expression matches nothing.
    """
    names = stored(fields)
    arrays = {field.name: Column(field.name, field.name) for field in fields}
    columns: dict[str, Column] = {}
    for name in wanted:
        if len(name) > 2 and name.startswith("/") and name.endswith("/"):
            found = [column for stored_name, column in names.items() if _matches(name, stored_name)]
        else:
            found = [column for column in (names.get(name) or arrays.get(name),) if column]
        if not found:
            raise _unknown(name, [*arrays, *names], topic)
        columns.update((column.name, column) for column in found)
    return list(columns.values())


def _matches(expression: str, name: str) -> bool:
    try:
        return re.search(expression[1:-1], name) is not None
    except re.error as error:
        raise RequestError(f"{expression} is no regular expression: {error}") from error


def _unknown(name: str, known: Sequence[str], topic: str) -> RequestError:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"; near it are {', '.join(dict.fromkeys(near))}" if near else ""
    return RequestError(f"{topic} has no field {name}{hint}. For expressions of InfluxQL there is influxql_query")


def prefixed(column: Column, prefix: str) -> Column:
    """The same column of an answer whose names begin with a prefix."""
    return Column(prefix + column.name, prefix + column.field, column.element)
