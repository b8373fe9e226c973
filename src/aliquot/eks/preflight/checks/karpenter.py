"""Nodes that somebody else brings: Karpenter (its own, and that of Auto Mode) and the cluster autoscaler.

Karpenter sees a new minor as drift: as soon as the control plane has it, nodes are replaced, as fast as the budgets of their NodePool
allow, and whatever may not be disrupted holds its node.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.counting import counted
from aliquot.eks.estate.karpenter import DO_NOT_DISRUPT, selected_by
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import POOL_LABEL
from aliquot.eks.preflight import written
from aliquot.eks.preflight.deployed import with_image
from aliquot.eks.preflight.fields import mapping, mappings
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.sighting import Sighting
from aliquot.eks.versions import changes, karpenter
from aliquot.eks.versions.minor import Minor

CHECK = "karpenter"
AUTOSCALER = "cluster-autoscaler"
_AUTO_MODE = "eks.amazonaws.com"
_DEFAULT_BUDGET = "10%"


def judge(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    yield from _version(objects, now, to)
    for one in objects.of("EC2NodeClass"):
        yield from _node_class(one, now, to)
    for one in objects.of("NodePool"):
        yield from _node_pool(one, now, to)
    yield from _held(objects)


def judge_written(sightings: Iterable[Sighting], now: Minor, to: Minor) -> Iterator[Finding]:
    """Classes in files and releases."""
    yield from written.judged(sightings, ("EC2NodeClass",), lambda _, one: _node_class(one, now, to))


def judge_autoscaler(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    """It simulates the scheduler of one minor, and is made anew for each."""
    for one in with_image(objects, AUTOSCALER):
        minor = Minor(one.release[0], one.release[1]) if one.release is not None else None
        if minor == to:
            continue
        ahead = minor is not None and minor > now
        yield Finding(
            check=AUTOSCALER,
            severity=Severity.INFO if minor == now or ahead else Severity.WARN,
            what=one.what,
            why=f"it is of {minor}, the cluster of {now}"
            if minor
            else f"its image {one.image} says no minor",
            fix=f"bring it to {to} after the control plane; nodes may not come as they should until then",
        )


def _version(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    for one in with_image(objects, "karpenter/controller"):
        if one.release is None:
            yield _finding(
                one.what,
                Severity.WARN,
                f"its image {one.image} says no version",
                f"see that it goes with {to}",
                None,
            )
            continue
        minor = now
        while minor < to:
            minor = minor.next
            least = karpenter.least(minor)
            if least is not None and one.release < least:
                words = ".".join(str(part) for part in least)
                yield _finding(
                    one.what,
                    Severity.BLOCK,
                    f"Karpenter {'.'.join(str(part) for part in one.release)} does not go with {minor}, which takes {words} or later: it starts no nodes there",
                    f"bring it to {words} or later first; it goes with the minors before, too",
                    minor,
                )
                break


def _node_class(one: Mapping[str, Any], now: Minor, to: Minor) -> Iterator[Finding]:
    spec, named = mapping(one, "spec"), f"EC2NodeClass {mapping(one, 'metadata').get('name', '')}"
    terms = mappings(spec.get("amiSelectorTerms"))
    aliases = [str(term.get("alias", "")) for term in terms]
    if spec.get("amiFamily") == "AL2" or any(alias.startswith("al2@") for alias in aliases):
        last_al2, gone = changes.row("al2-last"), changes.row("al2-gone")
        ends = to >= gone.minor
        yield _finding(
            named,
            (gone if ends else last_al2).severity,
            f"it is of AL2, and {last_al2.minor} is the last minor with AMIs of it",
            "move its NodePools to a class of al2023 or bottlerocket",
            gone.minor if now < gone.minor <= to else None,
        )
    if terms and not any(aliases):
        yield _finding(
            named,
            Severity.INFO,
            f"it selects {selected_by(terms)}: its nodes stay at their kubelet until that is another one",
            f"let it select AMIs of {to} after the control plane",
            None,
        )


def _node_pool(one: Mapping[str, Any], now: Minor, to: Minor) -> Iterator[Finding]:
    spec, named = one.get("spec") or {}, f"NodePool {one['metadata']['name']}"
    disruption = spec.get("disruption") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    of_auto_mode = (template.get("nodeClassRef") or {}).get("group") == _AUTO_MODE
    balanced = changes.row("node-pool-balanced")
    if of_auto_mode and now < balanced.minor <= to and "consolidationPolicy" not in disruption:
        yield _finding(
            named,
            balanced.severity,
            f"it says no consolidationPolicy: Auto Mode takes Balanced from {balanced.minor} on",
            "say which you want",
            balanced.minor,
        )
    budgets = [
        budget
        for budget in disruption.get("budgets") or ({"nodes": _DEFAULT_BUDGET},)
        if "Drifted" in (budget.get("reasons") or ["Drifted"])
    ]
    always = [str(budget.get("nodes", _DEFAULT_BUDGET)) for budget in budgets if "schedule" not in budget]
    if any(nodes in ("0", "0%") for nodes in always):
        yield _finding(
            named,
            Severity.WARN,
            "its budgets let no node drift, ever: its nodes stay at their kubelet, which may be three minors behind and no more",
            "give it a budget, or a schedule, for the upgrade",
            None,
        )
    else:
        allowed = ", ".join(_told(budget) for budget in budgets) or "all at once: no budget is of drift"
        yield _finding(
            named,
            Severity.WARN if not budgets or "100%" in always else Severity.INFO,
            f"its nodes are replaced as soon as the control plane has {now.next} (drift): {allowed}",
            "set budgets and a schedule before, if that is too much or comes at a bad time",
            None,
        )


def _told(budget: Mapping[str, Any]) -> str:
    when = f" ({budget['schedule']} for {budget.get('duration', '?')})" if "schedule" in budget else ""
    return f"{budget.get('nodes', _DEFAULT_BUDGET)} at once{when}"


def _held(objects: Objects) -> Iterator[Finding]:
    """A node with the annotation is held for ever, a pod's node until the grace period of its NodePool, if that has one."""
    pool_of = {
        node.metadata.name: node.metadata.labels[POOL_LABEL]
        for node in objects.nodes
        if POOL_LABEL in node.metadata.labels
    }
    nodes = sorted(
        node.metadata.name
        for node in objects.nodes
        if node.metadata.name in pool_of and node.metadata.annotations.get(DO_NOT_DISRUPT) == "true"
    )
    if nodes:
        yield _finding(
            f"{counted(len(nodes), 'node', 'nodes')}, {nodes[0]} first",
            Severity.WARN,
            f"{DO_NOT_DISRUPT} is set on them: Karpenter never replaces them, and a rollback of Auto Mode waits for them for ever",
            "take the annotation off, or delete their NodeClaims when you decide to",
            None,
        )
    holding = [
        pod
        for pod in objects.pods
        if pod.spec.node_name in pool_of and pod.metadata.annotations.get(DO_NOT_DISRUPT) == "true"
    ]
    if holding:
        first = min(f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in holding)
        pools = {str(one["metadata"]["name"]): one for one in objects.of("NodePool")}
        held = {pool_of[pod.spec.node_name] for pod in holding}
        endless = sorted(pool for pool in held if not _grace(pools.get(pool)))
        yield _finding(
            f"{counted(len(holding), 'pod', 'pods')}, {first} first",
            Severity.WARN if endless else Severity.INFO,
            f"{DO_NOT_DISRUPT} is set on them: their nodes drift when they are over"
            + (f"; NodePool {', '.join(endless)} sets no terminationGracePeriod" if endless else ""),
            "see that they end, or set terminationGracePeriod",
            None,
        )


def _grace(pool: Mapping[str, Any] | None) -> bool:
    spec = ((pool or {}).get("spec") or {}).get("template") or {}
    return bool((spec.get("spec") or {}).get("terminationGracePeriod"))


def _finding(what: str, severity: Severity, why: str, fix: str, minor: Minor | None) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix, minor=minor)
