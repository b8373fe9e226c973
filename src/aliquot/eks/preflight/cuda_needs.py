"""Which CUDA a pod on GPUs brings along. Nobody but its image knows; it is told by an annotation, by variables, or by the image's name.

A name that says nothing is no answer: the pod is then not checked, unless its driver runs all CUDA there is.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from aliquot.eks.estate.gangs import has_gpus
from aliquot.eks.estate.objects import Container, Meta, PodSpec
from aliquot.eks.preflight.images import split
from aliquot.eks.versions import drivers
from aliquot.eks.versions.drivers import Cuda

ANNOTATION = "aliquot.dev/cuda"
"""`12.4`, on the pod: for images whose name does not say it."""

_REQUIRED = re.compile(r"\bcuda>=(\d{1,2}\.\d{1,2})", re.ASCII)
_NAMED = re.compile(r"(?<![a-z0-9])cuda[-_]?(\d{2})(?:\.?(\d{1,2}))?(?![a-z0-9])", re.ASCII)
_SHORT = re.compile(r"(?<![a-z0-9])cu(1[1-9])(\d)(?![a-z0-9])", re.ASCII)
_LEADING = re.compile(r"(\d{2})\.(\d{1,2})(?![0-9])", re.ASCII)
_MONTH = re.compile(r"(\d{2}\.\d{2})(?![0-9.])", re.ASCII)
_FRAMEWORKS = frozenset(
    {"pytorch", "tensorflow", "tritonserver", "tensorrt", "jax", "mxnet", "cuda-dl-base", "paddlepaddle"}
)


class Need(Struct, frozen=True):
    cuda: Cuda
    told_by: str
    package: bool = False
    """The image carries the forward compatibility package."""


class NotTold(Struct, frozen=True):
    image: str
    why: str


def of_pod(metadata: Meta, spec: PodSpec) -> Iterator[Need | NotTold]:
    """Of each container that has GPUs; of all of them where the pod has claims, which do not say whose they are."""
    containers = [*spec.containers, *spec.init_containers]
    with_gpus = [one for one in containers if has_gpus(one)]
    if not with_gpus and spec.resource_claims:
        with_gpus = containers
    if not with_gpus:
        return
    said = metadata.annotations.get(ANNOTATION, "")
    if said:
        try:
            yield Need(drivers.parse_cuda(said), f"annotation {ANNOTATION}")
        except ValueError as error:
            yield NotTold(with_gpus[0].image, f"annotation {ANNOTATION}: {error}")
        return
    for container in with_gpus:
        yield of_container(container)


def of_container(container: Container) -> Need | NotTold:
    by_image = of_image(container.image)
    package = by_image is not None and by_image.package
    values = {one.get("name"): str(one.get("value", "")) for one in container.env}
    version = values.get("CUDA_VERSION", "")
    if version:
        try:
            return Need(drivers.parse_cuda(version), "CUDA_VERSION", package)
        except ValueError:
            pass
    required = _REQUIRED.search(values.get("NVIDIA_REQUIRE_CUDA", ""))
    if required is not None:
        return Need(drivers.parse_cuda(required[1]), "NVIDIA_REQUIRE_CUDA", package)
    if by_image is not None:
        return by_image
    return NotTold(container.image, "neither its image's name nor a variable says which CUDA it has")


@lru_cache(maxsize=1024)
def of_image(image: str) -> Need | None:
    """By its name and tag; None: they do not say."""
    repository, tag = split(image)
    parts = repository.split("/")
    nvidia = len(parts) > 1 and parts[-2] == "nvidia"
    if nvidia and parts[-1] == "cuda":
        match = _LEADING.match(tag)
        return Need((int(match[1]), int(match[2])), image, True) if match else None
    if nvidia and parts[0] == "nvcr.io" and parts[-1] in _FRAMEWORKS:
        month = _MONTH.match(tag)
        cuda = drivers.ngc_cuda(month[1]) if month else None
        if cuda is not None:
            return Need(cuda, image, True)
    for text in (tag, parts[-1]):
        named = _NAMED.search(text.lower())
        if named is not None:
            return Need((int(named[1]), int(named[2] or 0)), image)
        short = _SHORT.search(text.lower())
        if short is not None:
            return Need((int(short[1]), int(short[2])), image)
    return None
