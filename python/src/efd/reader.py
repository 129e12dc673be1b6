"""What all queries share: the connection, descriptions of topics, and answers gathered into frames or tables."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pyarrow as pa

from efd import connection, credentials, names, requests, times
from efd.columns import Layout
from efd.credentials import SEGWARIDES, Endpoint
from efd.errors import DataError, RequestError
from efd.frames import OutputMode, pick, to_frame
from efd.progress import progress
from efd.query.v1 import columns_pb2
from efd.query.v1 import query_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from os import PathLike

    import grpc
    import pandas as pd

    from efd.names import Column, Fields
    from efd.times import Instant, Span

Rows: TypeAlias = "pd.DataFrame | pa.Table"
"""A whole answer, by the client's ``output_mode``."""

Piece: TypeAlias = "pd.DataFrame | pa.RecordBatch"
"""A part of an answer, by the client's ``output_mode``."""

_DESCRIPTIONS_LAST = 60.0
"""Seconds that the description of a topic is used again."""


class Reader:
    """Reads from one gateway.

    Parameters
    ----------
    efd_name, db_name, creds_service, timeout, client, output_mode
        As those of `efd.EfdClient`.
    address, http_address, username, password, token, ca_file, show_progress
        As those of `efd.EfdClient`.
    """

    def __init__(
        self,
        efd_name: str | None = None,
        db_name: str = "efd",
        creds_service: str = SEGWARIDES,
        timeout: float = 900,
        client: grpc.aio.Channel | None = None,
        output_mode: OutputMode = "dataframe",
        *,
        address: str | None = None,
        http_address: str | None = None,
        username: str = "",
        password: str = "",
        token: str = "",
        ca_file: str | PathLike[str] | None = None,
        show_progress: bool | None = None,
    ) -> None:
        if output_mode not in ("dataframe", "arrow"):
            raise RequestError(f"output_mode is dataframe or arrow, not {output_mode}")
        self.db_name = db_name
        self.output_mode: OutputMode = output_mode
        self.timeout = timeout
        self.show_progress = show_progress
        authority = Path(ca_file) if ca_file is not None else None
        if address is not None or client is not None:
            own = Endpoint(address or "", http_address, username, password, token, authority)
        elif efd_name is not None:
            own = credentials.find(efd_name, creds_service, authority)
        else:
            raise RequestError("give the name of a database, or the address of a gateway as address=")
        self.endpoint = own
        self._client = client
        self._connection: connection.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._described: dict[str, tuple[float, pb.Topic]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        if self._connection is not None and self._client is None:
            await self._connection.close()
        self._connection = None

    def _calls(self) -> connection.Connection:
        """The connection, which belongs to the loop that it was opened in."""
        loop = asyncio.get_running_loop()
        if self._connection is None or self._loop is not loop:
            channel = self._client or connection.open_channel(self.endpoint)
            header = connection.authorization(self.endpoint)
            self._connection, self._loop = connection.Connection(channel, header, self.timeout), loop
        return self._connection

    async def _topic(self, topic: str) -> pb.Topic:
        """Description of a topic, asked for once in a while."""
        now = asyncio.get_running_loop().time()
        expires, known = self._described.get(topic, (0.0, pb.Topic()))
        if now < expires:
            return known
        answer = await self._calls().unary("GetTopic", pb.GetTopicRequest(name=topic), pb.GetTopicResponse)
        self._described[topic] = (now + _DESCRIPTIONS_LAST, answer.topic)
        return answer.topic

    async def _columns(self, topic: str, fields: Fields) -> list[Column] | None:
        """Columns that were asked for; `None` for all."""
        wanted = names.as_list(fields)
        if not wanted:
            return None
        described = list((await self._topic(topic)).fields)
        unknown_lengths = any(field.HasField("array_length") and not field.array_length for field in described)
        return names.resolve(wanted, await self._with_lengths(topic) if unknown_lengths else described, topic)

    async def _with_lengths(self, topic: str) -> list[columns_pb2.Field]:
        """Fields of a topic, arrays with the length found in InfluxDB where the schema does not state it."""
        request = pb.QueryLatestRequest(selection=pb.Selection(topic=topic), count=1)
        async with aclosing(self._calls().bounded("QueryLatest", request)) as parts:
            async for part in parts:
                if part.HasField("header"):
                    return list(part.header.fields)
        raise DataError(f"the answer about {topic} has no header")

    async def _batches(
        self, parts: AsyncGenerator[Any], columns: Sequence[Column] | None
    ) -> AsyncGenerator[pa.RecordBatch]:
        """Rows of one selection; one without rows first, for its schema."""
        layout: Layout | None = None
        async with aclosing(parts):
            async for part in parts:
                if part.HasField("header"):
                    header = part.header
                    is_aligned = isinstance(header, pb.AlignedHeader)
                    made = Layout.aligned(header.topics) if is_aligned else Layout.of(header)
                    if layout is not None and made.schema != layout.schema:
                        raise DataError(f"the schema of {made.topic} changed while its answer came; ask again")
                    layout = made
                    yield pick(layout.empty(), columns)
                elif layout is None:
                    raise DataError("the answer has rows before their header")
                else:
                    yield pick(layout.batch(part.batch), columns)

    async def _gather(
        self,
        parts: AsyncGenerator[Any],
        columns: Sequence[Column] | None,
        arrays: bool = False,
        span: tuple[str, int, int] | None = None,
    ) -> Rows:
        """Wait for a whole answer, and show how far it has come where its range is known."""
        gathered: list[pa.RecordBatch] = []
        label, start, end = span or ("", 0, 0)
        with progress(label, start, end, self.show_progress if span else False) as bar:
            async with aclosing(self._batches(parts, columns)) as batches:
                async for batch in batches:
                    gathered.append(batch)
                    bar.took(batch)
        if not gathered:
            raise DataError("the answer has no header")
        return self._made(pa.Table.from_batches(gathered), arrays)

    def _made(self, table: pa.Table, arrays: bool) -> Rows:
        return table if self.output_mode == "arrow" else to_frame(table, arrays)

    async def _range_request(
        self,
        topic: str,
        fields: Fields,
        start: Instant,
        end: Instant | Span,
        is_window: bool,
        index: int | None,
        stored_tai: bool,
    ) -> tuple[pb.QueryRangeRequest, list[Column] | None, tuple[str, int, int]]:
        """What to ask of one topic, which columns to take from the answer, and what a bar shows."""
        first, last = times.bounds(start, end, is_window)
        columns = await self._columns(topic, fields)
        request = pb.QueryRangeRequest(
            selections=[requests.selection(topic, columns, index)],
            range=requests.time_range(first, last, stored_tai),
        )
        return request, columns, (topic, first, last)
