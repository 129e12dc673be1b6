"""Reads through the gateway with lsst-efd-client, unchanged, and the same from InfluxDB itself, and compares.

The gateway's client finds it by the documents of Segwarides, over TLS. The other one differs in its connection alone. Prints one line of
JSON when all is as it should be, and fails otherwise.
"""

import argparse
import asyncio
import json
from urllib.parse import urlsplit

import aioinflux
import numpy as np
from astropy.time import Time, TimeDelta
from lsst_efd_client import EfdClient
from pandas.testing import assert_frame_equal

SCALARS = "lsst.sal.Test.scalars"
ARRAYS = "lsst.sal.Test.arrays"
FIELDS = ["private_sndStamp", "salIndex", "int0", "double0", "string0", "boolean0"]


def utc(moment):
    return Time(moment.to_pydatetime(warn=False).replace(tzinfo=None), format="datetime", scale="utc")


class Both:
    """Asks both clients and gives the answer on which they agree."""

    def __init__(self, ours, direct):
        self.ours, self.direct, self.rows, self.calls = ours, direct, 0, 0

    async def frame(self, method, *arguments, **named):
        ours, direct = [await getattr(client, method)(*arguments, **named) for client in (self.ours, self.direct)]
        assert_frame_equal(ours, direct)
        self.calls += 1
        self.rows += len(ours)
        return ours

    async def names(self, method, *arguments):
        ours, direct = [await getattr(client, method)(*arguments) for client in (self.ours, self.direct)]
        assert ours == direct, (method, ours, direct)
        self.calls += 1
        return ours

    async def raw(self, query, **named):
        ours, direct = [await client.influx_client.query(query, **named) for client in (self.ours, self.direct)]
        assert str(ours) == str(direct), (query, ours, direct)
        self.calls += 1
        return ours


async def series(both, start, end):
    plain = await both.frame("select_time_series", SCALARS, FIELDS, start, end)
    assert len(plain) > 10 and list(plain.columns) == FIELDS, plain
    # The client prints bounds in milliseconds.
    slack = TimeDelta(1e-3, format="sec")
    assert utc(plain.index[0]) >= start - slack and utc(plain.index[-1]) <= end + slack, plain.index
    one = await both.frame("select_time_series", SCALARS, "int0", start, end)
    assert (one["int0"] == plain["int0"]).all()
    width = TimeDelta(4, format="sec")
    after = await both.frame("select_time_series", SCALARS, FIELDS, start, width)
    around = await both.frame("select_time_series", SCALARS, FIELDS, start + width, width, is_window=True)
    assert len(after) and len(around) and after.index[0] < around.index[0]
    index = int(plain["salIndex"].iloc[0])
    of_index = await both.frame("select_time_series", SCALARS, FIELDS, start, end, index=index)
    assert len(of_index) and (of_index["salIndex"] == index).all()
    assert len(await both.frame("select_time_series", SCALARS, FIELDS, start, end, index=index + 1000)) == 0
    # The flag asks 37 s later and gives back times 37 s earlier.
    tai = TimeDelta(37, format="sec")
    shifted = await both.frame("select_time_series", SCALARS, ["int0"], start - tai, end - tai, convert_influx_index=True)
    assert len(shifted) == len(plain) and (shifted["int0"].to_numpy() == plain["int0"].to_numpy()).all()
    assert len(await both.frame("select_time_series", SCALARS, FIELDS, end + tai * 1000, tai)) == 0


async def packed(both, start, end):
    names = {"ref_timestamp_col": "private_sndStamp", "ref_timestamp_fmt": "unix_tai", "ref_timestamp_scale": "tai"}
    for bases in (["float0"], ["float0", "double0"]):
        frame = await both.frame("select_packed_time_series", ARRAYS, bases, start, end, **names)
        assert len(frame) > 5 and len(frame) % 5 == 0 and set(bases) < set(frame.columns), frame


async def newest(both):
    five = await both.frame("select_top_n", SCALARS, FIELDS, 5)
    assert len(five) == 5, five
    cut = utc(five.index.sort_values()[0])
    cut.format = "isot"
    await both.frame("select_top_n", SCALARS, FIELDS, 3, time_cut=cut)


async def described(both):
    ours, direct = [await client.get_schema(SCALARS) for client in (both.ours, both.direct)]
    columns = ["name", "description", "units", "is_array"]
    assert_frame_equal(ours[columns], direct[columns])
    assert {"int0", "private_sndStamp"} <= set(ours["name"]), ours


async def raw(both, start):
    place = f'"efd"."autogen"."{SCALARS}"'
    # The texts of client 1.x, which cut the time of the newest rows.
    await both.raw(f"SELECT int0 FROM {place} WHERE time < '{start.utc.isot}Z' GROUP BY * ORDER BY DESC LIMIT 1")
    await both.raw(f"SELECT int0 FROM {place} WHERE time < '{start.utc.isot}Z' AND salIndex = 1 GROUP BY * ORDER BY DESC LIMIT 2")
    await both.raw(f"SHOW TAG KEYS FROM {place}")
    await both.raw("/* source: test */ SHOW DATABASES" if both.has_one_database else f"/* a */ SHOW FIELD KEYS FROM {place}")
    await both.raw(f"SELECT mean(double0) AS m, max(int0) FROM {place} WHERE time < '{start.utc.isot}Z' GROUP BY time(1s) FILL(null)")
    pieces = [client.influx_client.query(f"SELECT int0 FROM {place}", chunked=True, chunk_size=7) for client in (both.ours, both.direct)]
    ours, direct = [[len(piece) async for piece in await answer] for answer in pieces]
    assert ours == direct and len(ours) > 3 and ours[0] == 7, (ours, direct)
    for query, expected in (("SELECT FROM", "found FROM, expected identifier"), (f'DROP MEASUREMENT "{SCALARS}"', "only reads")):
        try:
            await both.ours.influx_client.query(query)
        except aioinflux.client.InfluxDBError as error:
            assert expected in str(error), error
        else:
            raise AssertionError(f"{query} was answered")


async def main(options):
    assert EfdClient.list_efd_names(creds_service=options.service) == [options.label]
    ours = EfdClient(options.label, creds_service=options.service)
    direct = EfdClient(options.label, creds_service=options.service, client=object())
    influxdb = urlsplit(options.influxdb)
    direct.influx_client = aioinflux.InfluxDBClient(
        host=influxdb.hostname, port=influxdb.port, username=influxdb.username, password=influxdb.password,
        db="efd", mode="async", output="dataframe",
    )
    both = Both(ours, direct)
    both.has_one_database = influxdb.username is None
    assert {SCALARS, ARRAYS} <= set(await both.names("get_topics"))
    assert {"int0", "string0"} <= set(await both.names("get_fields", SCALARS))
    newest_row = await both.frame("select_top_n", SCALARS, FIELDS, 1)
    end = utc(newest_row.index[0])
    start = end - TimeDelta(10, format="sec")
    await series(both, start, end)
    await packed(both, start, end)
    await newest(both)
    await described(both)
    await raw(both, end)
    for client in (ours, direct):
        await client.influx_client.close()
    try:
        EfdClient("no_such_efd", creds_service=options.service)
    except ValueError:
        pass
    else:
        raise AssertionError("an unknown label was found")
    print(json.dumps({"calls": both.calls, "rows": both.rows, "numpy": np.__version__}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", required=True, help="address of the documents of Segwarides, with name and token")
    parser.add_argument("--label", required=True)
    parser.add_argument("--influxdb", required=True, help="address of InfluxDB itself, with name and token of 2.x")
    asyncio.run(main(parser.parse_args()))
