"""What runs in a cluster, by the images of its Deployments: a component's version is in its tag, if it is anywhere."""

import re
from collections.abc import Iterator

from msgspec import Struct

from aliquot.eks.estate.objects import Objects

_TAG = re.compile(r":v?(\d+)\.(\d+)(?:\.(\d+))?(?=$|[-+@.])")


class Deployed(Struct, frozen=True, kw_only=True):
    what: str
    image: str
    release: tuple[int, int, int] | None
    """None: the tag says none."""


def with_image(objects: Objects, repository: str) -> Iterator[Deployed]:
    """`repository`: the end of the image's name, as `karpenter/controller`."""
    for one in objects.workloads.get("Deployment", ()):
        for container in one.spec.template.spec.containers:
            name = container.image.partition("@")[0]
            base = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
            if base == repository or base.endswith(f"/{repository}"):
                found = _TAG.search(name, len(base))
                yield Deployed(
                    what=f"Deployment {one.metadata.namespace}/{one.metadata.name}",
                    image=container.image,
                    release=(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None,
                )
