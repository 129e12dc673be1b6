"""Uses our Python package through a gateway that it finds by name, over TLS, with credentials.

A range is read while the gateway is killed and started again: the file `reading` in the folder says when, `again` when it is back. Prints
one line of JSON when all is as it should be, and fails otherwise.
"""

import argparse
import asyncio
import json
import pathlib

import numpy as np
import pandas as pd

import efd

SCALARS, ARRAYS = "lsst.sal.Test.scalars", "lsst.sal.Test.arrays"
TAGGED, WIDE, FORBIDDEN = "lsst.MTCamera.temperature", "lsst.sal.X.wide", "lsst.sal.Secret.y"
PATIENCE = 180


async def fails(kind, words, call):
    """Fails unless awaiting the call raises this, with these words."""
    try:
        await call
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"there was no {kind.__name__}")


async def texts(client):
    """InfluxQL and tags over HTTP."""
    where = f'FROM "efd"."autogen"."{WIDE}" WHERE time < 30s'
    whole = await client.influxql_query(f"SELECT d0x, d1x {where}")
    rows = await client.select_time_series(WIDE, ["d0x", "d1x"], "1970-01-01T00:00:00", "1970-01-01T00:00:29")
    assert len(rows) == 30 and rows.index.equals(whole.index), (rows, whole)
    np.testing.assert_array_equal(rows, whole)
    parts = [part async for part in await client.influxql_query(f"SELECT d0x, d1x {where}", chunked=True, chunk_size=8)]
    assert [len(part) for part in parts] == [8, 8, 8, 6], parts
    pd.testing.assert_frame_equal(pd.concat(parts), whole)
    assert await client.get_tags(TAGGED) == ["Raft"]
    assert await client.get_tags(WIDE) == []
    await fails(PermissionError, "only reads", client.influxql_query(f'DROP MEASUREMENT "{WIDE}"'))
    await fails(ValueError, "line 1, char", client.influxql_query("SELEC d0x"))
    return len(whole)


async def refusals(options, client):
    """Those who may not ask, and those who ask in the wrong way."""
    grpc, http = client.endpoint.grpc, client.endpoint.http
    name, token = options.other.split(":")
    known = {"address": grpc, "http_address": http, "ca_file": options.ca, "timeout": 60}
    async with efd.EfdClient(**known, token="wrong") as other:
        await fails(PermissionError, "are not known here", other.get_topics())
        await fails(PermissionError, "authorization failed", other.influxql_query("SHOW DATABASES"))
    async with efd.EfdClient(**known) as other:
        await fails(PermissionError, "credentials are missing", other.get_fields(SCALARS))
        await fails(PermissionError, "unable to parse authentication", other.influxql_query("SHOW DATABASES"))
    await fails(PermissionError, "may not read topic", client.select_top_n(FORBIDDEN, "d", 1))
    await fails(PermissionError, "may read", client.influxql_query(f'SELECT d FROM "{FORBIDDEN}"'))
    assert FORBIDDEN not in await client.get_topics()
    # Not TLS where TLS is spoken, and TLS with an authority that is not known.
    async with efd.EfdClient(address=grpc.replace("https", "http"), token=token, timeout=10) as other:
        await fails((ConnectionError, TimeoutError), "", other.get_topics())
    async with efd.EfdClient(address=grpc, token=token, timeout=10) as other:
        await fails((ConnectionError, TimeoutError), "", other.get_topics())
    async with efd.EfdClient(**known, username=name, password=token) as other:
        assert FORBIDDEN in await other.get_topics()
        for _ in range(20):
            try:
                await other.get_topics()
            except efd.QuotaError as error:
                assert "try again in" in str(error), error
                return
    raise AssertionError("the quota lets everything through")


async def tail(client):
    """Two topics from their beginning into the present; each row once, and as InfluxDB has it later."""
    began = pd.Timestamp.now("UTC") - pd.Timedelta("1h")
    seen, lives = {SCALARS: [], ARRAYS: []}, []
    asked = {SCALARS: ["private_seqNum", "int0"], ARRAYS: ["private_seqNum", "int03"]}
    async with asyncio.timeout(PATIENCE):
        following = client.tail(asked, since=began, on_live=lambda: lives.append({name: len(rows) for name, rows in seen.items()}))
        async for part in following:
            seen[part.attrs["topic"]].append(part)
            if lives and all(len(rows) > lives[0][name] + 5 for name, rows in seen.items()):
                break
        await following.aclose()
    count = 0
    for name, rows in seen.items():
        # The sink writes batches side by side, so where history meets the present some rows may come before older ones.
        followed = pd.concat(rows).sort_index()
        assert followed.index.is_unique, name
        numbers = followed["private_seqNum"].tolist()
        assert numbers == list(range(1, len(numbers) + 1)), (name, numbers)
        async with asyncio.timeout(PATIENCE):
            while True:
                stored = await client.select_time_series(name, asked[name], began, followed.index[-1])
                if len(stored) >= len(followed):
                    break
                await asyncio.sleep(0.5)
        np.testing.assert_array_equal(stored, followed)
        count += len(followed)
    return count


async def resumed(client, folder, rows):
    """Every row once, though the gateway is killed when the first have come."""
    end = pd.Timestamp(rows, unit="s")
    found, parts = [], 0
    async for part in client.iter_time_series(WIDE, None, pd.Timestamp(0), end):
        found.append(part[["d0x", "d1x"]])
        parts += 1
        if parts == 1:
            (folder / "reading").touch()
            async with asyncio.timeout(PATIENCE):
                while not (folder / "again").exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    whole = pd.concat(found)
    expected = pd.date_range("1970-01-01", periods=rows, freq="s", tz="UTC")
    assert whole.index.equals(expected.as_unit("ns")), (len(whole), rows)
    row = np.arange(rows)
    np.testing.assert_array_equal(whole["d0x"], row + 0.5)
    np.testing.assert_array_equal(whole["d1x"], row + 1.5)
    return parts


async def main(options):
    assert efd.EfdClient.list_efd_names(options.service, options.ca) == [options.label]
    async with efd.EfdClient(options.label, creds_service=options.service, ca_file=options.ca, timeout=120) as client:
        assert client.endpoint.grpc == options.grpc, client.endpoint
        compared = await texts(client)
        await refusals(options, client)
        followed = await tail(client)
        parts = await resumed(client, options.folder, options.rows)
    print(json.dumps({"compared": compared, "followed": followed, "parts": parts}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", required=True, help="address of the documents of Segwarides, with name and token")
    parser.add_argument("--label", required=True)
    parser.add_argument("--ca", required=True, type=pathlib.Path, help="certificate authority")
    parser.add_argument("--grpc", required=True, help="address that the documents must name")
    parser.add_argument("--other", required=True, help="name:token of a credential with a small quota and no prefixes")
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="where files are signs")
    parser.add_argument("--rows", required=True, type=int, help="rows of the wide topic")
    asyncio.run(main(parser.parse_args()))
