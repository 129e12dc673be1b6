"""Columns as they come from the gateway, to Arrow.

Numbers are not touched one by one: protobuf gives them to NumPy as a whole, and Arrow takes NumPy's memory and the bits
that say which values were recorded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from efd.errors import DataError
from efd.query.v1 import columns_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TIME = "time"
"""Name of the column of times."""

_TYPES: dict[int, pa.DataType] = {
    pb.FIELD_TYPE_BOOLEAN: pa.bool_(),
    # A stored value may be larger than the schema of today allows.
    pb.FIELD_TYPE_INT: pa.int64(),
    pb.FIELD_TYPE_LONG: pa.int64(),
    # InfluxDB has the double of the same value, and so have answers.
    pb.FIELD_TYPE_FLOAT: pa.float64(),
    pb.FIELD_TYPE_DOUBLE: pa.float64(),
    pb.FIELD_TYPE_STRING: pa.string(),
    pb.FIELD_TYPE_BYTES: pa.string(),
    pb.FIELD_TYPE_ENUM: pa.string(),
}


def type_name(field: pb.Field) -> str:
    """Avro's name of a field's type, such as ``double``."""
    return pb.FieldType.Name(field.type).removeprefix("FIELD_TYPE_").lower()


def aggregate_name(aggregate: pb.Aggregate) -> str:
    """Name of an aggregate, such as ``mean``."""
    return pb.Aggregate.Name(aggregate).removeprefix("AGGREGATE_").lower()


def field_metadata(field: pb.Field) -> dict[str, str]:
    """What an Arrow field says of itself: type, unit, description, and the names of an enumeration as a JSON list."""
    metadata = {"type": type_name(field), "unit": field.unit, "description": field.description}
    if field.symbols:
        metadata["symbols"] = json.dumps(list(field.symbols))
    if field.aggregate:
        metadata["aggregate"] = aggregate_name(field.aggregate)
    return metadata


def _arrow_type(field: pb.Field) -> pa.DataType:
    kind = _TYPES.get(field.type)
    if kind is None:
        raise DataError(
            f"field {field.name} has type {field.type}, which this efd-client does not know; install a newer"
        )
    return pa.list_(kind, field.array_length) if field.HasField("array_length") else kind


class Layout:
    """What the batches behind a header are, in Arrow's terms.

    Parameters
    ----------
    fields : iterable of `Field`
        Fields of the header, in their order.
    names : sequence of `str`
        Name of each field in what is made of it.
    topic : `str`
        Whose they are.
    """

    def __init__(self, fields: Iterable[pb.Field], names: Sequence[str], topic: str) -> None:
        self.fields, self.topic = list(fields), topic
        columns = [
            pa.field(name, _arrow_type(field), metadata=field_metadata(field))
            for name, field in zip(names, self.fields, strict=True)
        ]
        time = pa.field(TIME, pa.timestamp("ns", "UTC"), nullable=False)
        self.schema = pa.schema([time, *columns], metadata={"topic": topic})

    @classmethod
    def of(cls, header: pb.Header) -> Layout:
        """Layout of one topic; a statistic of a field is called ``mean_<field>``."""
        names = [
            f"{aggregate_name(field.aggregate)}_{field.name}" if field.aggregate else field.name
            for field in header.fields
        ]
        return cls(header.fields, names, header.topic)

    @classmethod
    def aligned(cls, headers: Sequence[pb.Header]) -> Layout:
        """Layout of several topics side by side; a column is called ``<topic>.<field>``."""
        fields = [field for header in headers for field in header.fields]
        names = [f"{header.topic}.{field.name}" for header in headers for field in header.fields]
        return cls(fields, names, headers[0].topic if headers else "")

    def empty(self) -> pa.RecordBatch:
        """No rows."""
        return pa.RecordBatch.from_pylist([], schema=self.schema)

    def batch(self, batch: pb.Batch) -> pa.RecordBatch:
        """Make the rows of a batch.

        Parameters
        ----------
        batch : `Batch`
            As it came.

        Returns
        -------
        batch : `pyarrow.RecordBatch`
            The same rows.

        Raises
        ------
        DataError
            When it does not fit its header.
        """
        times = np.asarray(batch.times, dtype=np.int64)
        rows = len(times)
        if len(batch.columns) != len(self.fields):
            raise DataError(f"the answer has {len(batch.columns)} columns where {len(self.fields)} should be")
        arrays: list[pa.Array[Any]] = [_array(pa.timestamp("ns", "UTC"), rows, None, times)]
        for field, column in zip(self.fields, batch.columns, strict=True):
            length = field.array_length if field.HasField("array_length") else None
            values = _values(field, column, rows if length is None else rows * length)
            arrays.append(values if length is None else _lists(values, length, rows))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _lists(values: pa.Array[Any], length: int, rows: int) -> pa.Array[Any]:
    """Arrays of one length, one for each row; Arrow cannot tell how many rows there are of arrays without elements."""
    kind = pa.list_(values.type, length)
    return pa.Array.from_buffers(kind, rows, [None], children=[values])


def _values(field: pb.Field, column: pb.Column, count: int) -> pa.Array[Any]:
    """All values of a column, the elements of arrays one after the other."""
    kind, validity = _TYPES[field.type], _validity(column.validity, count, field.name)
    which = column.WhichOneof("values")
    if which == "strings":
        texts = list(column.strings.values)
        _expect(len(texts), count, field.name)
        if validity is None:
            return pa.array(texts, kind)
        recorded = np.unpackbits(np.frombuffer(validity, np.uint8), count=count, bitorder="little")
        return pa.array(texts, kind, mask=recorded == 0)
    if which is None and count:
        raise DataError(f"field {field.name} came without values")
    if which == "booleans":
        flags = np.asarray(column.booleans.values, dtype=bool)
        _expect(len(flags), count, field.name)
        return _array(kind, count, validity, np.packbits(flags, bitorder="little"))
    if which == "longs":
        numbers: np.ndarray[Any, Any] = np.asarray(column.longs.values, dtype=np.int64)
    else:
        numbers = np.asarray(column.doubles.values, dtype=np.float64)
    _expect(len(numbers), count, field.name)
    return _array(kind, count, validity, numbers)


def _array(kind: pa.DataType, count: int, validity: bytes | None, values: np.ndarray[Any, Any]) -> pa.Array[Any]:
    """An Arrow array on NumPy's memory."""
    bits = None if validity is None else pa.py_buffer(validity)
    return pa.Array.from_buffers(kind, count, [bits, pa.py_buffer(values)])


def _validity(bits: bytes, count: int, name: str) -> bytes | None:
    """Arrow's bits have the same order as ours; none means that all values were recorded."""
    if not bits:
        return None
    _expect(len(bits), (count + 7) // 8, name)
    return bits


def _expect(found: int, expected: int, name: str) -> None:
    if found != expected:
        raise DataError(f"field {name} came with {found} values or bits where {expected} should be")
