"""A GPUPolicy as the operator reckons with it, and whose a node is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from aliquot.clock import parse_rfc3339
from aliquot.kube import duration, quantity
from aliquot.kube.api import gpupolicy
from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.kube.selectors import LabelSelector, SelectorError, from_object, parse_labels
from aliquot.operator.core.operands import POLICY_LABEL, Image, OperandName, image_problem, manager_image
from aliquot.operator.core.upgrade.rules import Eviction, Rules, Share
from aliquot.windows import Window, problem

_T = TypeVar("_T")


class Refused(ValueError):
    """A spec that cannot be used: one line, with the field. Whatever runs goes on as it does."""


@dataclass(frozen=True, slots=True)
class OperandPlan:
    name: OperandName
    image: Image
    wanted: bool
    """Somebody is to run it: it is neither turned off nor there already."""
    preinstalled: bool
    deadline_s: float
    spec: gpupolicy.Operand


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    uid: str
    created_s: float
    generation: int
    selector: LabelSelector
    operands: Mapping[OperandName, OperandPlan]
    rules: Rules
    spec: gpupolicy.GPUPolicySpec


def read(policy: GPUPolicy, created_s: float, images: Mapping[OperandName, Image]) -> Policy:
    """`images`: those of operands that name none. Raises Refused."""
    spec = policy.spec
    found = {
        OperandName.DRIVER: (spec.driver, spec.deadlines.driver),
        OperandName.TOOLKIT: (spec.toolkit, spec.deadlines.toolkit),
        OperandName.AGENT: (spec.agent, spec.deadlines.agent),
        OperandName.EXPORTER: (spec.exporter, spec.deadlines.exporter),
        OperandName.VALIDATOR: (spec.validator, spec.deadlines.validator),
    }
    operands = {
        name: _operand(name, operand, _seconds(f"deadlines.{name}", deadline), images[name])
        for name, (operand, deadline) in found.items()
    }
    _image("spec.driver.manager", manager_image(spec.driver))
    _in_order(operands)
    _paths(spec.host_paths)
    return Policy(
        policy.metadata.name,
        policy.metadata.uid,
        created_s,
        policy.metadata.generation,
        _selector(spec.node_selector),
        operands,
        _rules(spec, operands[OperandName.DRIVER].deadline_s),
        spec,
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A GPUPolicy as the API has it, whether it can be used or not."""

    name: str
    uid: str
    generation: int
    created_s: float
    selector: LabelSelector | None
    """None: it cannot be read."""
    policy: Policy | None
    problem: str = ""
    """Why there is no `policy`: one line, with the field."""


def read_stored(obj: Mapping[str, Any], images: Mapping[OperandName, Image]) -> Stored:
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    created_s = parse_rfc3339(metadata.get("creationTimestamp") or "1970-01-01T00:00:00Z")
    selector: LabelSelector | None = None
    policy: Policy | None = None
    problem = ""
    try:
        if not isinstance(spec, Mapping):
            raise Refused(f"spec: Expected `object`, got `{type(spec).__name__}`")
        found = spec.get("nodeSelector")
        selector = _selector(
            None if found is None else _converted(found, gpupolicy.NodeSelector, "spec.nodeSelector")
        )
        whole = {"metadata": metadata, "spec": spec}
        policy = read(_converted(whole, GPUPolicy, ""), created_s, images)
    except Refused as error:
        # Some texts are quoted as they are.
        problem = " ".join(str(error).split())
    return Stored(
        metadata["name"],
        metadata.get("uid", ""),
        metadata.get("generation", 0),
        created_s,
        selector,
        policy,
        problem,
    )


