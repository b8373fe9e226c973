"""A plan as it is kept, shown and applied: plain data, JSON in a file."""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.aws import arns
from aliquot.eks.plan.costs import Costs
from aliquot.eks.preflight.waivers import Waiver
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.upgrade.acts.addon import Conflicts
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions import minor
from aliquot.eks.versions.minor import Minor
from aliquot.windows import Window

DAY_S = 86400.0
FORMAT = 1
_APPROVAL = Approval.__struct_config__.tag


class CannotPlan(ValueError):
    """One line: why there is no plan, and what to do about it."""


class NothingToDo(CannotPlan):
    """All of it is there."""


class BadPlan(ValueError):
    """One line: why a file is no plan that may be applied."""


class Pin(Struct, frozen=True, kw_only=True):
    """What somebody said of a node group at one minor, because nobody else can know, or because the newest is not wanted."""

    group: str
    minor: Minor
    release: str = ""
    template_version: str = ""


class OnConflict(Struct, frozen=True):
    addon: str
    policy: Conflicts


class Options(Struct, frozen=True, kw_only=True):
    soak_s: float = DAY_S
    """Between two hops: the second ends the right to roll the first one back."""
    allow_unchecked: bool = False
    waivers: tuple[Waiver, ...] = ()
    helm: bool = False
    """The preflight looks at releases of Helm, too: it takes the right to read Secrets."""
    smokes: tuple[SmokeJob, ...] = ()
    """Jobs that have to succeed: on a group after each of its rolls, or without one at the end of each hop."""
    checkpoint_s: float = 900.0
    """Gangs have so long to save what they have done, before they are suspended."""
    scale_gangs: bool = False
    """What has no other way is scaled to no replicas while its nodes go."""
    evict_gangs: bool = False
    """What has no way at all is left to EKS to evict."""
    no_surge: tuple[str, ...] = ()
    """Node groups for which there is no capacity beside what they have."""
    no_gpu_canary: bool = False
    """No GPU node is tried before the first group that works is rolled."""
    blue_green: tuple[str, ...] = ()
    """Node groups that another one takes the place of, once they are empty."""
    drain_limit_s: float = DAY_S
    """So long whoever nobody can suspend is waited for there."""
    pins: tuple[Pin, ...] = ()
    conflicts: tuple[OnConflict, ...] = ()
    """Add-ons of which fields that somebody has changed in the cluster do not just stay."""
    windows: tuple[Window, ...] = ()
    """In which steps that people may notice begin; none: whenever their turn comes."""

    def conflicts_of(self, addon: str) -> Conflicts:
        """The last that was said of it."""
        said = [one.policy for one in self.conflicts if one.addon == addon]
        return said[-1] if said else Conflicts.PRESERVE

    def pin(self, group: str, at: Minor) -> Pin | None:
        """What was said of it together: its release, and the version of its launch template."""
        said = [one for one in self.pins if (one.group, one.minor) == (group, at)]
        if not said:
            return None
        return Pin(
            group=group,
            minor=at,
            release=next((one.release for one in said if one.release), ""),
            template_version=next((one.template_version for one in said if one.template_version), ""),
        )

    def renamed(self, names: Mapping[str, str]) -> "Options":
        """`names`: by node group that is gone, the one in its place."""
        if not names:
            return self
        return replace(
            self,
            smokes=tuple(replace(one, group=names.get(one.group, one.group)) for one in self.smokes),
            no_surge=tuple(names.get(one, one) for one in self.no_surge),
            blue_green=tuple(names.get(one, one) for one in self.blue_green),
            pins=tuple(replace(one, group=names.get(one.group, one.group)) for one in self.pins),
        )


class Hop(Struct, frozen=True, kw_only=True):
    now: Minor
    to: Minor
    """The same: the control plane is there already, and the rest follows."""


class Plan(Struct, frozen=True, kw_only=True):
    id: str = ""
    """Of all that is in it but itself: a plan that somebody changed has another one."""
    format: int = FORMAT
    cluster: str
    arn: str = ""
    made_s: float
    now: Minor
    to: Minor
    options: Options = Options()
    hops: tuple[Hop, ...]
    steps: tuple[Step, ...]
    state: dict[str, str]
    """What the steps rest on, by name: see `hashing`."""
    state_hash: str
    costs: Costs = Costs()
    notes: tuple[str, ...] = ()
    """What has to be known before it is approved."""
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def region(self) -> str:
        return arns.region(self.arn)

    @property
    def expected_s(self) -> float:
        return sum(step.expected_s for step in self.steps)

    def steps_of(self, hop: Hop) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.hop == hop.to)


def identity(plan: Plan) -> str:
    """The same for the same plan, made at the same time; two times the same plan are two plans."""
    return _identity(msgspec.json.decode(encode(plan)))


def _identity(written: dict[str, Any]) -> str:
    """Of a plan as it stands in its file: a newer aliquot, whose steps have more to say, does not change what was written."""
    whole = {**written, "id": "", "steps": [_before_approval(step) for step in written["steps"]]}
    text = msgspec.json.encode(_one_way(whole), order="sorted")
    return f"{written['cluster']}-{written['to']}-{sha256(text).hexdigest()[:12]}"


def _before_approval(step: dict[str, Any]) -> dict[str, Any]:
    """What is approved is the plan's id, so that is not part of itself."""
    act = step["act"]
    return {**step, "act": {**act, "hash": ""}} if act["type"] == _APPROVAL else step


def _one_way(value: Any) -> Any:
    """A number that was written without its decimals comes back with them."""
    if isinstance(value, dict):
        return {key: _one_way(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_one_way(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def instead(plan: Plan, steps: Sequence[Step], taken: Collection[str]) -> Plan:
    """The plan with these steps, for a run in which the ids that are `taken` stand already."""
    other = replace(plan, steps=tuple(replace(step, id=_free(step.id, taken)) for step in steps))
    return replace(other, id=identity(other))


def _free(id_: str, taken: Collection[str]) -> str:
    if id_ not in taken:
        return id_
    return next(name for number in count(2) if (name := f"{id_}/{number}") not in taken)


def encode(plan: Plan) -> bytes:
    return msgspec.json.encode(plan, enc_hook=minor.enc_hook, order="sorted")


def decode(text: bytes) -> Plan:
    """Raises BadPlan."""
    try:
        plan = _decoded(text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadPlan(f"it is no plan of this version of aliquot ({error}): plan anew") from None
    if plan.format != FORMAT:
        raise BadPlan(f"it is of format {plan.format}, not {FORMAT}: plan anew")
    approved = {step.act.hash for step in plan.steps if isinstance(step.act, Approval)}
    if plan.id != _identity(msgspec.json.decode(text)) or approved - {plan.id}:
        raise BadPlan("it was changed after it was made: plan anew, with the options that you want")
    return plan


def read(path: Path) -> Plan:
    """Raises BadPlan."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise BadPlan(f"{path}: cannot be read: {error.strerror or error}") from None
    except BadPlan as error:
        raise BadPlan(f"{path}: {error}") from None


def _decoded(text: bytes) -> Plan:
    return msgspec.json.decode(text, type=Plan, dec_hook=_dec)


def _dec(wanted: type, value: Any) -> Any:
    return minor.dec_hook(wanted, value)
