"""Rows of Arrow: columns picked from them, and pandas frames made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from efd.columns import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from efd.names import Column

OutputMode: TypeAlias = Literal["dataframe", "arrow"]
"""What methods give: pandas frames, or Arrow tables and record batches."""


def pick(batch: pa.RecordBatch, columns: Sequence[Column] | None) -> pa.RecordBatch:
    """Take the columns that were asked for, elements of arrays among them.

    Parameters
    ----------
    batch : `pyarrow.RecordBatch`
        As the gateway's batches are.
    columns : sequence of `Column` or `None`
        Which; `None` for all as they are.

    Returns
    -------
    batch : `pyarrow.RecordBatch`
        The times, then these.
    """
    if columns is None:
        return batch
    arrays: list[pa.Array[Any]] = [batch.column(0)]
    fields: list[pa.Field[Any]] = [batch.schema.field(0)]
    for column in columns:
        values, field = batch.column(column.field), batch.schema.field(column.field)
        if column.element is not None:
            values = _element(values, column.element)
            field = pa.field(column.name, values.type, metadata=field.metadata)
        arrays.append(values)
        fields.append(field)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=batch.schema.metadata))


def _element(values: pa.Array[Any], element: int) -> pa.Array[Any]:
    """One element of each array; missing where the arrays found in InfluxDB are shorter."""
    if element >= values.type.list_size:
        return pa.nulls(len(values), values.type.value_type)
    return pc.list_element(values, element)


def to_frame(rows: pa.Table | pa.RecordBatch, arrays: bool = False) -> pd.DataFrame:
    """Make a pandas frame.

    Parameters
    ----------
    rows : `pyarrow.Table` or `pyarrow.RecordBatch`
        Rows with their time in the column ``time``.
    arrays : `bool`, optional
        Whether an array is one column of NumPy arrays; else its elements are columns ``name0``, ``name1``, …

    Returns
    -------
    frame : `pandas.DataFrame`
        Indexed by time in UTC. ``attrs`` has ``topic``, and for each column its unit in ``units`` and what it is in
        ``descriptions``. Numbers that were not recorded are NaN.
    """
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    columns: dict[str, Any] = {}
    units: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    for field in table.schema:
        if field.name == TIME:
            continue
        values = table.column(field.name).combine_chunks()
        made = _columns(field.name, values, arrays)
        columns.update(made)
        metadata = field.metadata or {}
        units.update(dict.fromkeys(made, metadata.get(b"unit", b"").decode()))
        descriptions.update(dict.fromkeys(made, metadata.get(b"description", b"").decode()))
    frame = pd.DataFrame(columns, index=_index(table))
    topic = (table.schema.metadata or {}).get(b"topic", b"").decode()
    frame.attrs = {"topic": topic, "units": units, "descriptions": descriptions}
    return frame


def _index(table: pa.Table) -> pd.DatetimeIndex:
    times = table.column(TIME).to_numpy()
    return pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC")


def _columns(name: str, values: pa.Array[Any], arrays: bool) -> dict[str, Any]:
    """Columns of pandas that one of Arrow becomes."""
    if not pa.types.is_fixed_size_list(values.type):
        return {name: _to_numpy(values)}
    length = values.type.list_size
    flat = _to_numpy(values.flatten())
    matrix = flat.reshape(len(values), length)
    if not arrays:
        return {f"{name}{element}": matrix[:, element] for element in range(length)}
    cells = np.empty(len(values), dtype=object)
    cells[:] = list(matrix)
    return {name: cells}


def _to_numpy(values: pa.Array[Any]) -> np.ndarray[Any, Any]:
    """Values for pandas: numbers that are missing become NaN, other missing values `None`."""
    made: np.ndarray[Any, Any] = values.to_numpy(zero_copy_only=False)
    return made


def symbols(schema: pa.Schema, name: str) -> list[str]:
    """Names of the values of an enumeration.

    Parameters
    ----------
    schema : `pyarrow.Schema`
        Of an Arrow answer.
    name : `str`
        Of a column.

    Returns
    -------
    symbols : `list` [`str`]
        In the order of their numbers; empty where it is no enumeration.
    """
    metadata = schema.field(name).metadata or {}
    found: list[str] = json.loads(metadata.get(b"symbols", b"[]"))
    return found
