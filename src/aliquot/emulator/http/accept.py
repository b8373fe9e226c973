"""What a client's Accept header asks for: the form of the answer, not only its encoding.

Kubernetes puts the wanted *kind* of answer into media type parameters (`application/json;as=Table;v=v1;
g=meta.k8s.io`), several alternatives in order of preference. Everything here is JSON, and the same in YAML; whether
protobuf can be answered is not asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class MediaType:
    """One alternative: `as_` is the wanted kind ("" for the object as it is), in `group`/`version`."""

    type: str
    as_: str = ""
    group: str = ""
    version: str = ""

    @property
    def is_json(self) -> bool:
        return self.type in ("application/json", "application/*", "*/*")

    @property
    def is_yaml(self) -> bool:
        return self.type == "application/yaml"


@lru_cache(maxsize=256)
def parse(header: str) -> tuple[MediaType, ...]:
    """The alternatives of an Accept header, best first (by `q`, then as written). Malformed parts are skipped."""
    weighted: list[tuple[float, MediaType]] = []
    for part in header.split(","):
        main, *raw = (piece.strip() for piece in part.split(";"))
        if not main:
            continue
        parameters = {key.strip(): value.strip() for key, _, value in (piece.partition("=") for piece in raw)}
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            continue
        media = MediaType(
            main.lower(), parameters.get("as", ""), parameters.get("g", ""), parameters.get("v", "")
        )
        weighted.append((weight, media))
    weighted.sort(key=lambda item: -item[0])
    return tuple(media for _, media in weighted)


def wants_yaml(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the client of a request takes YAML before JSON."""
    return any(
        name == b"accept" and b"yaml" in value and _yaml_first(value.decode("latin-1"))
        for name, value in headers
    )


def _yaml_first(header: str) -> bool:
    first = next((media for media in parse(header) if media.is_json or media.is_yaml), None)
    return first is not None and first.is_yaml
