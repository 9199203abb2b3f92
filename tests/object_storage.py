"""An S3 service on loopback, in this process, that a test can make fail or send away."""

import io
import logging
import random
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

import boto3
import fsspec
import pytest
from botocore.config import Config
from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import ArrowInvalid, parquet
from werkzeug.serving import make_server

BUCKET = "results"
_UNAVAILABLE = "503 Service Unavailable"
_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_REFUSAL = b"<Error><Code>NotImplemented</Code><Message>A header is unknown</Message></Error>"


class Conditions(Enum):
    """What a service makes of conditional requests."""

    KEPT = auto()
    IGNORED = auto()
    REFUSED = auto()


class Weather:
    """What goes wrong: of the calls a fraction, for a time all of them."""

    def __init__(self, seed: int = 0) -> None:
        self.failing_fraction = 0.0
        self.is_away = False
        self.num_calls = 0
        self.num_failed = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def is_bad(self) -> bool:
        with self._lock:
            self.num_calls += 1
            is_bad = self.is_away or self._random.random() < self.failing_fraction
            self.num_failed += is_bad
            return is_bad


class ObjectStorage:
    """The service, and how to reach it."""

    def __init__(self) -> None:
        self.weather = Weather()
        self.conditions = Conditions.KEPT
        app = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)

        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            if self.weather.is_bad():
                start_response(_UNAVAILABLE, [("Content-Length", "0")])
                return [b""]
            asked = [name for name in _CONDITIONS if name in environ]
            if asked and self.conditions is Conditions.REFUSED:
                start_response("501 Not Implemented", [("Content-Length", str(len(_REFUSAL)))])
                return [_REFUSAL]
            for name in asked if self.conditions is Conditions.IGNORED else ():
                del environ[name]
            return app(environ, start_response)

        self._server = make_server("127.0.0.1", 0, answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """Return what the storage's own tools read."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key-of-the-tests",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        names = {
            "aws_access_key_id": "AWS_ACCESS_KEY_ID",
            "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        }
        keys = {name: self.environment()[variable] for name, variable in names.items()}
        config = Config(retries={"max_attempts": 10})
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config, **keys
        )

    def stored(self) -> dict[str, str]:
        """Return what every object says, by its key; tables in clear."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        found = {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
        return {key: _clear(data) for key, data in found.items()}

    def empty(self) -> None:
        """Forget all: what is stored is the process's, of services that were stopped too."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _clear(data: bytes) -> str:
    try:
        return str(parquet.read_table(io.BytesIO(data)).to_pylist())
    except ArrowInvalid:  # no table
        return data.decode(errors="replace")


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Run the service with one empty bucket, and let this process reach it."""
    service = ObjectStorage()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment().items():
            patch.setenv(name, value)
        service.empty()
        service.client().create_bucket(Bucket=BUCKET)
        try:
            yield service
        finally:
            service.stop()
            # Its kept connections lead to a port that is closed now.
            fsspec.get_filesystem_class("s3").clear_instance_cache()


__all__ = ["BUCKET", "Conditions", "ObjectStorage", "object_storage"]
