"""Reads the Kubernetes protobuf bodies that kubectl's typed commands and helm send. JSON goes back to them."""

from typing import Any

MAGIC = b"k8s\0"


class ProtobufError(ValueError):
    """A body that is no Kubernetes protobuf message: 400 BadRequest with this text."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in a `k8s\\0` body as JSON, apiVersion and kind included. Raises ProtobufError."""
    raise NotImplementedError
