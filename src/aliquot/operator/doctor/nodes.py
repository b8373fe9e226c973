"""For each node with GPUs: the first step on which it is stuck, and why; and whether an upgrade has left it out of use."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.node_checks import CHECKS_PASSED
from aliquot.operator.core.discovered import has_gpus
from aliquot.operator.core.operands import ALL_LABEL, DEPLOY_LABELS, POLICY_LABEL, OperandName
from aliquot.operator.core.pods import operand_of, read
from aliquot.operator.core.policies import Stored, claim
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.progress import AGENT_CONFIGURED, AGENT_WAITS, FAILURES, Status, Step
from aliquot.operator.core.rendering.pods import daemon_set_name
from aliquot.operator.core.summary import PROGRESSING
from aliquot.operator.core.upgrade.memory import NOTHING, decode
from aliquot.operator.core.upgrade.states import (
    MEMORY,
    REQUESTED,
    RETRY,
    SKIP_LABEL,
    STATE_LABEL,
    UNDER_WAY,
    State,
    state_of,
)
from aliquot.operator.doctor.advice import Place, after_failure, to_do, to_do_for_slices
from aliquot.operator.doctor.findings import Finding, Weight
from aliquot.operator.doctor.seen import Json, Seen

_OPERANDS: Mapping[Step, OperandName] = {
    Step.DRIVER: OperandName.DRIVER,
    Step.TOOLKIT: OperandName.TOOLKIT,
    Step.AGENT: OperandName.AGENT,
    Step.MIG: OperandName.AGENT,
    Step.EXPORTER: OperandName.EXPORTER,
    Step.VALIDATED: OperandName.VALIDATOR,
}


def examine_nodes(seen: Seen, policies: Mapping[str, Stored]) -> Iterator[Finding]:
    pods = _operand_pods(seen)
    held_back = {policy["metadata"]["name"]: _held_back(policy) for policy in seen.policies}
    for node in sorted(seen.nodes, key=lambda one: one.metadata.name):
        labels = node.metadata.labels or {}
        policy = labels.get(POLICY_LABEL, "")
        place = Place(node.metadata.name, policy, OperandName.DRIVER.value, seen.namespace, "")
        yield from _upgrade(node, held_back.get(policy, ""), place)
        if has_gpus(labels, node.metadata.annotations or {}):
            yield from _cordon(node)
            found = _Look(seen, node, policies, pods.get(node.metadata.name, {})).findings()
            state = state_of(labels.get(STATE_LABEL, ""))
            yield from (one for one in found if not _is_upgrades_business(one, state))


def _is_upgrades_business(finding: Finding, state: State | None) -> bool:
    """What it is about to exchange, or has under way as it should, is nobody else's to mend."""
    if finding.reason == "NodeNotReady":
        return False
    return state is State.UPGRADE_REQUIRED or (state in UNDER_WAY and finding.weight is Weight.NOTE)


def _held_back(policy: Json) -> str:
    """Why its upgrades do not go on."""
    for condition in (policy.get("status") or {}).get("conditions") or ():
        if condition["type"] == PROGRESSING and condition.get("reason") == "UpgradeWaits":
            return str(condition.get("message", ""))
    return ""


def _operand_pods(seen: Seen) -> Mapping[str, Mapping[tuple[str, OperandName], Pod]]:
    """By node, then by policy and operand: the youngest, while one goes and the next comes."""
    found: dict[str, dict[tuple[str, OperandName], Pod]] = {}
    for pod in sorted(seen.pods, key=lambda one: one.metadata.creation_timestamp or ""):
        if (known := operand_of(pod)) is not None and pod.spec.node_name:
            found.setdefault(pod.spec.node_name, {})[known] = pod
    return found


