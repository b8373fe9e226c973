"""Of each GPUPolicy: whether it is accepted, and followed; and whether there is one at all."""

from collections.abc import Iterator, Mapping

from aliquot.kube.resources import CRDS, GPUPOLICIES
from aliquot.operator.core.discovered import has_gpus
from aliquot.operator.core.policies import Stored
from aliquot.operator.core.summary import DEGRADED
from aliquot.operator.doctor.findings import Finding, Weight
from aliquot.operator.doctor.seen import Json, Seen

_EXAMPLE = (
    'make one; the shortest is: echo \'{"apiVersion": "aliquot.dev/v1alpha1", "kind": "GPUPolicy", "metadata": '
    '{"name": "default"}}\' | kubectl apply -f -'
)


def examine_policies(seen: Seen, stored: Mapping[str, Stored]) -> Iterator[Finding]:
    nodes = [one for one in seen.nodes if has_gpus(one.metadata.labels or {}, one.metadata.annotations or {})]
    if not seen.policies and nodes and seen.may_see(CRDS, GPUPOLICIES):
        yield Finding(
            weight=Weight.TO_DO,
            kind="",
            reason="NoPolicy",
            message=f"nodes with GPUs: {len(nodes)}; and there is no GPUPolicy, so none gets node software",
            advice=_EXAMPLE,
        )
    for policy in seen.policies:
        yield from _policy(policy, stored[policy["metadata"]["name"]])


def _policy(policy: Json, stored: Stored) -> Iterator[Finding]:
    name, status = stored.name, policy.get("status") or {}
    if stored.problem:
        yield Finding(
            weight=Weight.TO_DO,
            kind="GPUPolicy",
            names=(name,),
            reason="SpecRefused",
            message=f"{stored.problem}; what runs goes on as it was",
            advice=f"kubectl edit gpupolicy {name}",
        )
        return
    if status.get("observedGeneration", 0) < stored.generation:
        yield Finding(
            weight=Weight.NOTE,
            kind="GPUPolicy",
            names=(name,),
            reason="NotObserved",
            message="the operator has not seen its last change yet",
        )
        return
    for condition in status.get("conditions") or ():
        if condition["type"] == DEGRADED and condition.get("reason") == "OverlappingPolicies":
            yield Finding(
                weight=Weight.TO_DO,
                kind="GPUPolicy",
                names=(name,),
                reason="OverlappingPolicies",
                message=condition.get("message", ""),
                advice="give each node to one policy: make spec.nodeSelector of either narrower",
            )
