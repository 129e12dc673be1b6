"""Publishes random samples of `Test` over gRPC and reads them back from InfluxDB.

Everything a client needs is generated from the contract and asked of the server: the stubs, the topics, their fields. Bad
samples are strewn in; each must be refused with the right code and field, and change nothing for the others.

Prints one line of JSON when all is as it should be, and fails otherwise.
"""

import argparse
import importlib
import itertools
import json
import math
import pathlib
import random
import struct
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import grpc
from grpc_tools import protoc

TOPICS = {
    "lsst.sal.Test.scalars": 6,
    "lsst.sal.Test.arrays": 2,
    "lsst.sal.Test.logevent_scalars": 1,
    "lsst.sal.Test.logevent_arrays": 1,
}
SEED = 4
SAMPLES_IN_REQUEST = 250
GOOD_BETWEEN_BAD = 500
TAI_MINUS_UTC = 37
DEADLINE = 90


def contract(folder, proto):
    """Generates the stubs into a folder and imports them."""
    name = "efd/ingest/v1/ingest"
    arguments = ["protoc", f"-I{proto}", f"--python_out={folder}", f"--grpc_python_out={folder}", f"{name}.proto"]
    if protoc.main(arguments) != 0:
        sys.exit(f"protoc cannot compile {name}.proto")
    sys.path.insert(0, str(folder))
    module = name.replace("/", ".")
    return importlib.import_module(f"{module}_pb2"), importlib.import_module(f"{module}_pb2_grpc")


class Maker:
    """Makes the same samples again whenever it is asked."""

    def __init__(self, messages, topics, count):
        self.messages, self.topics, self.count = messages, topics, count

    def good(self):
        """Pairs of a topic and the values of its fields."""
        rng = random.Random(SEED)
        names, weights = list(TOPICS), list(TOPICS.values())
        for _ in range(self.count):
            topic = self.topics[rng.choices(names, weights)[0]]
            values = {"salIndex": rng.randint(1, 3)}
            for field in topic.fields:
                # Some are left out and have their default.
                if not field.is_private and rng.random() > 0.05:
                    values[field.name] = self.value(rng, field)
            yield topic, values

    def value(self, rng, field):
        if field.HasField("array_length"):
            return [self.scalar(rng, field) for _ in range(field.array_length)]
        return self.scalar(rng, field)

    def scalar(self, rng, field):
        kind = self.messages.FieldType.Name(field.type).removeprefix("FIELD_TYPE_")
        if kind == "BOOLEAN":
            return rng.random() < 0.5
        if kind in ("INT", "LONG"):
            return rng.choice([field.minimum, field.maximum, rng.randint(field.minimum, field.maximum)])
        if kind == "STRING":
            return "".join(rng.choices("abc äß€😀,= \"'\\{}[]\n", k=rng.randint(0, 20)))
        number = rng.choice([0.0, math.nan, math.inf, rng.uniform(-1e6, 1e6), rng.uniform(-1, 1) * 1e-30])
        return as_float(number) if kind == "FLOAT" and rng.random() < 0.5 else number

    def message(self, topic, values):
        """A sample as it is sent."""
        sample = self.messages.Sample(topic=topic.name)
        types = {field.name: self.messages.FieldType.Name(field.type) for field in topic.fields}
        for name, value in values.items():
            kind = types[name].removeprefix("FIELD_TYPE_")
            target = sample.fields[name]
            if isinstance(value, list):
                arrays = {"BOOLEAN": "booleans", "INT": "longs", "LONG": "longs", "FLOAT": "floats", "DOUBLE": "doubles"}
                getattr(target, arrays[kind]).values.extend(value)
            else:
                scalars = {"BOOLEAN": "boolean", "INT": "long", "LONG": "long", "STRING": "string"}
                setattr(target, scalars.get(kind, "double") + "_value", value)
        return sample

    def bad(self):
        """Samples that must be refused, with code and field, over and over."""
        value, longs = self.messages.Value, self.messages.Longs
        code, scalars, arrays = grpc.StatusCode, "lsst.sal.Test.scalars", "lsst.sal.Test.arrays"
        cases = [
            ("lsst.sal.Test.scalers", {}, code.NOT_FOUND, ""),
            ("lsst.sal.MTM1M3.pidData", {}, code.NOT_FOUND, ""),
            ("lsst.sal.ATCamera.vacuum", {}, code.PERMISSION_DENIED, ""),
            (scalars, {"int1": value(long_value=1)}, code.INVALID_ARGUMENT, "int1"),
            (scalars, {"double0": value(string_value="1.5")}, code.INVALID_ARGUMENT, "double0"),
            (scalars, {"float0": value(long_value=1)}, code.INVALID_ARGUMENT, "float0"),
            (scalars, {"byte0": value(long_value=300)}, code.OUT_OF_RANGE, "byte0"),
            (scalars, {"unsignedShort0": value(long_value=70000)}, code.OUT_OF_RANGE, "unsignedShort0"),
            (scalars, {"float0": value(double_value=1e300)}, code.OUT_OF_RANGE, "float0"),
            (scalars, {"private_sndStamp": value(double_value=math.nan)}, code.OUT_OF_RANGE, "private_sndStamp"),
            (scalars, {"private_revCode": value(string_value="0")}, code.FAILED_PRECONDITION, "private_revCode"),
            (arrays, {"int0": value(longs=longs(values=[1] * 4))}, code.INVALID_ARGUMENT, "int0"),
            (arrays, {"short0": value(longs=longs(values=[0, 0, 40000, 0, 0]))}, code.OUT_OF_RANGE, "short0"),
        ]
        for topic, fields, status, field in itertools.cycle(cases):
            yield self.messages.Sample(topic=topic, fields=fields), (status, field)


