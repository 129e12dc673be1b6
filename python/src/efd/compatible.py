"""The methods of ``lsst-efd-client``, with their names and arguments."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from efd import credentials, influxql, names, requests, times
from efd.columns import TIME
from efd.credentials import SEGWARIDES
from efd.errors import RequestError
from efd.query.v1 import query_pb2 as pb
from efd.reader import Reader, Rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from astropy.time import Time

    from efd.influxql import Frames
    from efd.names import Fields
    from efd.times import Instant, Span

_SCALES = {("unix_tai", "tai"): pb.TIME_SCALE_TAI, ("unix", "utc"): pb.TIME_SCALE_UTC}


class CompatibleMethods(Reader):
    """What users of ``lsst-efd-client`` know; answers have units, and times may be written in more ways."""

    @classmethod
    def list_efd_names(cls, creds_service: str = SEGWARIDES, ca_file: Path | None = None) -> list[str]:
        """List the names of databases that there are credentials for.

        Parameters
        ----------
        creds_service : `str`, optional
            Address of a Segwarides service.
        ca_file : `pathlib.Path`, optional
            Its certificate authority where that is none of the public ones.

        Returns
        -------
        names : `list` [`str`]
            What a client can be made with.
        """
        return credentials.names(creds_service, ca_file)

    async def get_topics(self) -> list[str]:
        """List the topics that have data.

        Returns
        -------
        topics : `list` [`str`]
            In the order of their names.
        """
        answer = await self._calls().unary("ListTopics", pb.ListTopicsRequest(), pb.ListTopicsResponse)
        return [topic.name for topic in answer.topics if topic.has_data]

    async def get_fields(self, topic_name: str) -> list[str]:
        """List the names under which InfluxDB stores a topic's fields.

        Parameters
        ----------
        topic_name : `str`
            Name of the topic.

        Returns
        -------
        fields : `list` [`str`]
            In their order as text; element 3 of an array ``force`` is ``force3``.
        """
        fields = list((await self._topic(topic_name)).fields)
        if any(field.HasField("array_length") and not field.array_length for field in fields):
            fields = await self._with_lengths(topic_name)
        return sorted(names.stored(fields))

    async def get_tags(self, topic_name: str) -> list[str]:
        """List the tags of a topic, over HTTP; topics of SAL have none.

        Parameters
        ----------
        topic_name : `str`
            Name of the topic.

        Returns
        -------
        tags : `list` [`str`]
            Their names.
        """
        found = await self.influxql_query(f"SHOW TAG KEYS FROM {self._measurement(topic_name)}")
        frame = cast("pd.DataFrame", found.to_pandas() if isinstance(found, pa.Table) else found)
        return frame["tagKey"].tolist() if "tagKey" in frame else []

    async def get_schema(self, topic: str) -> pd.DataFrame:
        """Describe the fields of a topic.

        Parameters
        ----------
        topic : `str`
            Name of the topic.

        Returns
        -------
        schema : `pandas.DataFrame`
            A row for each field: ``name``, ``description``, ``units``, ``aunits`` (the unit as astropy has it; `None`
            without astropy) and ``is_array``. What the schema does not say is `None`.
        """
        fields = (await self._topic(topic)).fields
        columns = {
            "name": [field.name for field in fields],
            "description": [field.description or None for field in fields],
            "units": [field.unit or None for field in fields],
            "aunits": [_unit(field.unit) for field in fields],
            "is_array": [field.HasField("array_length") for field in fields],
        }
        # `None` stays what it is.
        return pd.DataFrame(columns, dtype=object).astype({"is_array": bool})

    async def select_time_series(
        self,
        topic_name: str,
        fields: Fields,
        start: Instant,
        end: Instant | Span,
        is_window: bool = False,
        index: int | None = None,
        convert_influx_index: bool = False,
        use_old_csc_indexing: bool = False,
        *,
        arrays: bool = False,
    ) -> Rows:
        """Read fields of a topic over a range of time.

        Parameters
        ----------
        topic_name : `str`
            Name of the topic.
        fields : `Fields`
            Names of scalars, of arrays (all their elements) or of elements.
        start : `Instant`
            First time, inclusive; with ``is_window`` and a length of time the middle.
        end : `Instant` or `Span`
            Last time, inclusive, or a length of time.
        is_window : `bool`, optional
            Whether a length of time lies half before and half after ``start``.
        index : `int`, optional
            Only rows of this index of the component; `None` and 0: of all.
        convert_influx_index : `bool`, optional
            Whether times stand in TAI in InfluxDB, as in some databases of before 2021.
        use_old_csc_indexing : `bool`, optional
            Not needed: an index is found in ``salIndex`` and, in data of before 2022, in ``<Component>ID``.
        arrays : `bool`, optional
            Whether frames have an array as one column of NumPy arrays, not a column for each element.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            Indexed by time in UTC, with units and descriptions; without rows where nothing was recorded.

        Raises
        ------
        ValueError
            When the topic or a field is unknown, or the end is before the start.
        """
        del use_old_csc_indexing
        request, columns, span = await self._range_request(
            topic_name, fields, start, end, is_window, index, convert_influx_index
        )
        return await self._gather(self._calls().range(request), columns, arrays, span)

    async def select_top_n(
        self,
        topic_name: str,
        fields: Fields,
        num: int,
        time_cut: Instant | None = None,
        index: int | None = None,
        convert_influx_index: bool = False,
        use_old_csc_indexing: bool = False,
        *,
        arrays: bool = False,
    ) -> Rows:
        """Read the newest rows of a topic.

        Parameters
        ----------
        topic_name : `str`
            Name of the topic.
        fields : `Fields`
            As in `select_time_series`.
        num : `int`
            How many rows, at most 100,000.
        time_cut : `Instant`, optional
            Only rows before this time.
        index, convert_influx_index, use_old_csc_indexing, arrays
            As in `select_time_series`.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            Oldest of them first.
        """
        del use_old_csc_indexing
        columns = await self._columns(topic_name, fields)
        request = pb.QueryLatestRequest(
            selection=requests.selection(topic_name, columns, index),
            count=requests.count(num),
            before=None if time_cut is None else times.timestamp(times.nanos(time_cut)),
            scale=pb.TIME_SCALE_UTC,
            stored_scale=requests.stored_scale(convert_influx_index),
        )
        return await self._gather(self._calls().bounded("QueryLatest", request), columns, arrays)

    async def select_packed_time_series(
        self,
        topic_name: str,
        base_fields: str | bytes | list[str | bytes],
        start: Instant,
        end: Instant | Span,
        is_window: bool = False,
        index: int | None = None,
        ref_timestamp_col: str = "cRIO_timestamp",
        ref_timestamp_fmt: str = "unix_tai",
        ref_timestamp_scale: str = "tai",
        convert_influx_index: bool = False,
        use_old_csc_indexing: bool = False,
        *,
        true_times: bool = False,
    ) -> Rows:
        """Read fields whose arrays are samples in time, a row for each sample.

        Parameters
        ----------
        topic_name : `str`
            Name of the topic.
        base_fields : `str` or `list` [`str`]
            Names of arrays of one length.
        start, end, is_window, index, convert_influx_index, use_old_csc_indexing
            As in `select_time_series`.
        ref_timestamp_col : `str`, optional
            Field with the time of the first sample of a row, in seconds.
        ref_timestamp_fmt, ref_timestamp_scale : `str`, optional
            What it counts: ``unix_tai`` and ``tai``, or ``unix`` and ``utc``.
        true_times : `bool`, optional
            Whether the samples of a row divide the time until the next row. Otherwise, as in ``lsst-efd-client``, the
            time between the first two rows counts for all, which is wrong after a gap, and is 0 for a single row.

        Returns
        -------
        rows : `pandas.DataFrame` or `pyarrow.Table`
            Indexed by the time of each sample in UTC, which ``times`` has in the seconds of ``ref_timestamp_fmt``.
        """
        del use_old_csc_indexing
        scale = _SCALES.get((ref_timestamp_fmt, ref_timestamp_scale))
        if scale is None:
            raise RequestError("a reference is unix_tai in tai, or unix in utc")
        first, last = times.bounds(start, end, is_window)
        fields = names.as_list(base_fields)
        request = pb.QueryPackedRequest(
            selection=pb.Selection(topic=topic_name, fields=fields, sal_index=index or None),
            range=requests.time_range(first, last, convert_influx_index),
            reference_field=ref_timestamp_col,
            reference_scale=scale,
            times=pb.PACKED_TIMES_TRUE if true_times else pb.PACKED_TIMES_FIRST_ROWS,
        )
        span = (topic_name, first, last)
        rows = await self._gather(self._calls().bounded("QueryPacked", request), None, span=span)
        return _with_times(rows, is_tai=scale == pb.TIME_SCALE_TAI)

    def build_time_range_query(
        self,
        topic_name: str,
        fields: Fields,
        start: Time,
        end: Instant | Span,
        is_window: bool = False,
        index: int | None = None,
        convert_influx_index: bool = False,
        use_old_csc_indexing: bool = False,
    ) -> str:
        """Write the InfluxQL of a `select_time_series`, for `influxql_query`.

        Parameters
        ----------
        topic_name, fields, start, end, is_window, index, convert_influx_index
            As in `select_time_series`.
        use_old_csc_indexing : `bool`, optional
            Whether the index is looked for in ``<Component>ID``, not in ``salIndex``.

        Returns
        -------
        query : `str`
            With bounds to the millisecond.
        """
        bounds = np.array(times.bounds(start, end, is_window), dtype=np.int64)
        first, last = influxql.moments(times.tai_from_utc(bounds) if convert_influx_index else bounds)
        column = f"{topic_name.split('.')[-2]}ID" if use_old_csc_indexing else "salIndex"
        only = f" AND {column} = {int(index)}" if index else ""
        listed = ", ".join(names.as_list(fields)) or "*"
        span = f"time >= '{first}' AND time <= '{last}'{only}"
        return f"SELECT {listed} FROM {self._measurement(topic_name)} WHERE {span}"  # noqa: S608

    async def influxql_query(
        self, query: str, chunked: bool = False, chunk_size: int | None = None, convert_influx_index: bool = False
    ) -> Frames | AsyncIterator[Frames]:
        """Ask in InfluxQL, over the gateway's HTTP.

        Parameters
        ----------
        query : `str`
            The text.
        chunked : `bool`, optional
            Whether to give an iterator of parts.
        chunk_size : `int`, optional
            Rows of a part.
        convert_influx_index : `bool`, optional
            Whether times stand in TAI in InfluxDB.

        Returns
        -------
        answer : frame, table, `dict` or `list` of them, or iterator
            For a statement one frame (without rows where it found nothing), or with several series a dictionary by
            their names and tags; for several statements a list. Arrow tables in place of frames by ``output_mode``.

        Raises
        ------
        ValueError
            When InfluxDB does not take the text, or the client was made without an address for HTTP.
        """
        source = influxql.Source(self.endpoint, self.db_name, self.timeout)
        form = influxql.Form(self.output_mode, convert_influx_index)
        if chunked:
            return source.chunks(query, chunk_size, form)
        return await asyncio.to_thread(source.whole, query, form)

    def _measurement(self, topic: str) -> str:
        """A topic as InfluxQL names it."""
        return f'"{self.db_name}"."autogen"."{topic}"'


def _unit(text: str) -> Any:
    """Unit of astropy; `None` where there is none to make."""
    if not text:
        return None
    try:
        from efd.units import unit

        return unit(text)
    except ImportError:
        return None


def _with_times(rows: Rows, is_tai: bool) -> Rows:
    """Add the column ``times``: seconds in the scale of the reference."""
    index: Any = rows.column(TIME) if isinstance(rows, pa.Table) else cast("Any", rows.index).tz_localize(None)
    utc = index.to_numpy().astype("datetime64[ns]").view(np.int64)
    seconds = (times.tai_from_utc(utc) if is_tai else utc) / times.SECOND
    if isinstance(rows, pa.Table):
        field = pa.field("times", pa.float64(), metadata={"unit": "second"})
        return rows.append_column(field, pa.array(seconds))
    attrs = rows.attrs
    made = rows.assign(times=seconds)
    made.attrs = {**attrs, "units": {**attrs["units"], "times": "second"}}
    return made
