"""A connection to a gateway: calls with credentials and deadlines, broken answers resumed, errors as exceptions."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import urllib.parse
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from efd.errors import EfdError, QueryTimeoutError, RequestError, UnavailableError, from_rpc
from efd.query.v1 import query_pb2 as pb
from efd.query.v1.query_pb2_grpc import QueryServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from efd.credentials import Endpoint

_Answer = TypeVar("_Answer")

_MIB = 1 << 20

_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "efd.query.v1.QueryService"}],
            # Only before anything was answered, so an answer never comes twice.
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "3s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

_OPTIONS: list[tuple[str, Any]] = [
    # An answer is about 1 MiB; a row that is longer comes whole.
    ("grpc.max_receive_message_length", 64 * _MIB),
    # The next answers are under way while one is being read.
    ("grpc.http2.lookahead_bytes", 4 * _MIB),
    ("grpc.http2.max_frame_size", _MIB),
    # A gateway that vanished is noticed while an answer is awaited.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.service_config", json.dumps(_RETRIES)),
]

_RESUMES = 5
"""How often an answer may break off without a new row before it is given up."""

_PAUSE = 0.2
"""Seconds before an answer is taken up again; doubled each time in a row."""


def open_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    """Open a channel to a gateway; it connects with the first call.

    Parameters
    ----------
    endpoint : `Endpoint`
        Where it is.

    Returns
    -------
    channel : `grpc.aio.Channel`
        With TLS, except where the address begins with ``http://``.
    """
    parts = urllib.parse.urlsplit(endpoint.grpc if "://" in endpoint.grpc else f"https://{endpoint.grpc}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise RequestError(f"an address is http://host:port or https://host:port, not {endpoint.grpc}")
    target = parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    if parts.scheme == "http":
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    roots = endpoint.ca_file.read_bytes() if endpoint.ca_file else None
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots), options=_OPTIONS)


def authorization(endpoint: Endpoint) -> str | None:
    """Value of the header ``authorization``, over gRPC and HTTP alike; `None` without credentials."""
    if endpoint.token:
        return f"Bearer {endpoint.token}"
    if endpoint.username:
        pair = f"{endpoint.username}:{endpoint.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    return None


class Connection:
    """Calls of one gateway.

    Parameters
    ----------
    channel : `grpc.aio.Channel`
        To it.
    authorization : `str` or `None`
        Value of the header with credentials.
    timeout : `float`
        Seconds that an answer may take, or each part of one without an end.
    """

    def __init__(self, channel: grpc.aio.Channel, authorization: str | None, timeout: float) -> None:
        self._channel = channel
        self._stub: Any = QueryServiceStub(channel)
        self._metadata = (("authorization", authorization),) if authorization else ()
        self._timeout = timeout

    async def close(self) -> None:
        """End all calls and the connection."""
        await self._channel.close()

    async def unary(self, method: str, request: Any, answer: Callable[..., _Answer]) -> _Answer:
        """Make a call with one answer.

        Parameters
        ----------
        method : `str`
            Its name.
        request : message
            What is asked.
        answer : type of a message
            What comes, for the type checker.

        Returns
        -------
        answer : message
            What came.
        """
        try:
            found: _Answer = await getattr(self._stub, method)(request, metadata=self._metadata, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error
        return found

    async def stream(self, method: str, request: Any, timeout: float | None = None) -> AsyncGenerator[Any]:
        """Make a call with a stream of answers; it is cancelled when its reader leaves it.

        Parameters
        ----------
        method : `str`
            Its name.
        request : message
            What is asked.
        timeout : `float`, optional
            Seconds that it may take in all; `None`: no bound.

        Yields
        ------
        part : message
            In their order.
        """
        call = getattr(self._stub, method)(request, metadata=self._metadata, timeout=timeout)
        try:
            async for part in call:
                yield part
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error
        finally:
            call.cancel()

    def bounded(self, method: str, request: Any) -> AsyncGenerator[Any]:
        """Make a call whose whole stream must come in time."""
        return self.stream(method, request, self._timeout)

    async def range(self, request: pb.QueryRangeRequest, whole: bool = True) -> AsyncGenerator[pb.QueryRangeResponse]:
        """Make a call of ``QueryRange``, and take it up again where it broke off when the gateway goes away.

        Parameters
        ----------
        request : `QueryRangeRequest`
            What is asked.
        whole : `bool`, optional
            Whether the whole answer must come in time, or only each part of it.

        Yields
        ------
        part : `QueryRangeResponse`
            In their order, each row once; a header is repeated only for the next selection.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout
        asked = pb.QueryRangeRequest()
        asked.CopyFrom(request)
        header: Any = None
        breaks = 0
        while True:
            # A resumed answer may open with the header that the reader has.
            repeated = header if asked.resume_token else None
            try:
                timeout = max(deadline - clock(), 0.001) if whole else None
                async with aclosing(self.stream("QueryRange", asked, timeout)) as parts:
                    while (part := await self._next(parts)) is not None:
                        if part.HasField("header"):
                            known, header, repeated = part.header == repeated, part.header, None
                            if known:
                                continue
                        else:
                            asked.resume_token = part.resume_token or asked.resume_token
                            breaks = 0
                        yield part
                return
            except UnavailableError:
                breaks += 1
                pause = _PAUSE * 2**breaks * random.uniform(0.5, 1.0)  # noqa: S311
                out_of_time = whole and clock() + pause > deadline
                # Before the first row the channel has tried again already.
                if not asked.resume_token or breaks > _RESUMES or out_of_time:
                    raise
                await asyncio.sleep(pause)

    async def _next(self, parts: AsyncIterator[Any]) -> Any:
        """The next part, which may not take longer than the timeout; `None` at the end."""
        try:
            async with asyncio.timeout(self._timeout):
                return await anext(parts, None)
        except EfdError:
            raise
        except TimeoutError as error:
            raise QueryTimeoutError(f"nothing came for {self._timeout:g} s") from error