def publish(maker, stub, metadata):
    """Sends all samples, good and bad; counts the results, which must be as expected."""
    messages, expected = maker.messages, []
    counts = {"delivered": 0, "refused": 0}

    def samples():
        bad = maker.bad()
        for number, (topic, values) in enumerate(maker.good()):
            if number % GOOD_BETWEEN_BAD == 0:
                sample, refusal = next(bad)
                expected.append(refusal)
                yield sample
            expected.append(topic)
            yield maker.message(topic, values)

    def requests():
        remaining = samples()
        while part := list(itertools.islice(remaining, SAMPLES_IN_REQUEST)):
            yield messages.PublishRequest(samples=part)

    offsets = {topic.kafka_topic: itertools.count() for topic in maker.topics.values()}
    answers = (result for answer in stub.Publish(requests(), metadata=metadata) for result in answer.results)
    for number, result in enumerate(answers):
        assert result.sequence == number, f"result {result.sequence} where {number} should be"
        if result.HasField("delivery"):
            topic, delivery = expected[number], result.delivery
            assert delivery.topic == topic.kafka_topic, f"{number}: {delivery.topic}"
            assert (delivery.partition, delivery.offset) == (0, next(offsets[delivery.topic])), f"{number}: {delivery}"
            counts["delivered"] += 1
        else:
            refusal = result.refusal
            status, field = expected[number]
            assert (refusal.code, refusal.field) == (status.value[0], field), f"{number}: {refusal}"
            counts["refused"] += 1
    assert counts["delivered"] == maker.count, counts
    return counts


def refused_without_credentials(maker, stub):
    """Every sample is refused, and the stream goes on to its regular end."""
    topic, values = next(maker.good())
    requests = [maker.messages.PublishRequest(samples=[maker.message(topic, values)])] * 3
    results = [result for answer in stub.Publish(iter(requests)) for result in answer.results]
    codes = [result.refusal.code for result in results]
    assert codes == [grpc.StatusCode.UNAUTHENTICATED.value[0]] * 3, results


