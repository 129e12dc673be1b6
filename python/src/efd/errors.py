"""What can go wrong, as exceptions that also are the built-in ones that fit."""

import grpc


class EfdError(Exception):
    """Anything that the gateway or this package has to complain about."""


class RequestError(EfdError, ValueError):
    """A request that cannot succeed as it stands: an unknown field, reversed times, an absurd size."""


class TopicError(RequestError):
    """A topic that does not exist; the message names those that are spelled alike."""


class AccessError(EfdError, PermissionError):
    """Credentials that are missing, wrong, or not good for this topic."""


class QuotaError(EfdError):
    """More than the gateway allows this user; ask for less, or later."""


class DataError(EfdError):
    """Stored data that does not fit its schema, or a database that does not exist."""


class QueryTimeoutError(EfdError, TimeoutError):
    """An answer that did not come in time; ask for less, or give a longer ``timeout``."""


class UnavailableError(EfdError, ConnectionError):
    """A gateway that cannot be reached, or that cannot reach its own servers."""


_BY_STATUS: dict[grpc.StatusCode, type[EfdError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: RequestError,
    grpc.StatusCode.OUT_OF_RANGE: RequestError,
    grpc.StatusCode.NOT_FOUND: TopicError,
    grpc.StatusCode.UNAUTHENTICATED: AccessError,
    grpc.StatusCode.PERMISSION_DENIED: AccessError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: QuotaError,
    grpc.StatusCode.FAILED_PRECONDITION: DataError,
    grpc.StatusCode.DEADLINE_EXCEEDED: QueryTimeoutError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
}


def from_rpc(error: grpc.aio.AioRpcError) -> EfdError:
    """Make the exception that fits a call's status.

    Parameters
    ----------
    error : `grpc.aio.AioRpcError`
        How the call ended.

    Returns
    -------
    exception : `EfdError`
        With the gateway's own words.
    """
    status = error.code()
    kind = _BY_STATUS.get(status, EfdError)
    details = error.details() or "no reason given"
    return kind(details if kind is not EfdError else f"{status.name}: {details}")
