"""A gateway inside the test, for what needs no real one: what is asked, and what is made of answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest_asyncio

from efd import EfdClient
from efd.query.v1 import columns_pb2 as cb
from efd.query.v1 import query_pb2 as pb
from efd.query.v1.query_pb2_grpc import QueryServiceServicer, add_QueryServiceServicer_to_server

TOPIC = "lsst.sal.Test.thing"
OTHER = "lsst.sal.Test.other"
START = np.datetime64("2026-11-30T00:00:00", "ns").astype(np.int64)
STEP = 100_000_000
ROWS = 10

FIELDS = [
    cb.Field(name="salIndex", type=cb.FIELD_TYPE_INT),
    cb.Field(name="speed", type=cb.FIELD_TYPE_DOUBLE, unit="m/s", description="How fast."),
    cb.Field(name="force", type=cb.FIELD_TYPE_FLOAT, unit="N", array_length=3),
    cb.Field(name="isOpen", type=cb.FIELD_TYPE_BOOLEAN),
    cb.Field(name="state", type=cb.FIELD_TYPE_ENUM, symbols=["OFF", "ON"]),
]


def times(first: int, last: int) -> list[int]:
    return [int(START) + STEP * row for row in range(first, last)]


def column(field: cb.Field, rows: range) -> cb.Column:
    """Values that tell which row they are of; every third speed was not recorded."""
    match field.name:
        case "salIndex":
            return cb.Column(longs=cb.Longs(values=[1 + row % 2 for row in rows]))
        case "force":
            values = [row + element / 10 for row in rows for element in range(3)]
            return cb.Column(doubles=cb.Doubles(values=values))
        case "isOpen":
            return cb.Column(booleans=cb.Booleans(values=[row % 2 == 0 for row in rows]))
        case "state":
            return cb.Column(strings=cb.Strings(values=["ON" if row % 2 else "OFF" for row in rows]))
        case _:
            bits = np.packbits([row % 3 != 0 for row in rows], bitorder="little").tobytes()
            return cb.Column(doubles=cb.Doubles(values=[row / 2 for row in rows]), validity=bits)


def batch(fields: list[cb.Field], rows: range) -> cb.Batch:
    return cb.Batch(times=times(rows.start, rows.stop), columns=[column(field, rows) for field in fields])


def chosen(selection: pb.Selection) -> list[cb.Field]:
    return [field for field in FIELDS if not selection.fields or field.name in selection.fields]


class Gateway(QueryServiceServicer):
    """Answers as the contract says; notes what it is asked, and breaks off as often as it is told."""

    def __init__(self) -> None:
        self.address = ""
        self.asked: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.breaks = 0
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.cancelled = asyncio.Event()

    async def _note(self, request: Any, context: Any) -> None:
        self.asked.append(request)
        self.metadata = dict(context.invocation_metadata())
        if self.refusal:
            await context.abort(*self.refusal)

    async def ListTopics(self, request: Any, context: Any) -> Any:
        await self._note(request, context)
        topics = [pb.TopicSummary(name="lsst.sal.Test.empty", has_schema=True)]
        topics.append(pb.TopicSummary(name=TOPIC, has_data=True, has_schema=True, rate=2.5))
        topics[1].newest.FromNanoseconds(int(START))
        return pb.ListTopicsResponse(topics=topics)

    async def GetTopic(self, request: Any, context: Any) -> Any:
        await self._note(request, context)
        if request.name not in (TOPIC, OTHER):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no topic {request.name}")
        return pb.GetTopicResponse(topic=pb.Topic(name=request.name, fields=FIELDS))

    async def QueryRange(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        fields = chosen(request.selections[0])
        first = int(request.resume_token or b"0")
        yield pb.QueryRangeResponse(header=cb.Header(topic=TOPIC, fields=fields))
        for row in range(first, ROWS, 4):
            rows = range(row, min(row + 4, ROWS))
            yield pb.QueryRangeResponse(batch=batch(fields, rows), resume_token=str(rows.stop).encode())
            if self.breaks:
                self.breaks -= 1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the gateway stops")

    async def QueryLatest(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        fields = chosen(request.selection)
        yield pb.QueryLatestResponse(header=cb.Header(topic=TOPIC, fields=fields))
        yield pb.QueryLatestResponse(batch=batch(fields, range(ROWS - request.count, ROWS)))

    async def QueryWindow(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        fields = []
        for field in chosen(request.selections[0]):
            for aggregate in request.aggregates:
                made = cb.Field()
                made.CopyFrom(field)
                made.aggregate = aggregate
                fields.append(made)
        yield pb.QueryWindowResponse(header=cb.Header(topic=TOPIC, fields=fields))
        yield pb.QueryWindowResponse(batch=batch(fields, range(2)))

    async def QueryPacked(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        fields = [cb.Field(name=name, type=cb.FIELD_TYPE_DOUBLE, unit="N") for name in request.selection.fields]
        yield pb.QueryPackedResponse(header=cb.Header(topic=TOPIC, fields=fields))
        yield pb.QueryPackedResponse(batch=batch(fields, range(6)))

    async def QueryAligned(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        headers = [cb.Header(topic=one.topic, fields=chosen(one)) for one in request.selections]
        yield pb.QueryAlignedResponse(header=pb.AlignedHeader(topics=headers))
        yield pb.QueryAlignedResponse(batch=batch([f for h in headers for f in h.fields], range(3)))

    async def Tail(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._note(request, context)
        try:
            for selection in request.selections:
                yield pb.TailResponse(header=cb.Header(topic=selection.topic, fields=chosen(selection)))
            for row in range(ROWS):
                if row == 3:
                    yield pb.TailResponse(live=pb.TailLive())
                rows = batch(chosen(request.selections[0]), range(row, row + 1))
                yield pb.TailResponse(batch=pb.TailBatch(selection=0, batch=rows))
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def EstimateCost(self, request: Any, context: Any) -> Any:
        await self._note(request, context)
        costs = [pb.TopicCost(topic=one.topic, rows=10, values=70, bytes=600) for one in request.selections]
        return pb.EstimateCostResponse(topics=costs)


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    server, servicer = grpc.aio.server(), Gateway()
    add_QueryServiceServicer_to_server(servicer, server)
    servicer.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield servicer
    await server.stop(None)


@pytest_asyncio.fixture
async def client(gateway: Gateway) -> AsyncIterator[EfdClient]:
    async with EfdClient(address=gateway.address, token="secret", timeout=30) as made:
        yield made


@pytest_asyncio.fixture
async def arrow(gateway: Gateway) -> AsyncIterator[EfdClient]:
    async with EfdClient(address=gateway.address, output_mode="arrow", timeout=30) as made:
        yield made
