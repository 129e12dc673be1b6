"""Reads an observatory's Engineering and Facilities Database: frames with units, over gRPC.

Use `EfdClient` where you can ``await``, `EfdClientSync` elsewhere.
"""

from efd.client import EfdClient, TopicCost
from efd.credentials import Endpoint
from efd.errors import (
    AccessError,
    DataError,
    EfdError,
    QueryTimeoutError,
    QuotaError,
    RequestError,
    TopicError,
    UnavailableError,
)
from efd.frames import symbols, to_frame
from efd.sync import EfdClientSync
from efd.units import qtable, quantity, unit

__all__ = [
    "AccessError",
    "DataError",
    "EfdClient",
    "EfdClientSync",
    "EfdError",
    "Endpoint",
    "QueryTimeoutError",
    "QuotaError",
    "RequestError",
    "TopicCost",
    "TopicError",
    "UnavailableError",
    "qtable",
    "quantity",
    "symbols",
    "to_frame",
    "unit",
]
