"""Uses the registry with python-schema-registry-client: the client itself, and its Avro serialiser.

Registers, evolves, looks up, deletes. Prints one line of JSON when all is as it should be, and fails otherwise.
"""

import argparse
import json

from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError
from schema_registry.client.schema import AvroSchema
from schema_registry.serializers import AvroMessageSerializer

from registry_schemas import FIRST, INCOMPATIBLE, SECOND, refused

SUBJECT = "lsst.sal.Python.forces-value"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    url = parser.parse_args().registry
    client = SchemaRegistryClient(url)
    first = client.register(SUBJECT, AvroSchema(FIRST))
    assert SchemaRegistryClient(url).register(SUBJECT, AvroSchema(FIRST)) == first
    assert client.update_compatibility("BACKWARD", subject=SUBJECT)
    assert client.get_compatibility(SUBJECT) == "BACKWARD"
    assert client.test_compatibility(SUBJECT, AvroSchema(SECOND))
    verdict = client.test_compatibility(SUBJECT, AvroSchema(INCOMPATIBLE), verbose=True)
    assert not verdict["is_compatible"] and "serial" in "".join(verdict["messages"]), verdict
    error = refused(ClientError, lambda: client.register(SUBJECT, AvroSchema(INCOMPATIBLE)))
    assert error.http_code == 409, error
    second = client.register(SUBJECT, AvroSchema(SECOND))
    assert client.get_versions(SUBJECT) == [1, 2]
    latest = client.get_schema(SUBJECT)
    assert (latest.schema_id, latest.version) == (second, 2), latest
    found = client.check_version(SUBJECT, AvroSchema(FIRST))
    assert (found.schema_id, found.version) == (first, 1), found
    assert (SUBJECT, 1) in [(use.subject, use.version) for use in client.get_schema_subject_versions(first)]
    assert SUBJECT in client.get_subjects()

    values = {"private_sndStamp": 1.5, "force": [1.0, -2.5, 3.25], "name": "äß€"}
    serializer = AvroMessageSerializer(client)
    record = serializer.encode_record_with_schema(SUBJECT, AvroSchema(SECOND), values)
    assert AvroMessageSerializer(SchemaRegistryClient(url)).decode_message(record) == values

    assert client.delete_version(SUBJECT, 1) == 1
    assert client.delete_subject(SUBJECT) == [2]
    assert SUBJECT not in client.get_subjects()
    assert client.get_versions(SUBJECT) == []
    print(json.dumps({"ids": [first, second]}))


if __name__ == "__main__":
    main()
