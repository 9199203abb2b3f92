"""Requests that a storage carries out only while an object is as it was: a lease rests on them.

A tag tells one version of an object from every other one: an ETag in S3, a generation in Google's.
"""

from typing import Any, Protocol


class Conditions(Protocol):
    """Conditional requests of one kind of storage.

    A condition that does not hold is raised, as what the package behind makes of the service's
    "precondition failed" or "not found".
    """

    def tag(self, service: Any, key: str) -> str:
        """Return the tag of the version that is there."""
        ...

    def put(self, service: Any, key: str, data: bytes, *, tag: str | None) -> str:
        """Put an object in place of one version, or where none is; return its tag."""
        ...

    def delete(self, service: Any, key: str, *, tag: str) -> None:
        """Delete one version."""
        ...


class S3Conditions:
    """`If-Match` and `If-None-Match`."""

    def tag(self, service: Any, key: str) -> str:
        """Return an ETag."""
        return str(service.info(key)["ETag"])

    def put(self, service: Any, key: str, data: bytes, *, tag: str | None) -> str:
        """Put an object if the ETag is still this one."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        answer = service.call_s3("put_object", Body=data, **_place(service, key), **condition)
        return str(answer["ETag"])

    def delete(self, service: Any, key: str, *, tag: str) -> None:
        """Delete an object if the ETag is still this one."""
        service.call_s3("delete_object", **_place(service, key), IfMatch=tag)


class GoogleConditions:
    """`ifGenerationMatch`, of the JSON interface; gcsfs itself offers it for new objects alone."""

    def tag(self, service: Any, key: str) -> str:
        """Return a generation."""
        return str(service.info(key)["generation"])

    def put(self, service: Any, key: str, data: bytes, *, tag: str | None) -> str:
        """Put an object if the generation is still this one; 0 stands for none."""
        bucket, name, _ = service.split_path(key)
        answer = service.call(
            "POST",
            service.base.replace("/storage/", "/upload/storage/") + "b/{}/o",
            bucket,
            name=name,
            uploadType="media",
            ifGenerationMatch=tag or "0",
            headers={"Content-Type": "application/octet-stream"},
            data=data,
            json_out=True,
        )
        return str(answer["generation"])

    def delete(self, service: Any, key: str, *, tag: str) -> None:
        """Delete an object if the generation is still this one."""
        bucket, name, _ = service.split_path(key)
        service.call("DELETE", "b/{}/o/{}", bucket, name, ifGenerationMatch=tag)


def _place(service: Any, key: str) -> dict[str, str]:
    bucket, name, _ = service.split_path(key)
    return {"Bucket": bucket, "Key": name}
