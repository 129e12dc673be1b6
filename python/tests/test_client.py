"""What is asked of a gateway, and what is made of its answers."""

import asyncio
import datetime

import grpc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.time import Time, TimeDelta
from conftest import OTHER, ROWS, START, STEP, TOPIC

import efd
from efd.query.v1 import columns_pb2 as cb
from efd.query.v1 import query_pb2 as pb

DAY = ("2026-11-30", "2026-12-01")


async def test_topics_are_those_that_have_data(client):
    assert await client.get_topics() == [TOPIC]
    listed = await client.list_topics(activity=True)
    assert listed.index.tolist() == ["lsst.sal.Test.empty", TOPIC]
    assert listed["has_data"].tolist() == [False, True]
    assert pd.isna(listed["newest"].iloc[0])
    assert listed["newest"].iloc[1] == pd.Timestamp(START, tz="UTC")
    assert listed["rate"].iloc[1] == 2.5


async def test_fields_have_the_names_that_influxdb_has(client):
    assert await client.get_fields(TOPIC) == ["force0", "force1", "force2", "isOpen", "salIndex", "speed", "state"]


async def test_a_schema_has_units_and_what_is_not_said_is_none(client):
    schema = await client.get_schema(TOPIC)
    assert schema.columns.tolist() == ["name", "description", "units", "aunits", "is_array"]
    assert schema["units"].tolist() == [None, "m/s", "N", None, None]
    assert schema["aunits"][1] == u.m / u.s
    assert schema["aunits"][0] is None
    assert schema["description"].tolist() == [None, "How fast.", None, None, None]
    assert schema["is_array"].tolist() == [False, False, True, False, False]


async def test_a_range_becomes_a_frame_with_units(client, gateway):
    frame = await client.select_time_series(TOPIC, None, *DAY)
    assert frame.columns.tolist() == ["salIndex", "speed", "force0", "force1", "force2", "isOpen", "state"]
    assert frame.index[3] == pd.Timestamp(START + 3 * STEP, tz="UTC")
    assert frame["salIndex"].tolist() == [1, 2] * 5
    assert frame["speed"].isna().tolist() == [row % 3 == 0 for row in range(ROWS)]
    assert frame["force2"].tolist() == [row + 0.2 for row in range(ROWS)]
    assert frame["isOpen"].tolist() == [True, False] * 5
    assert frame["state"].tolist() == ["OFF", "ON"] * 5
    assert frame.attrs["topic"] == TOPIC
    assert frame.attrs["units"]["force1"] == "N"
    assert frame.attrs["descriptions"]["speed"] == "How fast."
    assert gateway.metadata["authorization"] == "Bearer secret"
    asked = gateway.asked[-1].range
    assert (asked.start.ToJsonString(), asked.end.ToJsonString()) == ("2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z")
    assert (asked.scale, asked.stored_scale) == (pb.TIME_SCALE_UTC, pb.TIME_SCALE_UTC)


async def test_elements_and_expressions_are_picked_from_arrays(client, gateway):
    frame = await client.select_time_series(TOPIC, ["force2", b"speed", "force0"], *DAY)
    assert frame.columns.tolist() == ["force2", "speed", "force0"]
    assert frame["force2"].tolist() == [row + 0.2 for row in range(ROWS)]
    assert list(gateway.asked[-1].selections[0].fields) == ["force", "speed"]
    assert (await client.select_time_series(TOPIC, "/^force[01]/", *DAY)).columns.tolist() == ["force0", "force1"]


async def test_arrays_are_arrays_on_request_and_in_arrow(client, arrow):
    frame = await client.select_time_series(TOPIC, "force", *DAY, arrays=True)
    assert np.array_equal(np.stack(frame["force"].to_list())[:, 1], np.arange(ROWS) + 0.1)
    table = await arrow.select_time_series(TOPIC, ["force", "force1"], *DAY)
    assert table.schema.field("force").type == pa.list_(pa.float64(), 3)
    assert table.schema.field("force").metadata[b"unit"] == b"N"
    assert table.column("force1").to_pylist() == [row + 0.1 for row in range(ROWS)]
    assert efd.symbols((await arrow.select_time_series(TOPIC, "state", *DAY)).schema, "state") == ["OFF", "ON"]


