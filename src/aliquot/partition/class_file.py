"""A GPUClass in a file, before anybody applies it."""

from typing import Any, Literal

from msgspec import Struct

from aliquot import document
from aliquot.kube.api.gpuclass import GPUClassSpec


class _File(Struct, rename="camel"):
    """Of what the API server keeps in an object, only the spec is looked at."""

    api_version: Literal["aliquot.dev/v1alpha1"]
    kind: Literal["GPUClass"]
    metadata: dict[str, Any]
    spec: GPUClassSpec
    status: dict[str, Any] = {}


def parse(text: str, *, source: str) -> GPUClassSpec:
    """Raises DocumentError."""
    parsed = document.parse(text, source=source)
    spec = parsed.into(_File).spec
    for number, way in enumerate(spec.ways):
        if sum(one is not None for one in (way.mig, way.mps, way.time_slicing, way.whole)) != 1:
            message = "each way is exactly one of mig, mps, timeSlicing and whole"
            raise parsed.error(("spec", "ways", number), message)
    return spec
