"""Reads with our Python package through the gateway, with lsst-efd-client from InfluxDB itself, and compares.

What lsst-efd-client does not have is compared with the rows that both gave. Prints one line of JSON when all is as it should be, and
fails otherwise.
"""

import argparse
import asyncio
import json
import pathlib
import subprocess

import numpy as np
import pandas as pd
from efd_calls import make

import efd

SCALARS, ARRAYS = "lsst.sal.Test.scalars", "lsst.sal.Test.arrays"
FORCES, VACUUM = "lsst.sal.MTM1M3.forceActuatorData", "lsst.sal.ATCamera.vacuum"
TOPICS = (SCALARS, ARRAYS, FORCES, VACUUM)


def compatible(start, end, cut):
    """Every call of lsst-efd-client, with each of its arguments."""
    tai, before = [str(pd.Timestamp(start) + pd.Timedelta(seconds=by)) for by in (37, -37)]
    length = {"seconds": 4}
    span = [{"time": start}, {"time": end}]
    fields = ["private_sndStamp", "salIndex", "int0", "double0", "float0", "string0", "boolean0", "longLong0"]
    packed = {"ref_timestamp_col": "private_sndStamp"}
    calls = [("get_topics", [], {})]
    calls += [("get_fields", [topic], {}) for topic in TOPICS]
    calls += [("get_schema", [topic], {}) for topic in TOPICS]
    calls += [
        ("select_time_series", [SCALARS, fields, *span], {}),
        ("select_time_series", [SCALARS, "int0", *span], {"index": 1}),
        ("select_time_series", [SCALARS, fields, span[0], length], {}),
        ("select_time_series", [SCALARS, fields, span[0], length], {"is_window": True}),
        ("select_time_series", [SCALARS, fields, {"time": tai, "scale": "tai"}, length], {}),
        ("select_time_series", [SCALARS, "int0", {"time": before}, length], {"convert_influx_index": True}),
        ("select_top_n", [SCALARS, "int0", 3], {"convert_influx_index": True}),
        ("select_time_series", [ARRAYS, ["double0" + str(place) for place in range(5)], *span], {}),
        ("select_time_series", [ARRAYS, ["int03", "boolean01", "private_seqNum"], *span], {}),
        ("select_time_series", [FORCES, ["xForce11", "primaryCylinderForce155", "timestamp"], *span], {}),
        ("select_time_series", [VACUUM, ["private_seqNum", "private_identity", "tempCCD"], *span], {}),
        ("select_top_n", [SCALARS, fields, 5], {}),
        ("select_top_n", [SCALARS, fields, 3], {"time_cut": {"time": cut}, "index": 1}),
        ("select_packed_time_series", [ARRAYS, ["float0", "double0"], *span], packed),
        ("select_packed_time_series", [FORCES, "primaryCylinderForce", *span], packed),
    ]
    return [{"method": method, "arguments": arguments, "named": named} for method, arguments, named in calls]


def same(call, ours, theirs):
    """Fails unless both answers are the same; gives how many values they have."""
    where = (call["method"], call["arguments"], call["named"])
    if isinstance(ours, list):
        assert ours == theirs, (where, set(ours) ^ set(theirs))
        return len(ours)
    assert list(ours["columns"]) == list(theirs["columns"]), (where, list(ours["columns"]), list(theirs["columns"]))
    mine, other = [frame(answer) for answer in (ours, theirs)]
    assert len(mine) == len(other) > 0, (where, len(mine), len(other))
    packed = call["method"] == "select_packed_time_series"
    # astropy's path from seconds to a time of the index is not exact; a double of such seconds is no nearer than 240 ns.
    apart = np.abs(mine.index.to_numpy() - other.index.to_numpy()).max()
    assert apart <= (500 if packed else 0), (where, apart)
    if packed:
        # Steps of a double of such seconds are 240 ns; one adds up in another order.
        seconds = [answer.pop("times").to_numpy(dtype=float) for answer in (mine, other)]
        assert np.abs(seconds[0] - seconds[1]).max() < 5e-7, where
    for name in mine:
        assert mine[name].tolist() == other[name].tolist(), (where, name)
    return mine.size


def frame(answer):
    made = pd.DataFrame(answer["columns"], dtype=object)
    if answer["times"] is not None:
        made.index = pd.Index(answer["times"])
        # That of the newest rows is not said.
        made = made.sort_index(kind="stable")
    return made


