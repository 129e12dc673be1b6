"""Where a database's gateway is and who one is there, by the database's name.

The documents are those that users of ``lsst-efd-client`` know: those of a Segwarides service, and the JSON file that
``EFDAUTH`` of the environment names. Where a document has a key ``grpc``, it is the address of the gateway's gRPC.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efd.errors import AccessError, EfdError, RequestError, UnavailableError

SEGWARIDES = "https://roundtable.lsst.codes/segwarides/"
"""The observatory's own service."""

GRPC_PORT = 9180
"""Port of a gateway's gRPC where a document does not say it."""

_TIMEOUT = 30


@dataclass(frozen=True)
class Endpoint:
    """A gateway and credentials for it.

    Parameters
    ----------
    grpc : `str`
        Address of its gRPC: ``http://host:port``, or ``https://host:port`` for TLS; without a scheme it is TLS.
    http : `str` or `None`
        Address that ``query`` is appended to for InfluxQL, with a slash at its end.
    username, password : `str`
        For basic authentication; empty for none.
    token : `str`
        Sent as a bearer token instead; empty for none.
    ca_file : `pathlib.Path` or `None`
        Certificate authority of a gateway that has none of the public ones.
    """

    grpc: str
    http: str | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: Path | None = None


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """What is trusted over HTTP: the machine's authorities, and this one."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def names(creds_service: str, ca_file: Path | None = None) -> list[str]:
    """Names of the databases that there are credentials for.

    Parameters
    ----------
    creds_service : `str`
        Address of a Segwarides service.
    ca_file : `pathlib.Path`, optional
        Its certificate authority where that is none of the public ones.

    Returns
    -------
    names : `list` [`str`]
        Those of the file that ``EFDAUTH`` names, then those of the service; only the former where the file exists and
        the service does not answer.
    """
    own = list(_auth_file())
    try:
        listed = list(_get(creds_service, "list", ca_file))
    except UnavailableError:
        if not own:
            raise
        listed = []
    return list(dict.fromkeys([*own, *listed]))


def find(efd_name: str, creds_service: str, ca_file: Path | None = None) -> Endpoint:
    """Find a database's gateway by its name.

    Parameters
    ----------
    efd_name : `str`
        Such as ``usdf_efd``.
    creds_service : `str`
        Address of a Segwarides service, for names that the file of ``EFDAUTH`` does not have; ``https://name:token@host/``
        shows it who asks.
    ca_file : `pathlib.Path`, optional
        Certificate authority of both where that is none of the public ones.

    Returns
    -------
    endpoint : `Endpoint`
        Where it is, with the credentials.

    Raises
    ------
    ValueError
        When the name is unknown.
    ConnectionError
        When the service cannot be reached.
    """
    document = _auth_file().get(efd_name)
    if document is None:
        document = _get(creds_service, f"creds/{urllib.parse.quote(efd_name, safe='')}", ca_file)
    return from_document(document, ca_file)


def from_document(document: dict[str, Any], ca_file: Path | None = None) -> Endpoint:
    """Read a document of Segwarides (``host``, ``port``, ``path``) or of Repertoire (``url``).

    Parameters
    ----------
    document : `dict`
        As it came.
    ca_file : `pathlib.Path`, optional
        Kept in the result.

    Returns
    -------
    endpoint : `Endpoint`
        Where the gateway is, with the credentials.
    """
    try:
        if "url" in document:
            http = document["url"].rstrip("/") + "/"
        else:
            path = document.get("path") or "/"
            http = urllib.parse.urljoin(f"https://{document['host']}:{document.get('port', 443)}", path)
        grpc = document.get("grpc") or _beside(http)
        return Endpoint(grpc, http, document["username"], document["password"], ca_file=ca_file)
    except KeyError as error:
        raise EfdError(f"the document with credentials has no key {error}") from error


def _beside(http: str) -> str:
    """Address of gRPC on the host of an HTTP address."""
    parts = urllib.parse.urlsplit(http)
    return f"{parts.scheme}://{parts.hostname}:{GRPC_PORT}"


def _auth_file() -> dict[str, dict[str, Any]]:
    path = os.environ.get("EFDAUTH")
    if not path:
        return {}
    try:
        documents: dict[str, dict[str, Any]] = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise EfdError(f"EFDAUTH names {path}, which cannot be read as JSON: {error}") from error
    return documents


def _get(service: str, path: str, ca_file: Path | None) -> Any:
    """A JSON document of a service."""
    parts = urllib.parse.urlsplit(service if service.endswith("/") else f"{service}/")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError("creds_service must begin with https:// or http:// and name a host")
    # Messages name the address without the secret.
    shown, host = parts.netloc.rpartition("@")[::2]
    known = urllib.parse.urlunsplit(parts._replace(netloc=host))
    url = urllib.parse.urljoin(known, path)
    request = urllib.request.Request(url)  # noqa: S310
    if shown:
        pair = urllib.parse.unquote(shown).encode()
        request.add_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT, context=tls_context(ca_file)) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                name = urllib.parse.unquote(path.removeprefix("creds/"))
                message = f"no credentials for {name}; EfdClient.list_efd_names has the names that {known} knows"
                raise RequestError(message) from error
            if error.code in (401, 403):
                raise AccessError(f"{known} refuses this user: {error}") from error
            raise UnavailableError(f"{url} answered {error}") from error
    except OSError as error:
        raise UnavailableError(f"{url} cannot be reached: {error}") from error
