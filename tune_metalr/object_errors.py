"""What went wrong in object storage: what passes by itself, and what a user is told.

The packages behind have several hundred kinds of errors; which of them are installed is unknown
here, so kinds are told by name. What is not known to pass is not asked again.
"""

import errno
from http import HTTPStatus

from tune_metalr.errors import first_line, without_secrets

_PASSING_STATUSES = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,  # two conditional requests at once
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

_PASSING_CODES = frozenset(
    {
        # Of one request, whose bytes were torn on their way.
        "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
        # Some of them come with the status 200 or 400.
        "InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling",
        "ThrottlingException",
    }
)  # fmt: skip

_PASSING_KINDS = frozenset(
    {
        # Python's own, botocore's, and requests'.
        "ConnectionError", "TimeoutError", "Timeout",
        # botocore's. A node's own service for credentials may be overloaded for a moment.
        "HTTPClientError", "IncompleteReadError", "ResponseParserError", "FlexibleChecksumError",
        "MetadataRetrievalError", "CredentialRetrievalError",
        # aiohttp's, requests', gcsfs', google.auth's.
        "ClientConnectionError", "ClientPayloadError", "ChunkedEncodingError", "ChecksumError",
        "TransportError",
    }
)  # fmt: skip

_PASSING_NUMBERS = frozenset(
    {errno.EAGAIN, errno.EBUSY, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH}
)


_NO_CREDENTIALS = {
    "NoCredentialsError": "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "DefaultCredentialsError": "; set GOOGLE_APPLICATION_CREDENTIALS",
}
"""What helps, by the kind of error: botocore's and google.auth's."""


def passes(error: Exception) -> bool:
    """Return whether asking again may mend an error: the service is busy, or out of reach."""
    if (code := _code_of(error)) in _PASSING_CODES:
        return True
    if (status := _status_of(error)) is not None:
        return status in _PASSING_STATUSES
    if code is not None or isinstance(error, FileNotFoundError | PermissionError | FileExistsError):
        return False
    if {kind.__name__ for kind in type(error).__mro__} & _PASSING_KINDS:
        return True
    if getattr(error, "retryable", False):  # google.auth's, some of them
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_NUMBERS


def as_os_error(error: Exception, location: str) -> OSError:
    """Return an error that names the place, of the kind that Python has for it."""
    told = without_secrets(first_line(error))
    number = _number_of(error)
    if number in (errno.ENOENT, errno.EEXIST):
        return OSError(number, told, location)
    advice = _NO_CREDENTIALS.get(type(error).__name__, "")
    return OSError(number, f"{_kind_of(error, number)}: {told}{advice}", location)


def _number_of(error: Exception) -> int:
    """Return Python's number of an error, by which `OSError` chooses its kind."""
    status = _status_of(error)
    if isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
        return errno.ENOENT
    # Many services do not tell which condition failed, as s3fs expects it.
    if isinstance(error, FileExistsError) or status == HTTPStatus.PRECONDITION_FAILED:
        return errno.EEXIST
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return errno.EACCES
    if isinstance(error, PermissionError):
        return errno.EACCES
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return errno.ENOSYS
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and number else errno.EIO


def _kind_of(error: Exception, number: int) -> str:
    return "PermissionError" if number == errno.EACCES else type(error).__name__


def _status_of(error: Exception) -> int | None:
    """Return the status of the service's answer, if the error is one."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):  # botocore's, which s3fs keeps as the cause
            return _as_number(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        for name in ("code", "status"):  # gcsfs', aiohttp's
            if (number := _as_number(getattr(each, name, None))) is not None:
                return number
    # gcsfs says it in words alone.
    return HTTPStatus.FORBIDDEN if str(error).startswith("Forbidden: ") else None


def _code_of(error: Exception) -> str | None:
    """Return what S3 calls an error."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
    return None


def _as_number(found: object) -> int | None:
    try:
        return int(str(found))
    except ValueError:
        return None
