"""Which errors of object storage are waited out, and what is told of them."""

import errno

import aiohttp
import botocore.exceptions as aws
import google.auth.exceptions as google
import pytest
import requests
from gcsfs.retry import ChecksumError, HttpError
from s3fs.errors import translate_boto_error

from tune_metalr.object_errors import as_os_error, passes


def answer(code: str, status: int) -> OSError:
    """Return what s3fs makes of an answer of S3."""
    response = {
        "Error": {"Code": code, "Message": "so it is"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return translate_boto_error(aws.ClientError(response, "PutObject"))


PASSING = {
    "busy": answer("SlowDown", 503),
    "without a body": answer("503", 503),
    "broken": answer("InternalError", 500),
    "broken, said late": answer("InternalError", 200),
    "too slow": answer("RequestTimeout", 400),
    "torn bytes": answer("BadDigest", 400),
    "half a body": answer("IncompleteBody", 400),
    "two conditional requests": answer("ConditionalRequestConflict", 409),
    "out of reach": aws.EndpointConnectionError(endpoint_url="http://x"),
    "silent": aws.ReadTimeoutError(endpoint_url="http://x"),
    "closed": aws.ConnectionClosedError(endpoint_url="http://x"),
    "half an answer": aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    "reset": ConnectionResetError(),
    "timeout": TimeoutError(),
    "network": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "aiohttp": aiohttp.ServerDisconnectedError(),
    "google, busy": HttpError({"code": 503, "message": ""}),
    "google, too many": HttpError({"code": 429, "message": ""}),
    "google, gateway": requests.exceptions.ProxyError(),
    "google, torn bytes": ChecksumError(),
    "google, tokens": google.TransportError(),
}
FINAL = {
    "no right": answer("AccessDenied", 403),
    "no key": answer("InvalidAccessKeyId", 403),
    "wrong bucket": answer("NoSuchBucket", 404),
    "wrong request": answer("InvalidArgument", 400),
    "wrong region": answer("PermanentRedirect", 301),
    "no such header": answer("NotImplemented", 501),
    "condition": answer("PreconditionFailed", 412),
    "old token": answer("ExpiredToken", 400),
    "no login": aws.UnauthorizedSSOTokenError(),
    "no login any more": aws.TokenRetrievalError(provider="sso", error_msg="expired"),
    "no credentials": aws.NoCredentialsError(),
    "no package": ImportError("no module named s3fs"),
    "a mistake of ours": TypeError("int is not bytes"),
    "google, no account": HttpError({"code": 401, "message": "Invalid Credentials"}),
    "google, no right": OSError("Forbidden: b/x\nmay not"),
    "google, wrong request": ValueError("Bad Request: b/x"),
    "google, condition": FileExistsError("b/x"),
    "google, login": google.RefreshError("reauthenticate"),
}


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_what_passes_is_waited_out(error):
    assert passes(error)


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
def test_the_rest_is_told_at_once(error):
    assert not passes(error)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("no right", PermissionError),
        ("wrong bucket", FileNotFoundError),
        ("condition", FileExistsError),
        ("google, no account", PermissionError),
        ("google, no right", PermissionError),
        ("google, condition", FileExistsError),
        ("a mistake of ours", OSError),
    ],
)
def test_an_error_is_of_pythons_kind_and_one_line(name, kind):
    told = as_os_error(FINAL[name], "s3://bucket/study")
    assert type(told) is kind
    assert told.filename == "s3://bucket/study"
    assert "\n" not in str(told)


def test_an_unknown_header_is_told_apart():
    assert as_os_error(FINAL["no such header"], "s3://bucket").errno == errno.ENOSYS


def test_who_asks_is_not_told():
    error = aws.EndpointConnectionError(endpoint_url="https://user:word@host:9000/x")
    told = str(as_os_error(error, "s3://bucket"))
    assert "https://host:9000/x" in told
    assert "user" not in told
    assert "word" not in told


def test_whoever_has_no_credentials_is_told_what_to_set():
    told = as_os_error(aws.NoCredentialsError(), "s3://bucket")
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in str(told)
