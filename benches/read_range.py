"""Reads all fields of a topic over a range of time with a client in Python, and says in a line of JSON how long that took.

usage: read_range.py {efd,lsst} --address URL --topic TOPIC --start NANOSECONDS --end NANOSECONDS [--registry URL]
`efd` reads the gateway part by part; `lsst` is lsst-efd-client, unchanged but for its connection, and reads InfluxDB itself.
"""

import argparse
import asyncio
import http.server
import json
import resource
import threading
import time
from urllib.parse import urlsplit


async def read_efd(options):
    """Times, rows and columns of `efd.EfdClient`."""
    import efd
    import pandas as pd

    start, end = [pd.Timestamp(nanoseconds) for nanoseconds in (options.start, options.end)]
    async with efd.EfdClient(address=options.address, output_mode="arrow") as client:
        began, first, rows, columns = Clock(), None, 0, 0
        async for batch in client.iter_time_series(options.topic, None, start, end):
            first = first or began.elapsed()
            rows, columns = rows + batch.num_rows, batch.num_columns - 1
        return began.document(first, rows, columns)


async def read_lsst(options):
    """Times, rows and columns of `lsst_efd_client.EfdClient`, which gives nothing before it has everything."""
    import aioinflux
    from astropy.time import Time
    from lsst_efd_client import EfdClient

    influxdb = urlsplit(options.address)
    document = {"host": influxdb.hostname, "port": influxdb.port, "path": "/", "username": "", "password": ""}
    document["schema_registry"] = options.registry

    class Credentials(http.server.BaseHTTPRequestHandler):
        """A service of credentials, which lsst-efd-client does not do without."""

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_):
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Credentials)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    influx = aioinflux.InfluxDBClient(
        host=influxdb.hostname, port=influxdb.port, db="efd", mode="async", output="dataframe", timeout=600
    )
    service = f"http://127.0.0.1:{server.server_port}/"
    client = EfdClient("efd", db_name="efd", creds_service=service, client=influx)
    span = [Time(nanoseconds / 1e9, format="unix", scale="utc") for nanoseconds in (options.start, options.end)]
    began = Clock()
    frame = await client.select_time_series(options.topic, "*", *span)
    document = began.document(began.elapsed(), *frame.shape)
    await influx.close()
    return document


class Clock:
    """Time and processor time from now on."""

    def __init__(self):
        self.time, self.cpu = time.perf_counter(), time.process_time()

    def elapsed(self):
        return time.perf_counter() - self.time

    def document(self, first, rows, columns):
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        spent = {"first": first, "seconds": self.elapsed(), "cpu": time.process_time() - self.cpu}
        return spent | {"rows": rows, "columns": columns, "megabytes": megabytes}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=["efd", "lsst"])
    parser.add_argument("--address", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--end", type=int, required=True)
    parser.add_argument("--registry", default="")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run((read_efd if chosen.client == "efd" else read_lsst)(chosen))))