@dataclass(frozen=True, slots=True)
class _Look:
    seen: Seen
    node: Node
    policies: Mapping[str, Stored]
    pods: Mapping[tuple[str, OperandName], Pod]

    @property
    def name(self) -> str:
        return self.node.metadata.name

    def findings(self) -> Iterator[Finding]:
        if not any(one.type == "Ready" and one.status == "True" for one in self.node.status.conditions or ()):
            yield self._about(
                Weight.TO_DO,
                "NodeNotReady",
                "its kubelet does not say that it is well",
                f"kubectl describe node {self.name}; nothing of ours can be done there until it is",
            )
            return
        whose = claim(self.policies.values(), self.node.metadata.labels or {}).policy
        if not whose:
            if self.policies:
                yield self._about(
                    Weight.TO_DO,
                    "NoPolicyForNode",
                    "it has GPUs, and no GPUPolicy selects it",
                    "add its labels to spec.nodeSelector of one (kubectl get gpupolicies), or leave it as it is: it then gets "
                    "no node software",
                )
        elif self.policies[whose].policy is not None:
            yield from self._of(whose)

    def _of(self, policy: str) -> Iterator[Finding]:
        yield from self._refused_by_user()
        gpu_node = self.seen.gpu_nodes.get(self.name)
        told = {one.type: one for one in gpu_node.status.conditions} if gpu_node is not None else {}
        if (self.node.metadata.labels or {}).get(POLICY_LABEL) != policy or Step.DRIVER not in told:
            yield self._about(
                Weight.NOTE,
                "NotFollowedYet",
                f"GPUPolicy {policy} is for it, and the operator has not seen to it yet",
            )
            return
        yield from self._unconfigured(policy, told)
        yield from self._left_behind(policy, told)
        for step in Step:
            condition = told.get(step)
            if condition is None or condition.status != Status.TRUE:
                yield self._stuck(policy, step, condition, told)
                return
        checks = told.get(CHECKS_PASSED)
        if checks is not None and checks.status == Status.FALSE:
            yield self._stuck(policy, Step.VALIDATED, checks, told)

    def _left_behind(self, policy: str, told: Mapping[str, Condition]) -> Iterator[Finding]:
        """Its driver is another than the policy's, and nobody exchanges it by himself."""
        labels, stored = self.node.metadata.labels or {}, self.policies[policy].policy
        state = state_of(labels.get(STATE_LABEL, ""))
        if told[Step.DRIVER].reason != "Outdated" or state not in (State.NONE, State.UPGRADE_DONE):
            return
        message = "it runs another driver than its policy has"
        if labels.get(SKIP_LABEL) == "true":
            advice = f"to let it be upgraded with the others: kubectl label node {self.name} {SKIP_LABEL}-"
            yield self._about(
                Weight.NOTE, "LeftAtItsDriver", f"{message}: its label {SKIP_LABEL} is true", advice
            )
        elif stored is not None and not stored.rules.auto:
            advice = f"to upgrade it: kubectl annotate node {self.name} {REQUESTED}=true"
            yield self._about(
                Weight.NOTE, "LeftAtItsDriver", f"{message}, whose spec.upgrade.auto is false", advice
            )

    def _unconfigured(self, policy: str, told: Mapping[str, Condition]) -> Iterator[Finding]:
        """GPUs are served, though not as they are to be."""
        said, agent = told.get(AGENT_CONFIGURED), told.get(Step.AGENT)
        if said is None or said.status != Status.FALSE or agent is None or agent.status != Status.TRUE:
            return
        daemon_set = daemon_set_name(policy, OperandName.AGENT, "")
        place = Place(self.name, policy, OperandName.AGENT.value, self.seen.namespace, daemon_set)
        weight = Weight.NOTE if said.reason == AGENT_WAITS else Weight.TO_DO
        advice = to_do(said.reason, place) or f"kubectl describe gpunode {self.name}"
        yield self._about(
            weight,
            said.reason,
            f"{AGENT_CONFIGURED}: {said.message}",
            advice if weight is Weight.TO_DO else "",
        )

    def _stuck(
        self, policy: str, step: Step, condition: Condition | None, told: Mapping[str, Condition]
    ) -> Finding:
        operand = _OPERANDS[step]
        pool = (self.node.metadata.labels or {}).get(POOL_LABEL, "") if operand is OperandName.DRIVER else ""
        daemon_set = daemon_set_name(policy, operand, pool)
        if condition is None:
            return self._about(Weight.NOTE, step, "the operator has not said anything of it yet")
        pod = self.pods.get((policy, operand))
        reason, message, container = condition.reason, condition.message, ""
        checks = told.get(CHECKS_PASSED)
        if step is Step.VALIDATED and checks is not None and checks.status == Status.FALSE:
            reason, message = checks.reason, checks.message
        elif step is not Step.MIG and reason != "NoDriverImage":
            reason, message, container = self._by_pod(reason, message, pod)
        place = Place(
            self.name,
            policy,
            str(operand),
            self.seen.namespace,
            daemon_set,
            pod.metadata.name if pod is not None else "",
            container,
        )
        said = f"{step}: {message}" if message else f"{step} is waited for"
        if step is Step.MIG:
            advice = to_do_for_slices(reason, place)
            return self._about(Weight.TO_DO if advice else Weight.NOTE, reason, said, advice)
        # A container that is started again and again is Starting now and then, and has failed all the same.
        advice = to_do(reason, place) or (
            to_do(condition.reason, place) if condition.reason in FAILURES else ""
        )
        is_bad = bool(advice) or condition.reason in FAILURES
        weight = Weight.TO_DO if is_bad else Weight.NOTE
        return self._about(weight, reason, said, advice)

    def _by_pod(self, reason: str, message: str, pod: Pod | None) -> tuple[str, str, str]:
        """(reason, message, container), from nearer: what the operator says of a pod may be older than what the pod says."""
        if pod is None:
            return ("NoPod" if reason == "DeadlineExceeded" else reason), message, ""
        found = read(pod, "")
        if found.is_ready or not found.reason:
            return reason, message, ""
        container = found.message.partition(":")[0] if ": " in found.message else ""
        known = {one.name for one in (*pod.spec.containers, *(pod.spec.init_containers or ()))}
        return found.reason, found.message, container if container in known else ""

    def _refused_by_user(self) -> Iterator[Finding]:
        labels = self.node.metadata.labels or {}
        refused = [label for label in (ALL_LABEL, *DEPLOY_LABELS.values()) if labels.get(label) == "false"]
        if refused:
            yield self._about(
                Weight.NOTE,
                "LeftOut",
                f"somebody has set {' and '.join(refused)} to false: what that is of is not put there",
                "take the label off, where that is not wanted any more",
            )

    def _about(self, weight: Weight, reason: str, message: str, advice: str = "") -> Finding:
        return Finding(
            weight=weight, kind="Node", names=(self.name,), reason=str(reason), message=message, advice=advice
        )


