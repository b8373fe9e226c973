"""One request on its way through the server: what came in, and what every handler reads from it."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aliquot import document
from aliquot.emulator import statuses
from aliquot.emulator.http import json_body, protobuf
from aliquot.emulator.http.request import Request
from aliquot.emulator.objects import Json
from aliquot.emulator.rbac import User
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.errors import FieldError, not_supported, too_long
from aliquot.emulator.schema.kind import DecodeError, Schema
from aliquot.emulator.statuses import StatusError

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

_LONGEST_MANAGER = 128
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


class Validation(Enum):
    """What becomes of unknown fields: `?fieldValidation`."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(slots=True)
class Call:
    """`warnings` are for the client's eyes, `annotations` for the audit log's; handlers add to them."""

    request: Request
    served: Served
    user: User
    content_type: str = JSON
    """Without parameters."""
    user_agent: str = ""
    body: bytes = b""
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    waits_until: float | None = None
    """The loop's time after which admission waits for nobody more; None until it first waits."""

    @property
    def namespace(self) -> str:
        return self.served.namespace(self.request.namespace)

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def dry_run(self) -> bool:
        """Raises StatusError 422 for anything but All."""
        asked = self.request.query.texts("dryRun")
        if any(value != "All" for value in asked):
            raise self._bad_option(not_supported("dryRun", asked, ("All",)))
        return bool(asked)

    @property
    def validation(self) -> Validation:
        asked = self.request.query.text("fieldValidation")
        try:
            return Validation(asked) if asked else Validation.WARN
        except ValueError:
            supported = ("", "Ignore", "Strict", "Warn")
            raise self._bad_option(not_supported("fieldValidation", asked, supported)) from None

    @property
    def manager(self) -> str:
        """Who writes: `?fieldManager`, or the first word of the user agent."""
        asked = self.request.query.text("fieldManager")
        if len(asked) > _LONGEST_MANAGER:
            raise self._bad_option(too_long("fieldManager", _LONGEST_MANAGER))
        return asked or re.split(r"[/ ]", self.user_agent, maxsplit=1)[0][:_LONGEST_MANAGER]

    def _bad_option(self, error: FieldError) -> StatusError:
        return statuses.invalid_options(_OPTIONS.get(self.request.verb, "DeleteOptions"), [error])


def read_body(content_type: str, body: bytes) -> Any:
    """The JSON value of a request's body, which came as JSON, YAML or Kubernetes protobuf. Raises StatusError."""
    if content_type in (JSON, ""):
        return _read_json(body)
    if content_type == YAML:
        return read_yaml(body)
    if content_type == PROTOBUF:
        try:
            return protobuf.decode(body)
        except protobuf.ProtobufError as error:
            raise statuses.bad_request(str(error)) from error
    raise statuses.unsupported_media_type((JSON, YAML, PROTOBUF))


def _read_json(body: bytes) -> Any:
    try:
        return json_body.decode(body)
    except json_body.BodyError as error:
        raise statuses.bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def read_yaml(body: bytes) -> Any:
    """YAML, or JSON, which is YAML too but read faster. Raises StatusError."""
    try:
        return json_body.decode(body)
    except json_body.BodyError:
        pass
    try:
        return document.parse(body.decode(), source="body").value
    except (document.DocumentError, UnicodeDecodeError) as error:
        raise statuses.bad_request(f"error decoding YAML: {error}") from error


def typed(asked: Any, schema: Schema) -> Json:
    """`asked` as an object of a kind that is not the resource's own: a Binding, DeleteOptions, a review.

    Unknown fields are dropped. Raises StatusError 400.
    """
    if not isinstance(asked, dict) or (asked.get("kind") or schema.kind) != schema.kind:
        raise statuses.bad_request(f"the body of this request is a {schema.kind}")
    try:
        decoded, _ = schema.decode(asked)
    except DecodeError as error:
        raise statuses.bad_request(str(error)) from error
    return decoded
