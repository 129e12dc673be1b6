"""Uses the registry with kafkit on aiohttp, as the observatory's programs do.

Registers, evolves, looks up, writes, reads, deletes. Prints one line of JSON when all is as it should be, and fails otherwise.
"""

import argparse
import asyncio
import json

import aiohttp
from kafkit.registry import Deserializer, Serializer
from kafkit.registry.aiohttp import RegistryApi
from kafkit.registry.errors import RegistryBadRequestError

from registry_schemas import FIRST, INCOMPATIBLE, SECOND

SUBJECT = "lsst.sal.Kafkit.forces-value"


async def refused(call):
    try:
        answer = await call
    except RegistryBadRequestError as refusal:
        return refusal
    raise AssertionError(f"not refused, but answered: {answer}")


async def use(session, url):
    api = RegistryApi(session=session, url=url)
    first = await api.register_schema(FIRST, subject=SUBJECT)
    # A client that has cached nothing asks the registry.
    assert await RegistryApi(session=session, url=url).register_schema(FIRST, subject=SUBJECT) == first
    await api.put("/config{/subject}", url_vars={"subject": SUBJECT}, data={"compatibility": "FORWARD_TRANSITIVE"})
    config = await api.get("/config{/subject}", url_vars={"subject": SUBJECT})
    assert config["compatibilityLevel"] == "FORWARD_TRANSITIVE", config
    second = await api.register_schema(SECOND, subject=SUBJECT)
    shorter = {**SECOND, "fields": SECOND["fields"][1:]}
    without = {**shorter, "fields": [{"name": "other", "type": "int"}]}
    assert await api.register_schema(shorter, subject=SUBJECT) > second, "what has a default may go"
    error = await refused(api.register_schema({**without, "name": "renamed"}, subject=SUBJECT))
    assert error.status_code == 409, error
    versions = await api.get("/subjects{/subject}/versions", url_vars={"subject": SUBJECT})
    assert versions == [1, 2, 3], versions
    latest = await RegistryApi(session=session, url=url).get_schema_by_subject(SUBJECT, "latest")
    assert latest["version"] == 3, latest
    by_id = await RegistryApi(session=session, url=url).get_schema_by_id(first)
    assert json.loads(json.dumps(by_id)).keys() >= {"name", "fields", "description"}, by_id
    found = await api.post("/subjects{/subject}", url_vars={"subject": SUBJECT}, data={"schema": json.dumps(FIRST)})
    assert (found["id"], found["version"]) == (first, 1), found
    error = await refused(api.post("/subjects{/subject}", url_vars={"subject": SUBJECT}, data={"schema": json.dumps(INCOMPATIBLE)}))
    assert error.status_code == 404, error

    values = {"private_sndStamp": 1.5, "force": [1.0, -2.5], "name": "äß€"}
    serializer = await Serializer.register(registry=api, schema=SECOND, subject=SUBJECT)
    record = serializer(values)
    message = await Deserializer(registry=RegistryApi(session=session, url=url)).deserialize(record)
    assert (message["id"], message["message"]) == (second, values), message

    assert await api.delete("/subjects{/subject}/versions/1", url_vars={"subject": SUBJECT}) == 1
    assert await api.delete("/subjects{/subject}", url_vars={"subject": SUBJECT}) == [2, 3]
    assert SUBJECT not in await api.get("/subjects")
    gone = await api.delete("/subjects{/subject}{?permanent}", url_vars={"subject": SUBJECT, "permanent": "true"})
    assert sorted(gone) == [1, 2, 3], gone
    return [first, second]


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--registry", required=True, help="address of the schema registry")
    async with aiohttp.ClientSession() as session:
        print(json.dumps({"ids": await use(session, parser.parse_args().registry)}))


if __name__ == "__main__":
    asyncio.run(main())