def _cordon(node: Node) -> Iterator[Finding]:
    """One that no upgrade has set, or that it has lost: neither is taken off by itself."""
    state = state_of((node.metadata.labels or {}).get(STATE_LABEL, ""))
    if node.spec.unschedulable and state not in UNDER_WAY and state is not State.UPGRADE_FAILED:
        name = node.metadata.name
        yield Finding(
            weight=Weight.NOTE,
            kind="Node",
            names=(name,),
            reason="Cordoned",
            message="it is cordoned, and no upgrade is under way there: no new pods come to it",
            advice=f"where nobody wants that any more: kubectl uncordon {name}",
        )


def _upgrade(node: Node, held_back: str, place: Place) -> Iterator[Finding]:
    name, labels = node.metadata.name, node.metadata.labels or {}
    state = state_of(labels.get(STATE_LABEL, ""))
    memory = decode((node.metadata.annotations or {}).get(MEMORY, "")) or NOTHING
    if state is State.UPGRADE_FAILED:
        cordoned, first = node.spec.unschedulable, after_failure(memory.reason, place)
        yield Finding(
            weight=Weight.TO_DO,
            kind="Node",
            names=(name,),
            reason="UpgradeFailed",
            message=f"the upgrade of its driver has failed: {memory.reason or 'the operator does not say why'}"
            + (", and the node is cordoned" if cordoned else ""),
            advice=(f"{first}; then " if first else "")
            + f"to try again: kubectl annotate node {name} {RETRY}=true; to go back: set spec.driver.version of the "
            "GPUPolicy to what it was"
            + (f"; to use it as it is: kubectl uncordon {name}" if cordoned else ""),
        )
    elif state in UNDER_WAY:
        yield Finding(
            weight=Weight.NOTE,
            kind="Node",
            names=(name,),
            reason="Upgrading",
            message=f"its driver is being exchanged ({state})"
            + (f": {memory.reason}" if memory.reason else ""),
            # What stays is tried again until its time is over.
            advice=after_failure(memory.reason, place) if " stays: " in memory.reason else "",
        )
    elif state is State.UPGRADE_REQUIRED:
        yield Finding(
            weight=Weight.NOTE,
            kind="Node",
            names=(name,),
            reason="UpgradeWaits",
            message="its driver is to be exchanged, and it waits for its turn"
            + (f": {held_back}" if held_back else ""),
        )
    elif state is None:
        yield Finding(
            weight=Weight.TO_DO,
            kind="Node",
            names=(name,),
            reason="UnknownUpgradeState",
            message=f"its label {STATE_LABEL} is '{labels[STATE_LABEL]}', which is no state",
            advice=f"take it off: kubectl label node {name} {STATE_LABEL}-",
        )
    elif memory.reason:
        yield Finding(
            weight=Weight.TO_DO,
            kind="Node",
            names=(name,),
            reason="UpgradeHeldBack",
            message=f"its driver is not upgraded: {memory.reason}",
            advice="choose a driver that fits it, or leave its driver to the node's image (spec.driver.preinstalled)",
        )
