"""Why a patch was refused, in the form of a metav1.Status."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class PatchError(Exception):
    """A patch that cannot be applied; `code`, `reason`, `message` and `details` are those of the Status."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.message


def bad_request(message: str) -> PatchError:
    return PatchError(400, "BadRequest", message)


def unprocessable() -> PatchError:
    """The answer to a JSON patch whose test failed or whose path is missing: Kubernetes does not say which."""
    return PatchError(422, "Invalid", "the server rejected our request due to an error in our request", {})
