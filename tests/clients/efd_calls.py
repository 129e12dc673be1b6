"""Calls of a client of either kind, as JSON in and out, so that two Pythons can be compared.

Run by itself it makes them with lsst-efd-client, unchanged but for its connection: it reads InfluxDB without the gateway.
"""

import argparse
import asyncio
import http.server
import json
import sys
import threading
from urllib.parse import urlsplit


def argument(value):
    """An argument as the client wants it."""
    from astropy.time import Time, TimeDelta

    if isinstance(value, dict):
        if "seconds" in value:
            return TimeDelta(value["seconds"], format="sec")
        return Time(value["time"], scale=value.get("scale", "utc"))
    return value


def document(answer):
    """An answer as JSON: times in nanoseconds of UTC, numbers to their last digit, what was not recorded as null."""
    import pandas as pd

    if isinstance(answer, list):
        return answer
    columns = {name: [plain(value) for value in answer[name]] for name in answer.columns}
    times = isinstance(answer.index, pd.DatetimeIndex)
    nanoseconds = [pd.Timestamp(moment).value for moment in answer.index] if times else None
    return {"times": nanoseconds, "columns": columns}


def plain(value):
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value if isinstance(value, (str, bool, int, float)) else str(value)


async def make(client, calls):
    """Makes the calls one after the other; gives their answers."""
    answers = []
    for call in calls:
        positional = [argument(value) for value in call["arguments"]]
        named = {name: argument(value) for name, value in call.get("named", {}).items()}
        answers.append(document(await getattr(client, call["method"])(*positional, **named)))
    return answers


class Credentials(http.server.BaseHTTPRequestHandler):
    """A service of credentials, which lsst-efd-client does not do without."""

    found = b"{}"

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.found)

    def log_message(self, *_):
        """Says nothing."""


async def main(options):
    import aioinflux
    from lsst_efd_client import EfdClient

    influxdb = urlsplit(options.influxdb)
    known = {"host": influxdb.hostname, "port": influxdb.port, "schema_registry": options.registry}
    Credentials.found = json.dumps(known | {"username": "", "password": "", "path": "/"}).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Credentials)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    influx = aioinflux.InfluxDBClient(
        host=influxdb.hostname, port=influxdb.port, db="efd", mode="async", output="dataframe"
    )
    client = EfdClient("efd", creds_service=f"http://127.0.0.1:{server.server_port}/", client=influx)
    print(json.dumps(await make(client, json.load(sys.stdin))))
    await influx.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--influxdb", required=True, help="address of InfluxDB")
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    asyncio.run(main(parser.parse_args()))