async def test_bounds_and_index_are_asked_as_lsst_efd_client_would(client, gateway):
    start, length = Time("2026-11-30T00:00:37", scale="tai"), TimeDelta(2, format="sec")
    await client.select_time_series(TOPIC, "speed", start, length, is_window=True, index=2, convert_influx_index=True)
    asked = gateway.asked[-1]
    assert asked.range.start.ToJsonString() == "2026-11-29T23:59:59Z"
    assert asked.range.end.ToJsonString() == "2026-11-30T00:00:01Z"
    assert asked.range.stored_scale == pb.TIME_SCALE_TAI
    assert asked.selections[0].sal_index == 2
    await client.select_time_series(TOPIC, "speed", start, length, index=0)
    assert not gateway.asked[-1].selections[0].HasField("sal_index")


@pytest.mark.parametrize("breaks", [1, 3])
async def test_an_answer_that_breaks_off_goes_on_where_it_stopped(client, gateway, breaks):
    gateway.breaks = breaks
    frame = await client.select_time_series(TOPIC, "force", *DAY)
    assert frame["force0"].tolist() == list(map(float, range(ROWS)))
    tokens = [request.resume_token for request in gateway.asked if isinstance(request, pb.QueryRangeRequest)]
    assert tokens[:2] == [b"", b"4"]


async def test_an_iterator_gives_parts_of_at_least_so_many_rows(client, arrow, gateway):
    gateway.breaks = 1
    sizes = [len(part) async for part in client.iter_time_series(TOPIC, "speed", *DAY)]
    assert sizes == [4, 4, 2]
    parts = [part async for part in arrow.iter_time_series(TOPIC, "speed", *DAY, batch_rows=5)]
    assert [part.num_rows for part in parts] == [8, 2]
    assert isinstance(parts[0], pa.RecordBatch)


async def test_the_newest_rows(client, gateway):
    cut = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
    frame = await client.select_top_n(TOPIC, ["speed"], 2, time_cut=cut, index=1)
    assert frame["speed"].tolist()[0] == (ROWS - 2) / 2
    asked = gateway.asked[-1]
    assert (asked.count, asked.selection.sal_index, asked.before.ToJsonString()) == (2, 1, "2026-11-30T12:00:00Z")


async def test_conditions_have_the_type_of_their_field(client, gateway):
    conditions = [("force1", ">", 3), ("state", "==", "ON"), ("isOpen", "!=", True), ("salIndex", "<=", np.int64(4))]
    await client.select_latest(TOPIC, "speed", conditions=conditions)
    made = [(one.field, one.operator, one.WhichOneof("value")) for one in gateway.asked[-1].conditions]
    assert made == [
        ("force1", pb.OPERATOR_GREATER, "double"),
        ("state", pb.OPERATOR_EQUAL, "string"),
        ("isOpen", pb.OPERATOR_NOT_EQUAL, "boolean"),
        ("salIndex", pb.OPERATOR_LESS_OR_EQUAL, "long"),
    ]
    for wrong in [("force", ">", 1), ("speed", "~", 1), ("state", "==", 1), ("salIndex", "==", 1.5), ("no", "==", 1)]:
        with pytest.raises(ValueError, match=wrong[1] if wrong[1] == "~" else wrong[0]):
            await client.select_latest(TOPIC, "speed", conditions=[wrong])


async def test_statistics_of_intervals(client, gateway):
    aggregates = ["mean", "count"]
    frame = await client.select_windows(TOPIC, ["speed", "force1"], *DAY, interval="1min", aggregates=aggregates)
    assert frame.columns.tolist() == ["mean_speed", "count_speed", "mean_force1", "count_force1"]
    asked = gateway.asked[-1]
    assert asked.interval.seconds == 60
    assert list(asked.aggregates) == [cb.AGGREGATE_MEAN, cb.AGGREGATE_COUNT]
    with pytest.raises(ValueError, match="mode is no aggregate"):
        await client.select_windows(TOPIC, "speed", *DAY, interval="1min", aggregates="mode")