def read_back(maker, url, token):
    """Compares every point with the sample that it came from."""
    samples = {name: [] for name in TOPICS}
    for topic, values in maker.good():
        samples[topic.name].append(values)
    for name, sent in samples.items():
        deadline = time.monotonic() + DEADLINE
        while count(url, token, name) < len(sent):
            assert time.monotonic() < deadline, f"{name}: not all of {len(sent)} points came"
            time.sleep(0.2)
        sequences = {}
        rows = 0
        for values, row in zip(sent, query(url, token, f'SELECT * FROM "{name}"'), strict=True):
            compare(maker.topics[name], values, row, sequences)
            rows += 1
        assert rows == len(sent), name


def compare(topic, values, row, sequences):
    index = values["salIndex"]
    sequences[index] = sequences.get(index, 0) + 1
    expected = {
        "salIndex": index,
        "private_seqNum": sequences[index],
        "private_identity": "client",
        "private_revCode": topic.rev_code,
        "private_rcvStamp": 0.0,
    }
    for field in topic.fields:
        if not field.is_private:
            expected.update(stored(field, values.get(field.name)))
    different = {name: (value, row.get(name)) for name, value in expected.items() if value != row.get(name)}
    assert not different, f"{topic.name}, sent and stored: {different}"
    snd, efd = row["private_sndStamp"], row["private_efdStamp"]
    assert snd - efd == TAI_MINUS_UTC and round(efd * 1e6) * 1000 == row["time"], row


def stored(field, value):
    """Columns of a field; a number that is not finite is not stored."""
    defaults = {1: False, 2: 0, 3: 0, 4: 0.0, 5: 0.0, 6: ""}
    if field.HasField("array_length"):
        items = value or [defaults[field.type]] * field.array_length
        columns = {f"{field.name}{place}": item for place, item in enumerate(items)}
    else:
        columns = {field.name: defaults[field.type] if value is None else value}
    if field.type == 4:
        columns = {name: as_float(number) for name, number in columns.items()}
    return {
        name: None if isinstance(item, float) and not math.isfinite(item) else item for name, item in columns.items()
    }


def as_float(number):
    """The nearest 32-bit number."""
    return struct.unpack("f", struct.pack("f", number))[0]


def count(url, token, measurement):
    rows = list(query(url, token, f'SELECT count(private_seqNum) FROM "{measurement}"'))
    return rows[0]["count"] if rows else 0


def query(url, token, statement):
    """Rows as dictionaries."""
    parameters = {"db": "efd", "rp": "autogen", "q": statement, "epoch": "ns", "chunked": "true"}
    request = urllib.request.Request(f"{url}/query", urllib.parse.urlencode(parameters).encode())
    if token:
        request.add_header("Authorization", f"Token {token}")
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            for result in json.loads(line)["results"]:
                assert "error" not in result, result
                for series in result.get("series", []):
                    yield from (dict(zip(series["columns"], row)) for row in series["values"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proto", type=pathlib.Path, required=True, help="folder with the contracts")
    parser.add_argument("--address", required=True, help="of ingest's gRPC source")
    parser.add_argument("--ca", type=pathlib.Path, required=True, help="certificate that its own is signed by")
    parser.add_argument("--token", required=True)
    parser.add_argument("--influxdb", required=True, help="address of InfluxDB")
    parser.add_argument("--influxdb-token", default="")
    parser.add_argument("--traceparent", required=True, help="span that the samples are published in")
    parser.add_argument("--count", type=int, required=True, help="good samples to publish")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        messages, services = contract(folder, arguments.proto)
    credentials = grpc.ssl_channel_credentials(arguments.ca.read_bytes())
    metadata = [("authorization", f"Bearer {arguments.token}"), ("traceparent", arguments.traceparent)]
    with grpc.secure_channel(arguments.address, credentials) as channel:
        stub = services.IngestServiceStub(channel)
        described = stub.DescribeTopics(messages.DescribeTopicsRequest(topics=list(TOPICS)), metadata=metadata)
        topics = {answer.topic.name: answer.topic for answer in described}
        maker = Maker(messages, topics, arguments.count)
        started = time.monotonic()
        counts = publish(maker, stub, metadata)
        seconds = time.monotonic() - started
        refused_without_credentials(maker, stub)
    read_back(maker, arguments.influxdb, arguments.influxdb_token)
    print(json.dumps(counts | {"seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main()
