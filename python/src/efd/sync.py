"""The same client for code that does not await, in notebooks too."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from efd.client import EfdClient
from efd.credentials import SEGWARIDES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _blocking(
    method: Callable[Concatenate[EfdClient, _P], Coroutine[Any, Any, _R]],
) -> Callable[Concatenate[EfdClientSync, _P], _R]:
    """Make a method that waits for the answer."""

    @functools.wraps(method)
    def call(self: EfdClientSync, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self._wait(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[EfdClient, _P], AsyncGenerator[_R]],
) -> Callable[Concatenate[EfdClientSync, _P], Iterator[_R]]:
    """Make a method that gives a plain iterator."""

    @functools.wraps(method)
    def call(self: EfdClientSync, /, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[_R]:
        return self._iterate(method(self._client, *args, **kwargs))

    return call


class EfdClientSync:
    """An `EfdClient` whose methods wait for their answers and whose iterators are plain ones.

    It works where an event loop runs already, as in notebooks: its own runs in a thread beside it.

    Parameters
    ----------
    *args, **kwargs
        As those of `EfdClient`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = EfdClient(*args, **kwargs)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="efd-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection for good."""
        if self._loop.is_running():
            self._wait(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @classmethod
    def list_efd_names(cls, creds_service: str = SEGWARIDES, ca_file: Path | None = None) -> list[str]:
        """List the names of databases, as `EfdClient.list_efd_names` does."""
        return EfdClient.list_efd_names(creds_service, ca_file)

    def build_time_range_query(self, *args: Any, **kwargs: Any) -> str:
        """Write InfluxQL, as `EfdClient.build_time_range_query` does."""
        return self._client.build_time_range_query(*args, **kwargs)

    def influxql_query(self, *args: Any, **kwargs: Any) -> Any:
        """Ask in InfluxQL, as `EfdClient.influxql_query` does; ``chunked`` gives a plain iterator."""
        answer: Any = self._wait(self._client.influxql_query(*args, **kwargs))
        return self._iterate(answer) if hasattr(answer, "__anext__") else answer

    get_topics = _blocking(EfdClient.get_topics)
    get_fields = _blocking(EfdClient.get_fields)
    get_tags = _blocking(EfdClient.get_tags)
    get_schema = _blocking(EfdClient.get_schema)
    list_topics = _blocking(EfdClient.list_topics)
    select_time_series = _blocking(EfdClient.select_time_series)
    select_top_n = _blocking(EfdClient.select_top_n)
    select_packed_time_series = _blocking(EfdClient.select_packed_time_series)
    select_latest = _blocking(EfdClient.select_latest)
    select_windows = _blocking(EfdClient.select_windows)
    select_aligned = _blocking(EfdClient.select_aligned)
    estimate = _blocking(EfdClient.estimate)
    iter_time_series = _iterating(EfdClient.iter_time_series)
    tail = _iterating(EfdClient.tail)

    def _wait(self, answer: Coroutine[Any, Any, _R]) -> _R:
        """Wait for an answer, and cancel the call when the wait is interrupted."""
        future = asyncio.run_coroutine_threadsafe(answer, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _iterate(self, parts: AsyncIterator[_R]) -> Iterator[_R]:
        """Give each part as it comes; the call ends with the iterator."""
        try:
            while True:
                try:
                    part = self._wait(_next(parts))
                except StopAsyncIteration:
                    return
                yield part
        finally:
            if hasattr(parts, "aclose") and self._loop.is_running():
                self._wait(parts.aclose())


async def _next(parts: AsyncIterator[_R]) -> _R:
    return await anext(parts)
