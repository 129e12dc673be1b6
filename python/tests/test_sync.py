"""The client that waits, and the bar that it shows."""

import asyncio
import inspect

import pytest
from conftest import ROWS, TOPIC
from http_server import serve

import efd
from efd import progress

DAY = ("2026-11-30", "2026-12-01")


async def test_every_method_waits_also_where_a_loop_runs(gateway):
    def use() -> None:
        with efd.EfdClientSync(address=gateway.address) as client:
            assert client.get_topics() == [TOPIC]
            assert len(client.select_time_series(TOPIC, "speed", *DAY)) == ROWS
            assert sum(len(part) for part in client.iter_time_series(TOPIC, "speed", *DAY)) == ROWS
            tail = client.tail(TOPIC, "speed")
            assert len(next(tail)) == 1
            tail.close()
            with pytest.raises(ValueError, match="no field"):
                client.select_time_series(TOPIC, "sped", *DAY)

    await asyncio.to_thread(use)
    await asyncio.wait_for(gateway.cancelled.wait(), 30)


def test_both_clients_have_the_same_methods():
    public = {name for name, _ in inspect.getmembers(efd.EfdClient, callable) if not name.startswith("_")}
    waiting = {name for name, _ in inspect.getmembers(efd.EfdClientSync, callable) if not name.startswith("_")}
    assert public == waiting


def test_chunks_are_a_plain_iterator():
    with serve() as served, efd.EfdClientSync(address="http://x", http_address=served.url) as client:
        served.answers["/query"] = (200, b'{"results":[{"statement_id":0}]}\n')
        assert len(list(client.influxql_query("SELECT a FROM t", chunked=True))) == 1
        assert client.influxql_query("SELECT a FROM t").empty
        assert client.build_time_range_query("a.b.c", "x", *DAY).startswith("SELECT x FROM")


async def test_a_bar_is_shown_when_it_is_wanted_and_a_query_lasts(gateway, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_DELAY", 0)
    async with efd.EfdClient(address=gateway.address, show_progress=True) as client:
        await client.select_time_series(TOPIC, "speed", "2026-11-30", "2026-11-30T00:00:00.9")
    assert TOPIC in capsys.readouterr().err
    async with efd.EfdClient(address=gateway.address) as client:
        await client.select_time_series(TOPIC, "speed", *DAY)
    assert capsys.readouterr().err == ""


def test_a_bar_is_as_far_as_the_times_of_rows(monkeypatch):
    class Bar:
        n = 0.0

        def update(self, by: float) -> None:
            self.n += by

        def set_postfix_str(self, *_: object, **__: object) -> None:
            pass

    import pyarrow as pa

    bar = Bar()
    shown = progress.Progress(0, 1000, bar)
    for last in (250, 250, 500, 2000):
        times = pa.array([0, last], pa.timestamp("ns", "UTC"))
        shown.took(pa.RecordBatch.from_arrays([times], names=["time"]))
    assert bar.n == 100


def test_a_client_can_be_closed_twice():
    client = efd.EfdClientSync(address="http://127.0.0.1:1")
    client.close()
    client.close()
