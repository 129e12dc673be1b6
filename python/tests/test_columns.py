"""From columns to Arrow and pandas."""

import numpy as np
import pyarrow as pa
import pytest

import efd
from efd.columns import Layout
from efd.frames import to_frame
from efd.query.v1 import columns_pb2 as cb

DOUBLE, LONG, BOOLEAN, STRING = cb.FIELD_TYPE_DOUBLE, cb.FIELD_TYPE_LONG, cb.FIELD_TYPE_BOOLEAN, cb.FIELD_TYPE_STRING


def made(field: cb.Field, column: cb.Column, rows: int) -> pa.RecordBatch:
    header = cb.Header(topic="t", fields=[field])
    return Layout.of(header).batch(cb.Batch(times=range(rows), columns=[column]))


def bits(flags: list[int]) -> bytes:
    return np.packbits(flags, bitorder="little").tobytes()


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [
        (DOUBLE, cb.Column(doubles=cb.Doubles(values=[1.5, -0.0, 1e300])), [1.5, -0.0, 1e300]),
        (LONG, cb.Column(longs=cb.Longs(values=[-(2**63), 0, 2**63 - 1])), [-(2**63), 0, 2**63 - 1]),
        (BOOLEAN, cb.Column(booleans=cb.Booleans(values=[True, False, True])), [True, False, True]),
        (STRING, cb.Column(strings=cb.Strings(values=["", "ä€", "x"])), ["", "ä€", "x"]),
    ],
)
def test_each_type_comes_as_it_is_with_and_without_missing_values(kind, column, expected):
    field = cb.Field(name="f", type=kind)
    batch = made(field, column, 3)
    batch.validate(full=True)
    assert batch.column("f").to_pylist() == expected
    column.validity = bits([1, 0, 1])
    assert made(field, column, 3).column("f").to_pylist() == [expected[0], None, expected[2]]


def test_arrays_have_missing_elements_and_rows_may_be_none():
    field = cb.Field(name="a", type=DOUBLE, array_length=2)
    column = cb.Column(doubles=cb.Doubles(values=range(6)), validity=bits([1, 1, 0, 1, 1, 1]))
    batch = made(field, column, 3)
    batch.validate(full=True)
    assert batch.column("a").to_pylist() == [[0.0, 1.0], [None, 3.0], [4.0, 5.0]]
    assert to_frame(batch)["a0"].isna().tolist() == [False, True, False]
    none = made(field, cb.Column(doubles=cb.Doubles()), 0)
    assert to_frame(none).columns.tolist() == ["a0", "a1"]
    assert made(cb.Field(name="a", type=DOUBLE, array_length=0), cb.Column(), 2).num_rows == 2


def test_part_of_a_batch_is_the_same_rows():
    field = cb.Field(name="a", type=LONG, array_length=2)
    batch = made(field, cb.Column(longs=cb.Longs(values=range(8))), 4)
    assert to_frame(batch.slice(2, 1))["a1"].tolist() == [5]
    assert to_frame(batch.slice(1), arrays=True)["a"].iloc[2].tolist() == [6, 7]


def test_missing_integers_are_nan_and_all_others_stay_integers():
    field, values = cb.Field(name="n", type=LONG), cb.Longs(values=[2**53 + 1, 2])
    assert to_frame(made(field, cb.Column(longs=values), 2))["n"].tolist() == [2**53 + 1, 2]
    frame = to_frame(made(field, cb.Column(longs=values, validity=bits([0, 1])), 2))
    assert frame["n"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (cb.Column(doubles=cb.Doubles(values=[1.0])), "came with 1 values or bits where 2"),
        (cb.Column(doubles=cb.Doubles(values=[1.0, 2.0]), validity=b"xx"), "came with 2 values or bits where 1"),
        (cb.Column(), "without values"),
    ],
)
def test_columns_that_do_not_fit_their_header_are_refused(column, words):
    with pytest.raises(efd.DataError, match=words):
        made(cb.Field(name="f", type=DOUBLE), column, 2)


def test_a_type_of_the_future_is_refused():
    with pytest.raises(efd.DataError, match="type 99"):
        Layout.of(cb.Header(fields=[cb.Field(name="f", type=99)]))
    with pytest.raises(efd.DataError, match="0 columns where 1"):
        Layout.of(cb.Header(fields=[cb.Field(name="f", type=DOUBLE)])).batch(cb.Batch(times=[1]))


def test_numbers_are_taken_without_a_loop():
    """A million doubles are a matter of milliseconds; one by one they would take a hundred times as long."""
    import time

    field, count = cb.Field(name="f", type=DOUBLE), 1_000_000
    text = cb.Batch(times=range(count), columns=[cb.Column(doubles=cb.Doubles(values=np.zeros(count)))])
    raw, layout = text.SerializeToString(), Layout.of(cb.Header(fields=[field]))
    spent = []
    for _ in range(5):
        begin = time.process_time()
        layout.batch(cb.Batch.FromString(raw))
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.05