async def beyond(client, start, end):
    """What lsst-efd-client has not, compared with rows."""
    rows = await client.select_time_series(SCALARS, ["double0", "int0", "salIndex"], start, end)
    assert len(rows) > 20, len(rows)
    parts = [part async for part in client.iter_time_series(SCALARS, ["double0", "int0", "salIndex"], start, end)]
    pd.testing.assert_frame_equal(pd.concat(parts), rows)
    await windows(client, rows, start, end)
    await aligned(client, rows, start, end)
    latest = await client.select_latest(SCALARS, "int0", num=2, before=end, conditions=[("int0", ">", 0)])
    positive = rows[(rows["int0"] > 0) & (rows.index < pd.Timestamp(end, tz="UTC"))]
    assert latest["int0"].tolist() == positive["int0"].tolist()[-2:], (latest, positive)
    [cost] = await client.estimate(SCALARS, start, end, ["double0", "int0"])
    assert cost.topic == SCALARS and cost.values == 2 * cost.rows > 0 and cost.bytes > 0, cost
    assert not cost.exact or cost.rows == len(rows), cost
    listed = await client.list_topics("lsst.sal.Test.", activity=True)
    assert listed.loc[SCALARS, "has_data"] and listed.loc[SCALARS, "newest"] >= rows.index[-1], listed


async def windows(client, rows, start, end):
    names = ["min", "max", "mean", "median", "stddev", "count", "first", "last"]
    found = await client.select_windows(SCALARS, "double0", start, end, "2s", names)
    groups = rows["double0"].groupby(rows.index.floor("2s"))
    for name in names:
        expected = groups.std() if name == "stddev" else groups.agg(name)
        np.testing.assert_allclose(found[f"{name}_double0"], expected, rtol=1e-9, err_msg=name)
    assert found.index.equals(groups.mean().index), found.index


async def aligned(client, rows, start, end):
    other = await client.select_time_series(FORCES, ["xForce3"], pd.Timestamp(start) - pd.Timedelta("5s"), end)
    found = await client.select_aligned({SCALARS: "double0", FORCES: "xForce3"}, start, end, "5s")
    expected = pd.merge_asof(rows, other, left_index=True, right_index=True, tolerance=pd.Timedelta("5s"))
    assert found.index.equals(rows.index)
    assert found[f"{SCALARS}.double0"].equals(rows["double0"])
    np.testing.assert_array_equal(found[f"{FORCES}.xForce3"], expected["xForce3"])
    assert found.attrs["units"][f"{FORCES}.xForce3"] == "N", found.attrs


async def units(client, start, end):
    """Every column has the unit that the schema says, also as arrays and in Arrow."""
    schema = (await client.get_schema(FORCES)).set_index("name")
    found = await client.select_time_series(FORCES, None, start, end)
    assert found.shape[1] > 800, found.shape
    assert found.attrs["units"]["primaryCylinderForce155"] == schema.loc["primaryCylinderForce", "units"] == "N"
    assert efd.quantity(found, "xForce3").unit == schema.loc["xForce", "aunits"]
    arrays = await client.select_time_series(FORCES, "xForce", start, end, arrays=True)
    assert (np.stack(arrays["xForce"])[:, 3] == found["xForce3"]).all()
    client.output_mode = "arrow"
    table = await client.select_time_series(FORCES, ["xForce"], start, end)
    client.output_mode = "dataframe"
    assert table.schema.field("xForce").metadata[b"unit"] == b"N"
    assert table.column("xForce").combine_chunks().flatten().to_numpy()[3::12].tolist() == found["xForce3"].tolist()
    return found.size


async def errors(client, start, end):
    for topic, field in [("lsst.sal.Test.scalers", "int0"), (SCALARS, "int1")]:
        try:
            await client.select_time_series(topic, field, start, end)
        except ValueError:
            continue
        raise AssertionError(f"{topic} {field} was answered")


async def main(options):
    async with efd.EfdClient(address=options.address, timeout=120) as client:
        index = (await client.select_top_n(SCALARS, "int0", 1000)).index.tz_localize(None).floor("ms")
        start, cut, end = [index[len(index) * part // 10].isoformat(timespec="milliseconds") for part in (1, 7, 9)]
        calls = compatible(start, end, cut)
        command = [options.lsst_python, "-B", pathlib.Path(__file__).with_name("efd_calls.py")]
        command += ["--influxdb", options.influxdb, "--registry", options.registry]
        made = subprocess.run(command, input=json.dumps(calls), text=True, capture_output=True, check=False)
        assert made.returncode == 0, made.stderr[-4000:]
        theirs, ours = json.loads(made.stdout), await make(client, calls)
        compared = sum(same(call, *both) for call, *both in zip(calls, ours, theirs, strict=True))
        await beyond(client, start, end)
        read = await units(client, start, end)
        await errors(client, start, end)
    print(json.dumps({"calls": len(calls), "compared": compared, "read": read}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True, help="of the gateway's gRPC")
    parser.add_argument("--influxdb", required=True, help="address of InfluxDB itself")
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    parser.add_argument("--lsst-python", required=True, help="Python that has lsst-efd-client")
    asyncio.run(main(parser.parse_args()))
