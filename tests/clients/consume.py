"""Reads what ingest wrote to Kafka, as its users do: confluent-kafka with the registry's address as only configuration.

Every value must be in InfluxDB as it is in the record, keys and headers as SAL writes them. Prints one line of JSON when all
is as it should be: records by component, and the trace contexts in the headers. Fails otherwise.
"""

import argparse
import collections
import json
import math
import re
import time
import urllib.parse
import urllib.request

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

DEADLINE = 90
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def read(consumer):
    """Yields all records that the topics of SAL components have now."""
    ends = {}
    for name, topic in consumer.list_topics(timeout=DEADLINE).topics.items():
        if name.startswith("lsst.sal.") and not name.endswith(".dlq"):
            for partition in topic.partitions:
                place = TopicPartition(name, partition, OFFSET_BEGINNING)
                ends[name, partition] = consumer.get_watermark_offsets(place, timeout=DEADLINE)[1]
    waiting = {place for place, end in ends.items() if end > 0}
    consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in waiting])
    deadline = time.monotonic() + DEADLINE
    while waiting:
        assert time.monotonic() < deadline, f"no end of {waiting}"
        record = consumer.poll(1.0)
        if record is None:
            continue
        assert record.error() is None, record.error()
        yield record
        place = record.topic(), record.partition()
        if record.offset() + 1 >= ends[place]:
            waiting.discard(place)


def expected_key(topic, values):
    """Telemetry has an empty key, not none; all else a JSON text with blanks just here."""
    _, _, component, name = topic.split(".")
    if not name.startswith(("command_", "logevent_")) and name != "ackcmd":
        return b""
    index = f'"index": {values["salIndex"]}, ' if "salIndex" in values else ""
    return f'{{ "name": "{component}", {index}"topic": "{name}" }}'.encode()


def check_headers(record, traced):
    """The trace context and nothing else, and nothing at all without traces; returns the context."""
    headers = record.headers() or []
    if not traced:
        assert headers == [], f"{record.topic()}: {headers}"
        return None
    assert [name for name, _ in headers] == ["traceparent"], f"{record.topic()}: {headers}"
    parent = headers[0][1].decode()
    assert TRACEPARENT.fullmatch(parent), parent
    return parent


def columns(values):
    """A record as InfluxDB has it: arrays in pieces, nothing that is not a finite number."""
    for name, value in values.items():
        pieces = [(f"{name}{place}", item) for place, item in enumerate(value)] if isinstance(value, list) else [(name, value)]
        yield from (piece for piece in pieces if not (isinstance(piece[1], float) and not math.isfinite(piece[1])))


def compare(topic, records, rows):
    """Every record has a point of its own, with its values and no others."""
    assert len(records) == len(rows), f"{topic}: {len(records)} records, {len(rows)} points"
    points = {row.pop("time"): row for row in rows}
    for values in records:
        stamp = math.floor(values["private_efdStamp"] * 1e6 + 0.5) * 1000
        row = {name: value for name, value in points.pop(stamp).items() if value is not None}
        expected = dict(columns(values))
        different = {
            name: (expected.get(name), row.get(name))
            for name in expected.keys() | row.keys()
            if expected.get(name) != row.get(name)
        }
        assert not different, f"{topic} at {stamp}, record and point: {different}"
    assert not points, f"{topic}: points without a record"


def query(url, statement):
    """Rows as dictionaries."""
    parameters = {"db": "efd", "rp": "autogen", "q": statement, "epoch": "ns", "chunked": "true"}
    body = urllib.parse.urlencode(parameters).encode()
    with urllib.request.urlopen(f"{url}/query", body) as answer:
        for line in answer:
            for result in json.loads(line)["results"]:
                assert "error" not in result, result
                for series in result.get("series", []):
                    yield from (dict(zip(series["columns"], row)) for row in series["values"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    parser.add_argument("--influxdb", required=True, help="address of InfluxDB")
    parser.add_argument("--traced", action="store_true", help="records must carry a trace context")
    arguments = parser.parse_args()
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": arguments.registry}))
    consumer = Consumer({"bootstrap.servers": arguments.bootstrap_servers, "group.id": "tests", "enable.auto.commit": False})
    topics, counts, parents = collections.defaultdict(list), collections.Counter(), set()
    for record in read(consumer):
        topic = record.topic()
        values = deserializer(record.value(), SerializationContext(topic, MessageField.VALUE))
        assert record.key() == expected_key(topic, values), f"{topic}: {record.key()}"
        parents.add(check_headers(record, arguments.traced))
        topics[topic].append(values)
        counts[topic.split(".")[2]] += 1
    consumer.close()
    for topic, records in topics.items():
        compare(topic, records, list(query(arguments.influxdb, f'SELECT * FROM "{topic}"')))
    print(json.dumps({"records": counts, "topics": sorted(topics), "parents": sorted(parents - {None})}))


if __name__ == "__main__":
    main()
