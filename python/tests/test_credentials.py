"""Gateways found by the names of their databases."""

import json
from pathlib import Path

import pytest
from http_server import serve

import efd
from efd import credentials

DOCUMENT = {
    "host": "efd.example.org",
    "port": 443,
    "path": "/influxdb/",
    "username": "u",
    "password": "p",
    "schema_registry": "https://registry.example.org",
}


def answer(document: object) -> tuple[int, bytes]:
    return 200, json.dumps(document).encode()


@pytest.fixture(autouse=True)
def _no_file(monkeypatch):
    monkeypatch.delenv("EFDAUTH", raising=False)


def test_a_document_of_segwarides_says_where_both_ways_in_are():
    found = credentials.from_document(DOCUMENT)
    assert found.http == "https://efd.example.org:443/influxdb/"
    assert found.grpc == "https://efd.example.org:9180"
    assert (found.username, found.password) == ("u", "p")
    assert "p'" not in repr(found)
    assert credentials.from_document(DOCUMENT | {"grpc": "grpc.example.org:1"}).grpc == "grpc.example.org:1"
    repertoire = {"url": "https://efd.example.org/influxdb", "username": "u", "password": "p"}
    assert credentials.from_document(repertoire).http == "https://efd.example.org/influxdb/"
    with pytest.raises(efd.EfdError, match="password"):
        credentials.from_document({"url": "https://x", "username": "u"})


def test_names_are_looked_up_in_the_service():
    with serve() as served:
        served.answers = {"/list": answer(["usdf_efd"]), "/creds/usdf_efd": answer(DOCUMENT)}
        assert efd.EfdClient.list_efd_names(served.url) == ["usdf_efd"]
        client = efd.EfdClient("usdf_efd", creds_service=served.url)
        assert client.endpoint.username == "u"
        with pytest.raises(ValueError, match="no credentials for no/where"):
            efd.EfdClient("no/where", creds_service=served.url)
        assert served.asked[-1][0] == "/creds/no%2Fwhere"
        served.answers["/creds/usdf_efd"] = (403, b"")
        with pytest.raises(PermissionError):
            efd.EfdClient("usdf_efd", creds_service=served.url)
        served.answers["/creds/usdf_efd"] = (500, b"")
        with pytest.raises(ConnectionError):
            efd.EfdClient("usdf_efd", creds_service=served.url)


def test_who_asks_the_service_stands_in_its_address():
    with serve() as served:
        served.answers["/creds/usdf_efd"] = answer(DOCUMENT)
        address = served.url.replace("://", "://me:s%40crt@")
        assert efd.EfdClient("usdf_efd", creds_service=address).endpoint.username == "u"
        assert served.asked == [("/creds/usdf_efd", "Basic bWU6c0BjcnQ=", b"")]
        with pytest.raises(ValueError, match="no credentials for other") as refused:
            efd.EfdClient("other", creds_service=address)
        assert "crt" not in str(refused.value)


def test_names_of_the_file_come_first(monkeypatch, tmp_path: Path):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"own": {"url": "https://own.example.org", "username": "me", "password": "p"}}))
    monkeypatch.setenv("EFDAUTH", str(file))
    assert efd.EfdClient("own", creds_service="http://127.0.0.1:1").endpoint.username == "me"
    assert efd.EfdClient.list_efd_names("http://127.0.0.1:1") == ["own"]
    file.write_text("{")
    with pytest.raises(efd.EfdError, match="EFDAUTH"):
        efd.EfdClient("own")


def test_what_cannot_be_asked_says_so():
    with pytest.raises(ConnectionError, match="cannot be reached"):
        efd.EfdClient("x", creds_service="http://127.0.0.1:1")
    with pytest.raises(ValueError, match="must begin with"):
        efd.EfdClient("x", creds_service="file:///etc/")
    with pytest.raises(ValueError, match="address="):
        efd.EfdClient()
    with pytest.raises(ValueError, match="output_mode"):
        efd.EfdClient(address="http://x", output_mode="json")
