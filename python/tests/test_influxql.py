"""Texts of InfluxQL, and the frames that are made of answers."""

import json
import urllib.parse

import pandas as pd
import pyarrow as pa
import pytest
from astropy.time import Time, TimeDelta
from http_server import serve

import efd

NANOS = 1_796_040_000_000_000_000


def document(*series: dict, **more: object) -> bytes:
    return json.dumps({"results": [{"statement_id": 0, "series": list(series)}], **more}).encode()


def client_of(served, **options) -> efd.EfdClient:
    return efd.EfdClient(address="http://x", http_address=served.url, username="u", password="p", **options)


def test_a_range_is_written_as_lsst_efd_client_writes_it():
    client = efd.EfdClient(address="http://x")
    start = Time("2020-01-28T23:07:19.0004", scale="utc")
    text = client.build_time_range_query("lsst.sal.MTM1M3.x", ["a", "b"], start, TimeDelta(600, format="sec"), index=2)
    assert text == (
        'SELECT a, b FROM "efd"."autogen"."lsst.sal.MTM1M3.x" WHERE time >= '
        "'2020-01-28T23:07:19.000Z' AND time <= '2020-01-28T23:17:19.000Z' AND salIndex = 2"
    )
    options = {"index": 2, "convert_influx_index": True, "use_old_csc_indexing": True}
    text = client.build_time_range_query("lsst.sal.MTM1M3.x", "a", start, start, **options)
    assert "'2020-01-28T23:07:56.000Z'" in text
    assert text.endswith(" AND MTM1M3ID = 2")


async def test_one_series_is_a_frame_and_several_are_a_dictionary():
    with serve() as served:
        client = client_of(served)
        one = {"name": "t", "columns": ["time", "a"], "values": [[NANOS, 1], [NANOS + 1, None]]}
        served.answers["/query"] = (200, document(one))
        frame = await client.influxql_query("SELECT a FROM t")
        assert frame["a"].isna().tolist() == [False, True]
        assert frame.index[1] == pd.Timestamp(NANOS + 1, tz="UTC")
        path, header, body = served.asked[0]
        assert (path, header) == ("/query", "Basic dTpw")
        sent = dict(urllib.parse.parse_qsl(body.decode()))
        assert sent == {"q": "SELECT a FROM t", "db": "efd", "epoch": "ns", "chunked": "false"}
        shifted = await client.influxql_query("SELECT a FROM t", convert_influx_index=True)
        assert shifted.index[0] == pd.Timestamp(NANOS, tz="UTC") - pd.Timedelta("37s")
        served.answers["/query"] = (200, document({**one, "tags": {"k": "1"}}, {**one, "tags": {"k": "2"}}))
        frames = await client.influxql_query("SELECT a FROM t GROUP BY k")
        assert list(frames) == ["t,k=1", "t,k=2"]
        assert frames["t,k=2"]["k"].tolist() == ["2", "2"]


async def test_answers_without_times_have_none_and_empty_ones_no_rows():
    with serve() as served:
        client = client_of(served)
        served.answers["/query"] = (200, document({"name": "measurements", "columns": ["name"], "values": [["t"]]}))
        assert (await client.influxql_query("SHOW MEASUREMENTS")).index.tolist() == [0]
        served.answers["/query"] = (200, b'{"results":[{"statement_id":0}]}')
        assert (await client.influxql_query("SELECT a FROM nothing")).empty
        assert await client.get_tags("t") == []
        served.answers["/query"] = (200, b'{"results":[{"statement_id":0},{"statement_id":1}]}')
        assert len(await client.influxql_query("SHOW DATABASES; SHOW DATABASES")) == 2


async def test_chunks_come_one_by_one_as_frames_or_tables():
    lines = [document({"name": "t", "columns": ["time", "a"], "values": [[NANOS + row, row]]}) for row in range(3)]
    with serve() as served:
        served.answers["/query"] = (200, b"\n".join(lines) + b"\n")
        parts = await client_of(served).influxql_query("SELECT a FROM t", chunked=True, chunk_size=1)
        assert [part["a"].tolist() async for part in parts] == [[0], [1], [2]]
        assert b"chunk_size=1" in served.asked[0][2]
        parts = await client_of(served, output_mode="arrow").influxql_query("SELECT a FROM t", chunked=True)
        tables = [part async for part in parts]
        assert isinstance(tables[0], pa.Table)
        assert tables[2].column_names == ["a", "time"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, b'{"error":"error parsing query"}', ValueError, "error parsing query"),
        (200, b'{"results":[{"error":"no such database"}]}', ValueError, "no such database"),
        (200, b'{"error":"no"}', ValueError, "no"),
        (401, b'{"error":"who"}', PermissionError, "who"),
        (429, b'{"error":"slower"}', efd.QuotaError, "slower"),
        (503, b"away", ConnectionError, "away"),
        (418, b"", efd.EfdError, "no reason given"),
    ],
)
async def test_refusals_are_exceptions_with_influxdbs_words(status, body, kind, words):
    with serve() as served:
        served.answers["/query"] = (status, body)
        with pytest.raises(kind, match=words):
            await client_of(served).influxql_query("SELECT")


async def test_without_an_address_for_http_there_is_no_influxql():
    with pytest.raises(ValueError, match="http_address="):
        await efd.EfdClient(address="http://x").influxql_query("SHOW DATABASES")
