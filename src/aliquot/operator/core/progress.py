"""How far a node is on its way from bare to validated, and which operand it gets next.

One step after the other on each node: the operand of a step is deployed, by a label of the node, once the step before is
done there. What has been deployed stays when an earlier step stumbles later: nothing that works is taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aliquot.operator.core.operands import (
    ALL_LABEL,
    DEPLOY_LABELS,
    PAUSED,
    POLICY_LABEL,
    PRESENT_LABEL,
    OperandName,
)
from aliquot.operator.core.policies import OperandPlan, Policy
from aliquot.operator.core.refusals import REASON

AGENT_READY = "Ready"
AGENT_MIG = "MIGConfigured"
AGENT_CONFIGURED = "Configured"
"""Conditions that the node agent writes on the GPUNode."""


class Status(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Step(StrEnum):
    """In their order; the value is the type of the condition."""

    DRIVER = "DriverReady"
    TOOLKIT = "ToolkitReady"
    AGENT = "AgentReady"
    MIG = "MIGReady"
    EXPORTER = "ExporterReady"
    VALIDATED = "Validated"


@dataclass(frozen=True, slots=True)
class Told:
    """A condition, without its times."""

    status: Status
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A condition as the GPUNode has it."""

    status: str
    reason: str
    message: str
    since_s: float


@dataclass(frozen=True, slots=True)
class OperandPod:
    is_ready: bool
    is_current: bool = True
    """Made from the DaemonSet as it is now."""
    is_going: bool = False
    reason: str = ""
    """Why it is not ready: `ImagePullBackOff`, `CrashLoopBackOff`; empty: it starts."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class NodeView:
    name: str
    labels: Mapping[str, str]
    policy: Policy
    pods: Mapping[OperandName, OperandPod] = field(default_factory=dict)
    conditions: Mapping[str, Shown] = field(default_factory=dict)
    """Of its GPUNode, by type: the agent's and the operator's."""
    driver_version: str = ""
    """As the agent reads it."""
    validated: bool | None = None
    """By the validator: None: it has not said."""
    validation_message: str = ""
    is_upgrading: bool = False
    """Its driver is exchanged, by an upgrade that lets back whom it has paused."""
    misfit: str = ""
    """Why no driver can be put on it."""
    refused: Mapping[OperandName, str] = field(default_factory=dict)
    """Why those that have no pod get none, where the API server has something against it."""


@dataclass(frozen=True, slots=True)
class Progress:
    conditions: Mapping[Step, Told]
    labels: Mapping[str, str | None]
    """To be written on the node, those that are to change alone; None: to be taken away."""
    look_again_s: float | None = None
    """After so long, though nothing is heard: a deadline is reached."""
    unconfigured: str = ""
    """Why the agent does not serve the GPUs as it is configured; they are served all the same, as before."""

    @property
    def is_ready(self) -> bool:
        return all(told.status is Status.TRUE for told in self.conditions.values())

    @property
    def failure(self) -> Told | None:
        """The first that went wrong."""
        return next((told for told in self.conditions.values() if told.reason in FAILURES), None)


FAILURES = frozenset({"DeadlineExceeded", "ValidationFailed", "NoDriverImage"})
"""Reasons of a step that has gone wrong, and does not just take its time."""
AGENT_WAITS = "WaitingForUsers"
"""Reason of the agent's for what only takes its time."""
_STARTS = "its pod is not ready yet"
"""Whether there is one yet or not: each word more is a write for each node."""
_BEFORE: Mapping[OperandName, OperandName] = {
    OperandName.TOOLKIT: OperandName.DRIVER,
    OperandName.AGENT: OperandName.TOOLKIT,
    OperandName.EXPORTER: OperandName.AGENT,
    OperandName.VALIDATOR: OperandName.AGENT,
}
_STEP_OF: Mapping[OperandName, Step] = {
    OperandName.DRIVER: Step.DRIVER,
    OperandName.TOOLKIT: Step.TOOLKIT,
    OperandName.AGENT: Step.AGENT,
    OperandName.EXPORTER: Step.EXPORTER,
    OperandName.VALIDATOR: Step.VALIDATED,
}


def progress(view: NodeView, now_s: float) -> Progress:
    return _Look(view, now_s).whole()


