"""Pods with rules between them, in a line each, as the API has them; and clusters that they are placed in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from aliquot.kube.api.core import Pod
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Explanation
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.pods import PodReader

Json = dict[str, Any]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pairs(text: str) -> dict[str, str]:
    """`a=1 b=2`"""
    return dict(pair.split("=", 1) for pair in text.split())


def term(labels: str | None, by: str = "zone", **more: Any) -> Json:
    """`labels` None: no selector; empty: every pod."""
    selector = {} if labels is None else {"labelSelector": {"matchLabels": pairs(labels)}}
    return {**selector, "topologyKey": by, **more}


def even(labels: str | None, by: str = "zone", skew: int = 1, **more: Any) -> Json:
    return {**term(labels, by), "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", **more}


def pod(
    name: str,
    labels: str = "",
    *,
    namespace: str = "default",
    near: Sequence[Json] = (),
    apart: Sequence[Json] = (),
    likes: Sequence[tuple[int, Json]] = (),
    dislikes: Sequence[tuple[int, Json]] = (),
    spread: Sequence[Json] = (),
    leaves: bool = False,
    cpu: str = "1",
    **spec: Any,
) -> Pod:
    """`near`, `apart`: required pod affinity and anti-affinity. `leaves`: it is being deleted."""
    affinity = {
        side: {
            _REQUIRED: list(required),
            _PREFERRED: [{"weight": weight, "podAffinityTerm": one} for weight, one in preferred],
        }
        for side, required, preferred in (("podAffinity", near, likes), ("podAntiAffinity", apart, dislikes))
        if required or preferred
    }
    metadata: Json = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": pairs(labels)}
    if leaves:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    whole = {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": cpu}}}],
            **({"affinity": affinity} if affinity else {}),
            **({"topologySpreadConstraints": list(spread)} if spread else {}),
            **spec,
        },
    }
    return msgspec.convert(whole, Pod)


class Cluster:
    """`running` by node. `namespaces`: their labels."""

    def __init__(
        self,
        nodes: Iterable[NodeFacts],
        running: Mapping[str, Sequence[Pod]],
        namespaces: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.policies = Policies()
        self.snapshot, self.pending = Snapshot(), Pending(self.policies.order)
        self.rankings = Rankings(self.policies)
        self.reader = PodReader()
        self.reader.rules.namespaces = namespaces or {}
        for facts in nodes:
            self.snapshot.set_facts(facts)
        for where, pods in running.items():
            for one in pods:
                self.run(one, where)

    def run(self, one: Pod, where: str) -> None:
        """Named after its node as well: rows may give several nodes equal pods."""
        bound = msgspec.structs.replace(
            one,
            metadata=msgspec.structs.replace(one.metadata, name=f"{one.metadata.name}-{where}"),
            spec=msgspec.structs.replace(one.spec, node_name=where),
        )
        self.snapshot.set_pod(self.reader.placed(bound))

    def wait(self, pods: Sequence[Pod]) -> None:
        """Those that were there before a new rule are read again, as the mirror does."""
        for _ in range(2):
            for one in pods:
                self.pending.put(self.reader.request(one))

    def decide(self) -> dict[str, str]:
        """Node by pod."""
        outcome = cycle.run(self.snapshot, self.pending, self.rankings)
        return {bind.pod.key.partition("/")[2]: bind.placed.node for bind in outcome.binds}

    def why(self) -> dict[str, Explanation]:
        return {
            key.partition("/")[2]: why_no_node(self.snapshot, request.shape, self.rankings)
            for key, request in self.pending.pods.items()
        }