async def test_packed_samples_have_times_in_tai(client, arrow, gateway):
    frame = await client.select_packed_time_series(TOPIC, ["a", "b"], *DAY)
    assert frame.columns.tolist() == ["a", "b", "times"]
    assert frame["times"].iloc[0] == Time(START / 1e9, format="unix", scale="utc").tai.unix_tai
    asked = gateway.asked[-1]
    assert (asked.times, asked.reference_field) == (pb.PACKED_TIMES_FIRST_ROWS, "cRIO_timestamp")
    kept = {"ref_timestamp_fmt": "unix", "ref_timestamp_scale": "utc", "true_times": True}
    table = await arrow.select_packed_time_series(TOPIC, "a", *DAY, **kept)
    assert table.column("times")[0].as_py() == START / 1e9
    assert gateway.asked[-1].times == pb.PACKED_TIMES_TRUE
    with pytest.raises(ValueError, match="unix_tai"):
        await client.select_packed_time_series(TOPIC, "a", *DAY, ref_timestamp_fmt="isot")


async def test_aligned_topics_stand_side_by_side(client, gateway):
    frame = await client.select_aligned({TOPIC: "force1", OTHER: None}, *DAY, tolerance="5s")
    assert frame.columns.tolist()[:3] == [f"{TOPIC}.force1", f"{OTHER}.salIndex", f"{OTHER}.speed"]
    assert f"{OTHER}.force2" in frame
    assert frame.attrs["units"][f"{OTHER}.speed"] == "m/s"
    asked = next(request for request in gateway.asked if isinstance(request, pb.QueryAlignedRequest))
    assert asked.tolerance.seconds == 5
    assert len((await client.select_aligned([(TOPIC, "speed"), (OTHER, "speed")], *DAY)).columns) == 2
    with pytest.raises(ValueError, match="once"):
        await client.select_aligned([(TOPIC, "speed"), (TOPIC, "force")], *DAY)


async def test_a_tail_goes_from_history_to_what_is_live_and_ends_when_it_is_left(client, gateway):
    seen, lives = [], []
    tail = client.tail(TOPIC, "force2", since="2026-11-30", on_live=lambda: lives.append(len(seen)))
    async for part in tail:
        assert part.attrs["topic"] == TOPIC
        seen.append(part["force2"].iloc[0])
        if len(seen) == ROWS:
            break
    await tail.aclose()
    assert lives == [3]
    assert seen == [row + 0.2 for row in range(ROWS)]
    await asyncio.wait_for(gateway.cancelled.wait(), 30)


async def test_an_estimate(client):
    assert await client.estimate(TOPIC, *DAY) == [efd.TopicCost(TOPIC, 10, 70, 600, False)]


async def test_errors_are_exceptions_with_the_gateways_words(client, gateway):
    with pytest.raises(efd.TopicError, match="no topic lsst"):
        await client.get_fields("lsst.sal.Test.thong")
    with pytest.raises(ValueError, match="no field sped; near it are speed"):
        await client.select_time_series(TOPIC, "sped", *DAY)
    with pytest.raises(ValueError, match="before its start"):
        await client.select_time_series(TOPIC, "speed", *reversed(DAY))
    with pytest.raises(ValueError, match="from 1 to"):
        await client.select_top_n(TOPIC, "speed", 0)
    kinds = [
        (grpc.StatusCode.UNAUTHENTICATED, PermissionError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, efd.QuotaError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, TimeoutError),
        (grpc.StatusCode.FAILED_PRECONDITION, efd.DataError),
        (grpc.StatusCode.INTERNAL, efd.EfdError),
    ]
    for status, kind in kinds:
        gateway.refusal = (status, "not so")
        with pytest.raises(kind, match="not so"):
            await client.select_time_series(TOPIC, None, *DAY)


async def test_a_gateway_that_is_away_is_a_connection_error():
    async with efd.EfdClient(address="http://127.0.0.1:1", timeout=5) as client:
        with pytest.raises(ConnectionError):
            await client.get_topics()


def test_one_client_serves_one_loop_after_the_other():
    client = efd.EfdClient(address="http://127.0.0.1:1", timeout=5)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            asyncio.run(client.get_topics())


@pytest.mark.parametrize("address", ["ftp://host:1", "http://host/path", "http://"])
async def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="an address is"):
        await efd.EfdClient(address=address).get_topics()