def leave(labels: Mapping[str, str]) -> Mapping[str, str | None]:
    """What has to change on a node that no policy is for any more, or that has lost its GPUs. What users said stays."""
    ours = {POLICY_LABEL, PRESENT_LABEL, *DEPLOY_LABELS.values()}
    return {label: None for label in sorted(ours & labels.keys()) if labels[label] != "false"}


class _Look:
    def __init__(self, view: NodeView, now_s: float) -> None:
        self._view = view
        self._now_s = now_s
        self._told: dict[Step, Told] = {}
        self._look_again_s: float | None = None

    def whole(self) -> Progress:
        driver = self._add(Step.DRIVER, self._driver())
        toolkit = self._add(Step.TOOLKIT, self._pod(OperandName.TOOLKIT, driver))
        agent = self._add(Step.AGENT, self._agent(toolkit))
        mig = self._add(Step.MIG, self._mig(agent))
        self._add(Step.EXPORTER, self._pod(OperandName.EXPORTER, agent))
        self._add(Step.VALIDATED, self._validated(mig))
        return Progress(self._told, self._labels(), self._look_again_s, self._unconfigured())

    def _add(self, step: Step, told: Told) -> Told:
        self._told[step] = told
        return told

    # --- the steps ---

    def _driver(self) -> Told:
        plan = self._plan(OperandName.DRIVER)
        if plan.preinstalled:
            if self._view.driver_version:
                return Told(Status.TRUE, "Preinstalled", f"driver {self._view.driver_version}")
            # Whether it works is known once the agent has asked it.
            return Told(Status.TRUE, "Preinstalled", "taken to work: nobody on the node has asked it yet")
        told = self._pod(OperandName.DRIVER, None)
        if self._view.misfit and told.status is Status.FALSE:
            return Told(Status.FALSE, "NoDriverImage", self._view.misfit)
        if told.reason == "Ready" and self._view.driver_version:
            return Told(told.status, told.reason, f"driver {self._view.driver_version}")
        return told

    def _pod(self, name: OperandName, before: Told | None) -> Told:
        if (told := self._not_deployed(name, before)) is not None:
            return told
        pod = self._view.pods.get(name)
        if pod is not None and pod.is_ready and not pod.is_going:
            if pod.is_current:
                return Told(Status.TRUE, "Ready")
            return Told(Status.TRUE, "Outdated", "it runs, and is to be exchanged")
        if pod is None and (refused := self._view.refused.get(name)):
            return self._until_deadline(name, REASON, refused)
        if pod is None or pod.is_going:
            return self._until_deadline(name, "Starting", _STARTS)
        return self._until_deadline(name, pod.reason or "Starting", pod.message or _STARTS)

    def _agent(self, toolkit: Told) -> Told:
        name = OperandName.AGENT
        if (told := self._not_deployed(name, toolkit)) is not None:
            return told
        pod, said = self._view.pods.get(name), self._view.conditions.get(AGENT_READY)
        if pod is None or not pod.is_ready:
            return self._pod(name, toolkit)
        if said is None:
            return self._until_deadline(name, "Starting", "the agent has not reported the GPUs yet")
        if said.status == Status.TRUE:
            return Told(Status.TRUE, "Ready", said.message)
        return self._until_deadline(name, said.reason, said.message)

    def _mig(self, agent: Told) -> Told:
        if agent.reason == "NotWanted":
            return agent
        if agent.status is not Status.TRUE:
            return Told(Status.UNKNOWN, "WaitingForAgent")
        said = self._view.conditions.get(AGENT_MIG)
        if said is None:
            return Told(Status.UNKNOWN, "WaitingForAgent", "the agent has not said how its GPUs are cut")
        known = said.status in (Status.TRUE, Status.FALSE)
        return Told(Status(said.status) if known else Status.UNKNOWN, said.reason, said.message)

    def _unconfigured(self) -> str:
        pod, said = self._view.pods.get(OperandName.AGENT), self._view.conditions.get(AGENT_CONFIGURED)
        if pod is None or not pod.is_ready or said is None or said.status != Status.FALSE:
            return ""
        return said.message if said.reason != AGENT_WAITS else ""

    def _validated(self, mig: Told) -> Told:
        name = OperandName.VALIDATOR
        if (told := self._not_deployed(name, self._told[Step.AGENT])) is not None:
            return told
        if mig.status is not Status.TRUE:
            return Told(Status.UNKNOWN, "WaitingForMIG", mig.message)
        if self._view.validated and self._is_said_of_now():
            return Told(Status.TRUE, "Validated", self._view.validation_message)
        if self._view.validated is not False:
            pod = self._pod(name, self._told[Step.AGENT])
            waits = self._until_deadline(name, "Validating", "the checks are under way")
            return waits if pod.status is Status.TRUE else pod
        return Told(Status.FALSE, "ValidationFailed", self._view.validation_message)

    def _is_said_of_now(self) -> bool:
        """And not left from before the node's software went: a validator says so that runs, or it has been taken for said."""
        shown, pod = self._view.conditions.get(Step.VALIDATED), self._view.pods.get(OperandName.VALIDATOR)
        return (shown is not None and shown.status == Status.TRUE) or (pod is not None and pod.is_ready)

    def _not_deployed(self, name: OperandName, before: Told | None) -> Told | None:
        plan, label = self._plan(name), self._view.labels.get(DEPLOY_LABELS[name], "")
        if plan.preinstalled:
            return Told(Status.TRUE, "Preinstalled")
        if not plan.wanted:
            return Told(Status.TRUE, "NotWanted")
        if self._refused_by_user(name):
            return Told(Status.TRUE, "NotWanted", f"the node's label {self._refusing_label(name)} is false")
        if label == PAUSED and self._is_held(name):
            return Told(Status.UNKNOWN, "Paused", "while the driver is exchanged")
        if before is not None and before.status is not Status.TRUE and label != "true":
            needed = _BEFORE[name]
            return Told(Status.UNKNOWN, f"WaitingFor{needed.capitalize()}", before.message)
        return None

    def _until_deadline(self, name: OperandName, reason: str, message: str) -> Told:
        """It is under way; beyond its deadline it has failed, and goes on trying."""
        shown = self._view.conditions.get(_STEP_OF[name])
        deadline_s = self._plan(name).deadline_s
        since_s = shown.since_s if shown is not None and shown.status == Status.FALSE else self._now_s
        left_s = since_s + deadline_s - self._now_s
        if left_s > 0:
            self._look_again_s = min(left_s, self._look_again_s if self._look_again_s is not None else left_s)
            return Told(Status.FALSE, reason, message)
        what = f"{message} ({reason})" if reason != "Starting" else message
        return Told(Status.FALSE, "DeadlineExceeded", f"not within {deadline_s:.0f} s: {what}")

    # --- what is deployed ---

    def _labels(self) -> Mapping[str, str | None]:
        wanted: dict[str, str | None] = {PRESENT_LABEL: "true", POLICY_LABEL: self._view.policy.name}
        for name, label in DEPLOY_LABELS.items():
            shown = self._view.labels.get(label)
            if shown == "false" or (shown == PAUSED and self._is_held(name)):
                continue
            if not self._plan(name).wanted or self._view.labels.get(ALL_LABEL) == "false":
                wanted[label] = None
            elif shown == "true" or self._may_come(name):
                wanted[label] = "true"
        return {label: value for label, value in wanted.items() if self._view.labels.get(label) != value}

    def _is_held(self, name: OperandName) -> bool:
        """Whoever pauses is at work. The driver's own container does while it is not ready, and may have died over it: what it
        left paused comes back like anything else."""
        if name is OperandName.DRIVER:
            return False
        return self._view.is_upgrading or self._told[Step.DRIVER].status is not Status.TRUE

    def _may_come(self, name: OperandName) -> bool:
        before = _BEFORE.get(name)
        return before is None or self._told[_STEP_OF[before]].status is Status.TRUE

    def _refused_by_user(self, name: OperandName) -> bool:
        labels = self._view.labels
        return labels.get(DEPLOY_LABELS[name]) == "false" or labels.get(ALL_LABEL) == "false"

    def _refusing_label(self, name: OperandName) -> str:
        return ALL_LABEL if self._view.labels.get(ALL_LABEL) == "false" else DEPLOY_LABELS[name]

    def _plan(self, name: OperandName) -> OperandPlan:
        return self._view.policy.operands[name]
