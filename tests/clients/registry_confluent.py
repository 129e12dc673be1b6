"""Uses the registry with confluent-kafka: the client itself, and the Avro serialiser with automatic registration on and off.

Registers, evolves, looks up, deletes. Prints one line of JSON when all is as it should be, and fails otherwise.
"""

import argparse
import json

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from registry_schemas import FIRST, INCOMPATIBLE, SECOND, UNSORTED, refused

TOPIC = "lsst.sal.Confluent.forces"
SUBJECT = f"{TOPIC}-value"
VALUES = {"private_sndStamp": 1.5, "force": [1.0, -2.5, 3.25], "name": "äß€"}


def avro(schema):
    return Schema(json.dumps(schema), "AVRO")


def registers_evolves_and_looks_up(client):
    first = client.register_schema(SUBJECT, avro(FIRST))
    assert client.register_schema(SUBJECT, avro(FIRST)) == first, "the same schema keeps its id"
    assert json.loads(client.get_schema(first).schema_str) == FIRST, "unknown attributes are kept"
    assert client.set_compatibility(SUBJECT, "BACKWARD")["compatibility"] == "BACKWARD"
    assert client.get_compatibility(SUBJECT) == "BACKWARD"
    assert client.test_compatibility(SUBJECT, avro(SECOND))
    assert not client.test_compatibility(SUBJECT, avro(INCOMPATIBLE))
    code = refused(SchemaRegistryError, lambda: client.register_schema(SUBJECT, avro(INCOMPATIBLE)))
    assert (code.http_status_code, code.error_code) in [(409, 409), (409, 40901)], code
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in str(code), code
    second = client.register_schema(SUBJECT, avro(SECOND))
    assert second > first
    assert client.get_versions(SUBJECT) == [1, 2]
    latest = client.get_latest_version(SUBJECT)
    assert (latest.schema_id, latest.version) == (second, 2), latest
    found = client.lookup_schema(SUBJECT, avro(FIRST))
    assert (found.schema_id, found.version) == (first, 1), found
    assert SUBJECT in client.get_subjects(subject_prefix="lsst.sal.Confluent")
    assert client.get_subjects_by_schema_id(first) == [SUBJECT]
    assert client.get_schema_types() == ["AVRO"]
    return first, second


def writes_and_reads_with_registration(client):
    context = SerializationContext("lsst.sal.Confluent.auto", MessageField.VALUE)
    serializer = AvroSerializer(client, json.dumps(SECOND), conf={"auto.register.schemas": True, "normalize.schemas": True})
    record = serializer(VALUES, context)
    assert record[0] == 0, record[:5]
    assert AvroDeserializer(client)(record, context) == VALUES
    # A reader with the earlier schema does not see the field that came later.
    earlier = AvroDeserializer(client, json.dumps(FIRST))(record, context)
    assert earlier == {"private_sndStamp": 1.5, "force": [1.0, -2.5, 3.25]}, earlier


def writes_without_registration(client):
    conf = {"auto.register.schemas": False}
    context = SerializationContext("lsst.sal.Confluent.nowhere", MessageField.VALUE)
    serializer = AvroSerializer(client, json.dumps(FIRST), conf=conf)
    code = refused(SchemaRegistryError, lambda: serializer({"private_sndStamp": 0.0, "force": []}, context))
    assert code.http_status_code == 404, code
    context = SerializationContext(TOPIC, MessageField.VALUE)
    record = AvroSerializer(client, json.dumps(SECOND), conf=conf)(VALUES, context)
    assert AvroDeserializer(client)(record, context) == VALUES
    latest = {"auto.register.schemas": False, "use.latest.version": True}
    record = AvroSerializer(client, json.dumps(SECOND), conf=latest)(VALUES, context)
    assert AvroDeserializer(client)(record, context) == VALUES


def normalizes(client):
    subject = "lsst.sal.Confluent.normal-value"
    plain = client.register_schema(subject, avro(UNSORTED), normalize_schemas=True)
    other = json.loads(json.dumps(UNSORTED), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert client.register_schema(subject, avro(other), normalize_schemas=True) == plain, "order of attributes"
    assert client.lookup_schema(subject, avro(other), normalize_schemas=True).schema_id == plain


def deletes(client, second):
    assert client.delete_version(SUBJECT, 1) == 1
    assert client.get_versions(SUBJECT) == [2]
    assert client.delete_subject(SUBJECT) == [2]
    assert SUBJECT not in client.get_subjects()
    assert SUBJECT in client.get_subjects(deleted=True)
    fresh = SchemaRegistryClient(client.config())
    assert json.loads(fresh.get_schema(second).schema_str) == SECOND, "what is deleted softly is still read by id"
    assert sorted(client.delete_subject(SUBJECT, permanent=True)) == [1, 2]
    assert SUBJECT not in client.get_subjects(deleted=True)
    code = refused(SchemaRegistryError, lambda: fresh.get_versions(SUBJECT))
    assert (code.http_status_code, code.error_code) == (404, 40401), code


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    parser.add_argument("--user", help="user and password, with a colon between them")
    parser.add_argument("--authority", help="file with the authority of the registry's certificate")
    arguments = parser.parse_args()
    settings = {
        "url": arguments.registry,
        "basic.auth.user.info": arguments.user,
        "ssl.ca.location": arguments.authority,
    }
    client = SchemaRegistryClient({name: value for name, value in settings.items() if value})
    first, second = registers_evolves_and_looks_up(client)
    writes_and_reads_with_registration(client)
    writes_without_registration(client)
    normalizes(client)
    deletes(client, second)
    print(json.dumps({"ids": [first, second]}))


if __name__ == "__main__":
    main()
