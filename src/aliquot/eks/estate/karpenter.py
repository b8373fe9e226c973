"""Karpenter's own objects, as far as they say which nodes it makes and how many of them may go at once. Pure.

Facts are of karpenter.sh/v1 and karpenter.k8s.aws/v1. An alias is looked up for the minor that the control plane has; whatever else
selects AMIs says itself of which minor they are. A NodeClaim that is deleted has its node emptied, within budgets, before it is gone.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from aliquot import windows
from aliquot.eks.estate.objects import Objects
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import Resource
from aliquot.windows import Window

NODEPOOLS = Resource("karpenter.sh", "v1", "nodepools", "NodePool", namespaced=False)
NODECLAIMS = Resource("karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False)
NODECLASSES = Resource("karpenter.k8s.aws", "v1", "ec2nodeclasses", "EC2NodeClass", namespaced=False)
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"

_DRIFTED = "Drifted"
DEFAULT_BUDGETS = ({"nodes": "10%"},)
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LASTING = re.compile(r"(\d+)([hms])")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_GPU_KEYS = ("karpenter.k8s.aws/instance-gpu", "karpenter.k8s.aws/instance-accelerator")
_TYPE_KEYS = ("/instance-category", "/instance-family", "/instance-type")
_GPU_TYPE = re.compile(r"(g|gr|p)(\d|$)")
_IN_A_NAME = re.compile(r"-(1\.\d+)(?=-)")


class Pool(Struct, frozen=True, kw_only=True):
    name: str
    node_class: str
    """Empty: it is of no EC2NodeClass."""
    budgets: tuple[dict[str, Any], ...] = DEFAULT_BUDGETS
    template: dict[str, Any] = {}
    """The spec that its nodes get."""


class Image(Struct, frozen=True, kw_only=True):
    id: str
    name: str = ""

    @property
    def minor(self) -> Minor | None:
        """As the names of AWS' images for EKS tell it; None: it is somebody's own."""
        found = _IN_A_NAME.search(self.name)
        return Minor.parse(found[1]) if found else None


class NodeClass(Struct, frozen=True, kw_only=True):
    name: str
    alias: str = ""
    how: str = ""
    """It selects AMIs, in words."""
    images: tuple[Image, ...] = ()
    """That it resolves to, as Karpenter found last."""


class Claim(Struct, frozen=True, kw_only=True):
    name: str
    made: str = ""
    """Its creationTimestamp, which is in an order."""
    node: str = ""
    kubelet: str = ""
    """Of its node; empty: that has not told of it yet, or is not there."""
    held: bool = False
    """Somebody wants it never to be disrupted."""
    image: str = ""
    leaving: bool = False
    grace_s: float = 0.0
    """After which Karpenter ends what does not leave; 0: never."""
    gpus: int = 0
    """That its machine has, as Karpenter knows instance types."""


def pools(objects: Objects) -> tuple[Pool, ...]:
    """Those whose nodes are EC2's, and the class says which."""
    found = (pool(one) for one in objects.of(NODEPOOLS.kind))
    return tuple(sorted((one for one in found if one.node_class), key=lambda one: one.name))


def pool(told: Mapping[str, Any], budgets: Any = None) -> Pool:
    """`budgets`: instead of those that it has now."""
    spec = told.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    reference = template.get("nodeClassRef") or {}
    ours = (reference.get("group"), reference.get("kind")) == (NODECLASSES.group, NODECLASSES.kind)
    found = budgets if budgets is not None else (spec.get("disruption") or {}).get("budgets")
    return Pool(
        name=told["metadata"]["name"],
        node_class=str(reference.get("name", "")) if ours else "",
        budgets=DEFAULT_BUDGETS if found is None else tuple(found),
        template=template,
    )


def made_for_gpus(pool: Pool) -> bool:
    """By what it asks of its machines; there may be none."""
    for one in pool.template.get("requirements") or ():
        key, values = str(one.get("key", "")), one.get("values") or ()
        if key.startswith(_GPU_KEYS):
            return True
        if key.endswith(_TYPE_KEYS) and one.get("operator") == "In" and any(map(_GPU_TYPE.match, values)):
            return True
    return any(str(one.get("key", "")).startswith("nvidia.com/") for one in pool.template.get("taints") or ())


def selected_by(terms: Iterable[Mapping[str, Any]]) -> str:
    """How a class without an alias takes its AMIs."""
    by = sorted({str(key) for one in terms for key in one if key != "owner"})
    return f"AMIs by {' and '.join(by) or 'nothing'}"


def node_class(told: Mapping[str, Any]) -> NodeClass:
    terms = [one for one in (told.get("spec") or {}).get("amiSelectorTerms") or () if isinstance(one, dict)]
    alias = next((str(one["alias"]) for one in terms if one.get("alias")), "")
    return NodeClass(
        name=told["metadata"]["name"],
        alias=alias,
        how=f"alias {alias}" if alias else selected_by(terms),
        images=tuple(
            Image(id=one.get("id", ""), name=one.get("name", ""))
            for one in (told.get("status") or {}).get("amis") or ()
        ),
    )


def claim(told: Mapping[str, Any], kubelet: str = "", *, held: bool = False) -> Claim:
    meta, spec, status = (told.get(part) or {} for part in ("metadata", "spec", "status"))
    gpus = str((status.get("capacity") or {}).get("nvidia.com/gpu", ""))
    return Claim(
        name=meta["name"],
        made=meta.get("creationTimestamp", ""),
        node=status.get("nodeName", ""),
        kubelet=kubelet,
        held=held or (meta.get("annotations") or {}).get(DO_NOT_DISRUPT) == "true",
        image=status.get("imageID", ""),
        leaving="deletionTimestamp" in meta,
        grace_s=lasting_s(spec.get("terminationGracePeriod", "")),
        gpus=int(gpus) if gpus.isdecimal() else 0,
    )


def lasting_s(text: str) -> float:
    """Of `1h30m`; 0 where it says nothing."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _LASTING.findall(text or ""))


def at_once(pool: Pool, nodes: int, now_s: float) -> int:
    """How many of its nodes may drift at the same time, by its budgets: the least of those that count now. At least one, for who wants
    none ever wants no upgrade; but none (0) while a budget with a schedule says so."""
    always, now = nodes, nodes
    for budget in pool.budgets:
        if _DRIFTED not in (budget.get("reasons") or (_DRIFTED,)):
            continue
        allowed = _share(str(budget.get("nodes", "10%")), nodes)
        window = _window(budget)
        if window is None:
            always = min(always, allowed)
        elif windows.opens_in_s((window,), now_s) == 0:
            now = min(now, allowed)
    return min(max(1, always), now) if nodes else 0


def _share(text: str, nodes: int) -> int:
    """Rounded up, as Karpenter does."""
    if text.endswith("%"):
        return math.ceil(int(text[:-1]) * nodes / 100)
    return int(text) if text.isdecimal() else 1


def _window(budget: Mapping[str, Any]) -> Window | None:
    """None: it counts always, or nobody can say when it does."""
    schedule = str(budget.get("schedule") or "")
    if not schedule:
        return None
    window = Window(_MACROS.get(schedule, schedule), lasting_s(str(budget.get("duration", ""))))
    return None if windows.problem(window) else window
