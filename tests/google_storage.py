"""What gcsfs needs of Google's JSON interface, on loopback: one bucket, generations, conditions."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import fsspec
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

BUCKET = "results"


class GoogleStorage:
    """The service."""

    def __init__(self) -> None:
        self.refusal: tuple[int, str] | None = None
        """Status and message of every answer, if it is to refuse."""
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._generation = 0
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, Request.application(self._answer), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: Request) -> Response:
        if self.refusal:
            status, message = self.refusal
            return _refusal(status, message)
        with self._lock:
            if request.path.startswith("/upload/"):
                return self._put(request)
            # Names are quoted whole, slashes included; the path that WSGI gives is not.
            _, _, name = request.environ["REQUEST_URI"].partition("?")[0].partition("/o/")
            return self._about(request, unquote(name)) if name else self._list(request)

    def _put(self, request: Request) -> Response:
        data, name = request.get_data(), request.args.get("name", "")
        if request.args["uploadType"] == "multipart":
            _, about, content, _ = data.split(b"--==0==")
            name = json.loads(about.partition(b"\n\n")[2])["name"]
            data = content.partition(b"\n\n")[2].removesuffix(b"\n")
        if not self._holds(request, name):
            return _refusal(412, "conditionNotMet")
        self._generation += 1
        self._objects[name] = (data, self._generation)
        return _json(self._told(name))

    def _about(self, request: Request, name: str) -> Response:
        if name not in self._objects:
            return _refusal(404, "not found")
        if not self._holds(request, name):
            return _refusal(412, "conditionNotMet")
        if request.method == "DELETE":
            del self._objects[name]
            return Response(status=204)
        if request.args.get("alt") == "media":
            return Response(self._objects[name][0])
        return _json(self._told(name))

    def _list(self, request: Request) -> Response:
        prefix, delimiter = request.args.get("prefix", ""), request.args.get("delimiter", "")
        names = [name for name in sorted(self._objects) if name.startswith(prefix)]
        if delimiter:
            below = [name for name in names if delimiter in name.removeprefix(prefix)]
            folders = {
                prefix + name.removeprefix(prefix).partition(delimiter)[0] + delimiter
                for name in below
            }
            names = [name for name in names if name not in below]
            return _json({"items": [*map(self._told, names)], "prefixes": sorted(folders)})
        return _json({"items": [self._told(name) for name in names]})

    def _holds(self, request: Request, name: str) -> bool:
        wanted = request.args.get("ifGenerationMatch")
        return wanted is None or int(wanted) == self._objects.get(name, (b"", 0))[1]

    def _told(self, name: str) -> dict[str, Any]:
        data, generation = self._objects[name]
        return {
            "kind": "storage#object",
            "bucket": BUCKET,
            "name": name,
            "size": str(len(data)),
            "generation": str(generation),
        }


def _json(found: dict[str, Any]) -> Response:
    return Response(json.dumps(found), content_type="application/json")


def _refusal(status: int, message: str) -> Response:
    error = {"error": {"code": status, "message": message}}
    return Response(json.dumps(error), status=status, content_type="application/json")


@contextmanager
def google_storage() -> Iterator[GoogleStorage]:
    """Run the service, and let this process reach it."""
    service = GoogleStorage()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", service.endpoint)
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        try:
            yield service
        finally:
            service.stop()
            # Its kept connections lead to a port that is closed now.
            fsspec.get_filesystem_class("gs").clear_instance_cache()
