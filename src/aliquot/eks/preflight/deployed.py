"""What runs in a cluster, by the images of its workloads: a component's version is in its tag, if it is anywhere."""

import re
from collections.abc import Iterator

from msgspec import Struct

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.images import split

_TAG = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?=$|[-+@.])")


class Deployed(Struct, frozen=True, kw_only=True):
    what: str
    image: str
    release: tuple[int, int, int] | None
    """None: the tag says none."""


def with_image(objects: Objects, repository: str, *, kind: str = "Deployment") -> Iterator[Deployed]:
    """`repository`: the end of the image's name, as `karpenter/controller`."""
    for one in objects.workloads.get(kind, ()):
        for container in one.spec.template.spec.containers:
            base, tag = split(container.image)
            if base == repository or base.endswith(f"/{repository}"):
                found = _TAG.match(tag)
                yield Deployed(
                    what=f"{kind} {one.metadata.namespace}/{one.metadata.name}",
                    image=container.image,
                    release=(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None,
                )
