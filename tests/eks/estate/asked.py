"""What a reading of a cluster asks its API server for, where all is there that it may look at."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from aliquot.eks.estate.job_kinds import JOB_KINDS
from aliquot.eks.estate.objects import Pod
from aliquot.eks.estate.reading_kubernetes import Reading
from aliquot.eks.versions import removals
from aliquot.kube.decoding import Listing
from aliquot.kube.errors import Unavailable
from aliquot.kube.resources import PODS, Resource


class Recorder:
    """A client whose server does not say what it serves, so that each kind is asked for."""

    def __init__(self) -> None:
        self.listed: set[tuple[Resource, str]] = set()
        """With the namespace, where it is one."""
        self.paths: list[str] = []

    async def get_raw(self, path: str) -> bytes:
        self.paths.append(path)
        raise Unavailable("none", code=503)

    async def pages(
        self, resource: Resource, namespace: str | None = None, **_: Any
    ) -> AsyncIterator[Listing[Any]]:
        self.listed.add((resource, namespace or ""))
        items = _pods() if resource == PODS else []
        yield Listing(items=items, resource_version="1")


def _pods() -> list[Pod]:
    """One of each kind that owns pods, in a group, for then whoever owns it is read, too."""
    return [
        msgspec.convert(
            {
                "metadata": {
                    "name": f"{kind.lower()}-{number}",
                    "namespace": "ml",
                    "labels": {"scheduling.x-k8s.io/pod-group": "g"},
                    "ownerReferences": [
                        {"apiVersion": f"{group}/v1", "kind": kind, "name": "x", "controller": True}
                    ]
                    if group
                    else [{"apiVersion": "v1", "kind": kind, "name": "x", "controller": True}],
                }
            },
            Pod,
        )
        for number, (group, kind) in enumerate(JOB_KINDS)
    ]


async def asked() -> Recorder:
    recorder = Recorder()
    reading = Reading(recorder, removals.shipped())  # type: ignore[arg-type]
    await reading.read()
    await reading.requests()
    return recorder
