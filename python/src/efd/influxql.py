"""InfluxQL over the gateway's HTTP, for what the calls over gRPC do not have."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from efd import times
from efd.connection import authorization
from efd.credentials import tls_context
from efd.errors import AccessError, EfdError, QuotaError, RequestError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy.typing as npt

    from efd.credentials import Endpoint
    from efd.frames import OutputMode

Frame: TypeAlias = "pd.DataFrame | pa.Table"
Frames: TypeAlias = "Frame | dict[str, Frame] | list[Frame | dict[str, Frame]]"
"""Answer to a text: for each statement a frame, or one for each series."""


@dataclass(frozen=True)
class Form:
    """What frames are made of an answer.

    Parameters
    ----------
    mode : `str`
        ``dataframe`` or ``arrow``.
    stored_tai : `bool`
        Whether times stand in TAI in InfluxDB.
    """

    mode: OutputMode
    stored_tai: bool


class Source:
    """A gateway's ``/query``.

    Parameters
    ----------
    endpoint : `Endpoint`
        Where it is.
    database : `str`
        Name of the database.
    timeout : `float`
        Seconds that its next words may take.

    Raises
    ------
    RequestError
        When the endpoint has no address for HTTP.
    """

    def __init__(self, endpoint: Endpoint, database: str, timeout: float) -> None:
        if not endpoint.http:
            raise RequestError("InfluxQL goes over HTTP: give the client the gateway's http_address=")
        self._url = urllib.parse.urljoin(endpoint.http if endpoint.http.endswith("/") else f"{endpoint.http}/", "query")
        if urllib.parse.urlsplit(self._url).scheme not in ("http", "https"):
            raise RequestError(f"http_address must begin with https:// or http://, not {endpoint.http}")
        self._endpoint, self._database, self._timeout = endpoint, database, timeout

    def whole(self, query: str, form: Form) -> Frames:
        """Wait for all of an answer."""
        with self._open(query, {"chunked": "false"}) as answer:
            return _frames(json.load(answer), form)

    async def chunks(self, query: str, size: int | None, form: Form) -> AsyncIterator[Frames]:
        """Give an answer part by part; nothing is read before a part is asked for."""
        parameters = {"chunked": "true"} | ({"chunk_size": str(size)} if size else {})
        answer = await asyncio.to_thread(self._open, query, parameters)
        with answer:
            while line := await asyncio.to_thread(answer.readline):
                if line.strip():
                    yield _frames(json.loads(line), form)

    def _open(self, query: str, parameters: dict[str, str]) -> Any:
        form = {"q": query, "db": self._database, "epoch": "ns", **parameters}
        request = urllib.request.Request(self._url, urllib.parse.urlencode(form).encode())  # noqa: S310
        if header := authorization(self._endpoint):
            request.add_header("Authorization", header)
        context = tls_context(self._endpoint.ca_file)
        try:
            return urllib.request.urlopen(request, timeout=self._timeout, context=context)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from error
        except OSError as error:
            raise UnavailableError(f"{self._url} cannot be reached: {error}") from error


def moments(nanos: npt.NDArray[np.int64]) -> list[str]:
    """Times as InfluxQL writes them, to the millisecond."""
    rounded = (nanos + 500_000) // 1_000_000
    return [f"{text}Z" for text in np.datetime_as_string(rounded.astype("datetime64[ms]"))]


def _refusal(status: int, body: bytes) -> EfdError:
    """The exception for an HTTP status, with InfluxDB's words."""
    try:
        words = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        words = body.decode(errors="replace").strip()
    kinds: dict[int, type[EfdError]] = {400: RequestError, 401: AccessError, 403: AccessError, 429: QuotaError}
    kind = kinds.get(status, UnavailableError if status >= 500 else EfdError)
    return kind(f"{words or 'no reason given'} (HTTP {status})")


def _frames(document: dict[str, Any], form: Form) -> Frames:
    """Frames of an answer, or its error as an exception."""
    if "error" in document:
        raise RequestError(document["error"])
    made: list[Frame | dict[str, Frame]] = []
    for result in document["results"]:
        if "error" in result:
            raise RequestError(result["error"])
        series = {_name(one): _made(_frame(one, form), form) for one in result.get("series", [])}
        if len(series) == 1:
            made.extend(series.values())
        else:
            made.append(series or _made(pd.DataFrame(), form))
    return made[0] if len(made) == 1 else made


def _name(series: dict[str, Any]) -> str:
    tags = [f"{key}={value}" for key, value in series.get("tags", {}).items()]
    return ",".join([series.get("name", ""), *tags])


def _frame(series: dict[str, Any], form: Form) -> pd.DataFrame:
    """Frame of one series: indexed by time in UTC where it has times, tags as columns behind the others."""
    frame = pd.DataFrame(series.get("values", []), columns=series["columns"])
    if "time" in frame:
        nanos = frame.pop("time").to_numpy(dtype=np.int64)
        # Statements that tell of no times have them all 0.
        if nanos.any():
            utc = times.utc_from_tai(nanos) if form.stored_tai else nanos
            frame.index = pd.DatetimeIndex(utc.view("datetime64[ns]")).tz_localize("UTC")
    for tag, value in series.get("tags", {}).items():
        frame[tag] = value
    return frame


def _made(frame: pd.DataFrame, form: Form) -> Frame:
    if form.mode == "dataframe":
        return frame
    has_times = isinstance(frame.index, pd.DatetimeIndex)
    return pa.Table.from_pandas(frame.rename_axis(index="time"), preserve_index=has_times)
