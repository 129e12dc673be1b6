"""The client: the methods of ``lsst-efd-client``, and those that it has not."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from efd import names, requests, times
from efd.columns import Layout, aggregate_name
from efd.compatible import CompatibleMethods
from efd.errors import RequestError
from efd.frames import pick, to_frame
from efd.progress import progress
from efd.query.v1 import query_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from efd.names import Column, Fields
    from efd.reader import Piece, Rows
    from efd.requests import Condition, Topics
    from efd.times import Instant, Span


@dataclass(frozen=True)
class TopicCost:
    """How much a query of one topic would answer.

    Parameters
    ----------
    topic : `str`
        Name of the topic.
    rows, values : `int`
        Rows, and values in them, the elements of arrays each.
    bytes : `int`
        Size of the answer, about.
    exact : `bool`
        Whether rows were counted, not estimated.
    """

    topic: str
    rows: int
    values: int
    bytes: int
    exact: bool


class EfdClient(CompatibleMethods):
    """Reads an Engineering and Facilities Database through its gateway.

    Its methods are awaited; `EfdClientSync` has the same ones for other code. As ``async with EfdClient(…) as client``
    it closes its connection by itself.

    Parameters
    ----------
    efd_name : `str`, optional
        Name of the database whose gateway and credentials are looked up; not needed with ``address``.
    db_name : `str`, optional
        Name of the database in InfluxDB, for texts of InfluxQL.
    creds_service : `str`, optional
        Address of a Segwarides service for names that the file of ``EFDAUTH`` does not have; ``https://name:token@host/``
        shows it who asks.
    timeout : `float`, optional
        Seconds that an answer may take; for iterators, that each part of it may.
    client : `grpc.aio.Channel`, optional
        A channel that is open already, for tests; it stays the caller's.
    output_mode : `str`, optional
        ``dataframe`` for pandas, ``arrow`` for tables and record batches of Arrow.
    address : `str`, optional
        Address of a gateway's gRPC, ``http://host:9180`` or, with TLS, ``https://host:9180``.
    http_address : `str`, optional
        Address of a gateway's HTTP, for InfluxQL.
    username, password : `str`, optional
        Basic credentials for ``address``.
    token : `str`, optional
        Bearer token, used instead of a name and a password.
    ca_file : path, optional
        Certificate authority of servers that have none of the public ones.
    show_progress : `bool`, optional
        Whether long queries show a bar; by default at a terminal and in notebooks.

    Raises
    ------
    ValueError
        When the name is unknown, or there is neither a name nor an address.
    """

    async def list_topics(self, prefix: str = "", contains: str = "", activity: bool = False) -> pd.DataFrame:
        """List topics, those without data too.

        Parameters
        ----------
        prefix : `str`, optional
            How their names begin.
        contains : `str`, optional
            What their names contain, whatever the case.
        activity : `bool`, optional
            Whether to find the newest row and the rate of each, which looks into all of them.

        Returns
        -------
        topics : `pandas.DataFrame`
            Indexed by name: ``has_data``, ``has_schema``, and with ``activity`` ``newest`` (UTC) and ``rate`` (rows per
            second over the last minute).
        """
        request = pb.ListTopicsRequest(prefix=prefix, contains=contains, activity=activity)
        topics = (await self._calls().unary("ListTopics", request, pb.ListTopicsResponse)).topics
        columns: dict[str, Any] = {
            "has_data": pd.array([topic.has_data for topic in topics], dtype=bool),
            "has_schema": pd.array([topic.has_schema for topic in topics], dtype=bool),
        }
        if activity:
            newest = [topic.newest.ToNanoseconds() if topic.HasField("newest") else None for topic in topics]
            columns["newest"] = pd.to_datetime(pd.array(newest, dtype="Int64"), unit="ns", utc=True)
            columns["rate"] = [topic.rate if topic.HasField("rate") else float("nan") for topic in topics]
        return pd.DataFrame(columns, index=pd.Index([topic.name for topic in topics], dtype=object, name="topic"))

    async def iter_time_series(
        self,
        topic_name: str,
        fields: Fields,
        start: Instant,
        end: Instant | Span,
        is_window: bool = False,
        index: int | None = None,
        *,
        convert_influx_index: bool = False,
        arrays: bool = False,
        batch_rows: int = 1,
    ) -> AsyncGenerator[Piece]:
        """Read fields of a topic over a range of time that may be longer than memory.

        Parameters
        ----------
        topic_name, fields, start, end, is_window, index, convert_influx_index, arrays
            As in `select_time_series`.
        batch_rows : `int`, optional
            Least number of rows of a part, except the last; without it parts are as they come, about 1 MiB.

        Yields
        ------
        rows : `pandas.DataFrame` or `pyarrow.RecordBatch`
            In the order of time; nothing where nothing was recorded.
        """
        request, columns, span = await self._range_request(
            topic_name, fields, start, end, is_window, index, convert_influx_index
        )
        with progress(*span, self.show_progress) as bar:
            async with aclosing(self._batches(self._calls().range(request, whole=False), columns)) as batches:
                held: list[pa.RecordBatch] = []
                async for batch in batches:
                    bar.took(batch)
                    held.append(batch)
                    if sum(one.num_rows for one in held) >= batch_rows:
                        yield self._piece(pa.concat_batches(held), arrays)
                        held = []
                if any(one.num_rows for one in held):
                    yield self._piece(pa.concat_batches(held), arrays)

    async def select_latest(
        self,
        topic_name: str,
        fields: Fields = None,
        num: int = 1,
        before: Instant | None = None,
        conditions: Sequence[Condition] = (),
        index: int | None = None,
        *,
        convert_influx_index: bool = False,
        arrays: bool = False,
    ) -> Rows:
        """Read the newest rows for which conditions hold, however long the topic has been recorded.

        Parameters
        ----------
        topic_name, fields, index, convert_influx_index, arrays
            As in `select_time_series`.
        num : `int`, optional
            How many rows, at most 100,000.
        before : `Instant`, optional
            Only rows before this time.
        conditions : sequence of `Condition`, optional
            Such as ``("summaryState", "==", 2)``; all must hold.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            Oldest of them first.
        """
        columns = await self._columns(topic_name, fields)
        request = pb.QueryLatestRequest(
            selection=requests.selection(topic_name, columns, index),
            count=requests.count(num),
            before=None if before is None else times.timestamp(times.nanos(before)),
            conditions=[await self._condition(topic_name, condition) for condition in conditions],
            scale=pb.TIME_SCALE_UTC,
            stored_scale=requests.stored_scale(convert_influx_index),
        )
        return await self._gather(self._calls().bounded("QueryLatest", request), columns, arrays)

    async def select_windows(
        self,
        topic_name: str,
        fields: Fields,
        start: Instant,
        end: Instant | Span,
        interval: Span,
        aggregates: str | Sequence[str] = "mean",
        *,
        index: int | None = None,
        empty_intervals: bool = False,
        convert_influx_index: bool = False,
        arrays: bool = False,
    ) -> Rows:
        """Read statistics of fields for each interval of a range.

        Parameters
        ----------
        topic_name, fields, start, end, index, convert_influx_index, arrays
            As in `select_time_series`; all fields are those that the aggregates can be made of.
        interval : `Span`
            Length of an interval, such as ``1min``; intervals begin at multiples of it since 1970.
        aggregates : `str` or sequence of `str`, optional
            Of ``min``, ``max``, ``mean``, ``median``, ``stddev``, ``count``, ``first``, ``last``.
        empty_intervals : `bool`, optional
            Whether intervals in which nothing was recorded have a row.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            A column ``<aggregate>_<field>`` for each; a row's time is the beginning of its interval.
        """
        first, last = times.bounds(start, end)
        numbers = requests.aggregates(aggregates)
        columns = await self._columns(topic_name, fields)
        request = pb.QueryWindowRequest(
            selections=[requests.selection(topic_name, columns, index)],
            range=requests.time_range(first, last, convert_influx_index),
            interval=times.duration(times.span_nanos(interval)),
            aggregates=numbers,
            empty_intervals=empty_intervals,
        )
        prefixes = [f"{aggregate_name(number)}_" for number in numbers]
        made = columns and [names.prefixed(column, prefix) for column in columns for prefix in prefixes]
        span = (topic_name, first, last)
        return await self._gather(self._calls().bounded("QueryWindow", request), made, arrays, span)

    async def select_aligned(
        self,
        topics: Topics,
        start: Instant,
        end: Instant | Span,
        tolerance: Span | None = None,
        *,
        index: int | None = None,
        convert_influx_index: bool = False,
        arrays: bool = False,
    ) -> Rows:
        """Read several topics on the times of the first.

        Parameters
        ----------
        topics : mapping, or sequence of pairs
            Topics with their fields. Each row of the first has the newest values of the others that are not after it.
        start, end, convert_influx_index, arrays
            As in `select_time_series`.
        tolerance : `Span`, optional
            How old a value of another topic may be; one minute by default.
        index : `int`, optional
            Only rows of this index, in all topics.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            A column ``<topic>.<field>`` for each.
        """
        first, last = times.bounds(start, end)
        asked = await self._selections(topics)
        if len({topic for topic, _ in asked}) < len(asked):
            raise RequestError("each topic can be aligned once")
        request = pb.QueryAlignedRequest(
            selections=[requests.selection(topic, columns, index) for topic, columns in asked],
            range=requests.time_range(first, last, convert_influx_index),
            tolerance=None if tolerance is None else times.duration(times.span_nanos(tolerance)),
        )
        made: list[Column] | None = None
        if any(columns for _, columns in asked):
            made = []
            for topic, columns in asked:
                described = (await self._topic(topic)).fields
                whole = [names.Column(field.name, field.name) for field in described]
                made.extend(names.prefixed(column, f"{topic}.") for column in columns or whole)
        span = (asked[0][0], first, last)
        return await self._gather(self._calls().bounded("QueryAligned", request), made, arrays, span)

    async def tail(
        self,
        topics: Topics | str,
        fields: Fields = None,
        since: Instant | None = None,
        *,
        index: int | None = None,
        arrays: bool = False,
        on_live: Callable[[], None] | None = None,
    ) -> AsyncGenerator[Piece]:
        """Follow topics while they are recorded; it goes on until its reader leaves it.

        Parameters
        ----------
        topics : `str`, mapping, or sequence of pairs
            One topic, or several with their fields.
        fields : `Fields`, optional
            Fields of the one topic.
        since : `Instant`, optional
            First time of what was recorded before; without it only what comes.
        index : `int`, optional
            Only rows of this index.
        arrays : `bool`, optional
            As in `select_time_series`.
        on_live : callable, optional
            Called when all that was recorded before has come.

        Yields
        ------
        rows : `pandas.DataFrame` or `pyarrow.RecordBatch`
            Of one topic, named in ``attrs["topic"]`` or in the schema's metadata.
        """
        asked = await self._selections([(topics, fields)] if isinstance(topics, str) else topics)
        request = pb.TailRequest(
            selections=[requests.selection(topic, columns, index) for topic, columns in asked],
            since=None if since is None else times.timestamp(times.nanos(since)),
            scale=pb.TIME_SCALE_UTC,
        )
        layouts: list[Layout] = []
        async with aclosing(self._calls().stream("Tail", request)) as parts:
            async for part in parts:
                kind = part.WhichOneof("part")
                if kind == "header":
                    layouts.append(Layout.of(part.header))
                elif kind == "live" and on_live is not None:
                    on_live()
                elif kind == "batch":
                    number = part.batch.selection
                    yield self._piece(pick(layouts[number].batch(part.batch.batch), asked[number][1]), arrays)

    async def estimate(
        self, topics: Topics | str, start: Instant, end: Instant | Span, fields: Fields = None, index: int | None = None
    ) -> list[TopicCost]:
        """Find how much a range would answer, without reading it.

        Parameters
        ----------
        topics : `str`, mapping, or sequence of pairs
            One topic, or several with their fields.
        start, end, index
            As in `select_time_series`.
        fields : `Fields`, optional
            Fields of the one topic.

        Returns
        -------
        costs : `list` [`TopicCost`]
            One for each topic.
        """
        first, last = times.bounds(start, end)
        asked = await self._selections([(topics, fields)] if isinstance(topics, str) else topics)
        request = pb.EstimateCostRequest(
            selections=[requests.selection(topic, columns, index) for topic, columns in asked],
            range=requests.time_range(first, last),
        )
        answer = await self._calls().unary("EstimateCost", request, pb.EstimateCostResponse)
        return [TopicCost(cost.topic, cost.rows, cost.values, cost.bytes, cost.exact) for cost in answer.topics]

    async def _selections(self, topics: Topics) -> list[tuple[str, list[Column] | None]]:
        pairs: Any = topics.items() if hasattr(topics, "items") else topics
        return [(topic, await self._columns(topic, fields)) for topic, fields in pairs]

    async def _condition(self, topic: str, condition: Condition) -> pb.Condition:
        described = list((await self._topic(topic)).fields)
        column = names.resolve([condition[0]], described, topic)[0]
        field = next(field for field in described if field.name == column.field)
        return requests.condition(condition, column, field)

    def _piece(self, batch: pa.RecordBatch, arrays: bool) -> Piece:
        return batch if self.output_mode == "arrow" else to_frame(batch, arrays)
