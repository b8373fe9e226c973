"""One request on its way through the server: what came in, and what every handler reads from it."""

import re
from dataclasses import dataclass, field
from enum import Enum

from aliquot.emulator import statuses
from aliquot.emulator.http.request import Request
from aliquot.emulator.rbac import User
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.errors import FieldError, not_supported, too_long
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