def _converted(obj: Any, kind: type[_T], field: str) -> _T:
    """The definition in the cluster may be another than ours, or was when the object was stored."""
    try:
        return msgspec.convert(obj, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        raise Refused(f"{field}{path.rstrip('`')}".lstrip(".") + f": {what}") from None


@dataclass(frozen=True, slots=True)
class Claim:
    policy: str
    """Whose the node is; empty: nobody's."""
    others: tuple[str, ...] = ()
    """Younger ones that select it too."""


def claim(policies: Iterable[Stored], labels: Mapping[str, str]) -> Claim:
    """The oldest that selects the node has it; of two that came in the same second, the first by name.

    One that cannot be used keeps its nodes, and its place: nobody else's software comes onto them for a slip of the pen.
    """
    found = list(policies)
    owner = labels.get(POLICY_LABEL, "")
    selecting = sorted(
        (one for one in found if one.selector is not None and one.selector.matches(labels)),
        key=lambda one: (one.created_s, one.name),
    )
    names = [one.name for one in selecting]
    if any(one.name == owner and one.policy is None for one in found):
        names = [owner, *(name for name in names if name != owner)]
    return Claim(names[0], tuple(names[1:])) if names else Claim("")


def _operand(name: OperandName, operand: gpupolicy.Operand, deadline_s: float, image: Image) -> OperandPlan:
    if operand.preinstalled and name in (OperandName.AGENT, OperandName.VALIDATOR):
        raise Refused(f"spec.{name}.preinstalled: no image of a node has it; enabled: false leaves it out")
    _amounts(name, operand.resources)
    named = Image(
        operand.repository or image.repository, operand.image or image.name, operand.version or image.version
    )
    _image(f"spec.{name}", named)
    return OperandPlan(
        name,
        named,
        operand.enabled and not operand.preinstalled,
        operand.enabled and operand.preinstalled,
        deadline_s,
        operand,
    )


def _image(field: str, image: Image) -> None:
    """The API server takes any text. With another driver's name nodes would be taken out for what starts nowhere."""
    part, wrong = image_problem(image)
    if wrong:
        raise Refused(f"{field}.{part}: {wrong}")


def _paths(paths: gpupolicy.HostPaths) -> None:
    """The API server takes any text, and the pod that has it starts nowhere."""
    for field, path in msgspec.to_builtins(paths).items():
        if not path.startswith("/") or ".." in path.split("/"):
            raise Refused(f"spec.hostPaths.{field}: {path!r} is no path from the root of a node, without ..")


def _amounts(name: OperandName, resources: gpupolicy.Resources | None) -> None:
    """The API server takes an object with one that is none for an error of its own, which would be tried for ever."""
    if resources is None:
        return
    for field, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        for resource, amount in amounts.items():
            try:
                quantity.parse(amount)
            except ValueError as error:
                raise Refused(f"spec.{name}.resources.{field}[{resource}]: {error}") from None


def _in_order(operands: Mapping[OperandName, OperandPlan]) -> None:
    """Nobody is to wait for what never comes."""
    for name, needed in (
        (OperandName.TOOLKIT, OperandName.DRIVER),
        (OperandName.AGENT, OperandName.DRIVER),
        (OperandName.EXPORTER, OperandName.DRIVER),
        (OperandName.VALIDATOR, OperandName.AGENT),
    ):
        if operands[name].wanted and not (operands[needed].wanted or operands[needed].preinstalled):
            raise Refused(
                f"spec.{needed}.enabled: {name} needs the {needed}: enable it, or say that it is preinstalled"
                if needed is OperandName.DRIVER
                else f"spec.{needed}.enabled: {name} needs the {needed}: enable it, or leave the {name} out"
            )


def _selector(selector: gpupolicy.NodeSelector | None) -> LabelSelector:
    if selector is None:
        return from_object({})
    found = {
        "matchLabels": selector.match_labels,
        "matchExpressions": [
            {"key": one.key, "operator": one.operator, "values": list(one.values)}
            for one in selector.match_expressions
        ],
    }
    try:
        return from_object(found)
    except SelectorError as error:
        raise Refused(f"spec.nodeSelector: {error}") from None


def _selector_text(field: str, text: str) -> None:
    try:
        parse_labels(text)
    except SelectorError as error:
        raise Refused(f"spec.{field}: {error}") from None


def _rules(spec: gpupolicy.GPUPolicySpec, driver_s: float) -> Rules:
    upgrade = spec.upgrade
    jobs = upgrade.wait_for_jobs
    windows = tuple(
        Window(one.schedule, _seconds(f"upgrade.windows[{index}].duration", one.duration), one.time_zone)
        for index, one in enumerate(upgrade.windows)
    )
    for index, window in enumerate(windows):
        if wrong := problem(window):
            raise Refused(f"spec.upgrade.windows[{index}].{wrong}")
    for field, block in (("waitForJobs", jobs), ("drain", upgrade.drain)):
        if block is not None:
            _selector_text(f"upgrade.{field}.podSelector", block.pod_selector)
    return Rules(
        auto=upgrade.auto,
        max_parallel=upgrade.max_parallel,
        max_unavailable=_share(upgrade.max_unavailable),
        canary_nodes=upgrade.canary.nodes,
        soak_s=_seconds("upgrade.canary.soak", upgrade.canary.soak),
        windows=windows,
        wait_for_jobs_s=0.0
        if jobs is None
        else None
        if jobs.timeout is None
        else _seconds("upgrade.waitForJobs.timeout", jobs.timeout),
        checkpoint_s=_seconds("upgrade.checkpoint.timeout", upgrade.checkpoint.timeout),
        eviction=_eviction("upgrade.eviction", upgrade.eviction),
        drain=None if upgrade.drain is None else _eviction("upgrade.drain", upgrade.drain),
        driver_s=driver_s,
        validation_s=_seconds("upgrade.validationTimeout", upgrade.validation_timeout),
    )


def _eviction(field: str, block: gpupolicy.Eviction | gpupolicy.Drain) -> Eviction:
    return Eviction(_seconds(f"{field}.timeout", block.timeout), block.force, block.delete_empty_dir)


def _share(text: int | str) -> Share:
    try:
        if isinstance(text, str) and text.endswith("%"):
            percent = int(text[:-1])
            if not 0 <= percent <= 100:
                raise ValueError
            return Share(percent=percent)
        count = int(text)
        if count < 0:
            raise ValueError
    except ValueError:
        raise Refused(
            f"spec.upgrade.maxUnavailable: {text!r} is no number of nodes, and no percentage"
        ) from None
    return Share(count=count)


def _seconds(field: str, text: str) -> float:
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise Refused(f"spec.{field}: {error}") from None
