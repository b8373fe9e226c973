"""The OpenAPI documents that kubectl reads: v3 (an index and one document for each group version) and v2."""

from collections.abc import Iterable
from dataclasses import dataclass

from aliquot.emulator.schema.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One resource as discovery lists it; `verbs` without subresources."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: tuple[str, ...] = ()


class OpenApi:
    """Renders and keeps the documents of a catalogue; `endpoints` is asked again when a CRD comes or goes."""

    def __init__(self, catalogue: Catalogue) -> None:
        raise NotImplementedError

    def set_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """What the server serves now. Drops the documents that changed."""
        raise NotImplementedError

    def v3_index(self) -> bytes:
        """GET /openapi/v3: `{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=..."}}}`."""
        raise NotImplementedError

    def v3_document(self, path: str) -> bytes | None:
        """GET /openapi/v3/{path}, such as `api/v1` or `apis/apps/v1`; None when there is none."""
        raise NotImplementedError

    def v2(self) -> bytes:
        """GET /openapi/v2 as JSON."""
        raise NotImplementedError
