"""For each state, the next step of a node. Every function may be called again at any time, and after any of its effects."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from aliquot.operator.core.upgrade.effects import (
    AskCheckpoint,
    Cordon,
    DeletePod,
    Effect,
    Evict,
    ForgetRetry,
    PauseClients,
    ResumeClients,
    Step,
    Uncordon,
)
from aliquot.operator.core.upgrade.memory import Memory
from aliquot.operator.core.upgrade.node import GPUPod, UpgradeNode, Validation
from aliquot.operator.core.upgrade.rules import MOST_RESTARTS, Eviction, Rules
from aliquot.operator.core.upgrade.states import UNDER_WAY, State

_LOOK_S = 10.0
"""At what is refused, and may be let by time alone."""


@dataclass(frozen=True, slots=True)
class _Here:
    """A node in its state."""

    node: UpgradeNode
    memory: Memory
    rules: Rules
    now_s: float

    @property
    def passed_s(self) -> float:
        """In this state. A clock that was set back has not passed."""
        return max(0.0, self.now_s - self.memory.since_s)

    def stay(self, waits_for: str, *effects: Effect, until_s: float | None = None) -> Step:
        """`until_s`: of the time in this state, when there is more to do."""
        look_s = _LOOK_S if until_s is None else min(_LOOK_S, max(0.0, until_s - self.passed_s))
        memory = replace(self.memory, reason=waits_for)
        return Step(self._state, memory, effects, look_s, waits_for)

    def go(self, state: State, *effects: Effect, **remembered: object) -> Step:
        memory = replace(self.memory, since_s=self.now_s, reason="", **remembered)
        return Step(state, memory, effects, 0.0)

    def fail(self, why: str) -> Step:
        """The node is given back as far as it can be: with its driver, if that still runs, and to whom it was open before."""
        effects: list[Effect] = []
        if self.memory.restarted_s is None:
            effects.append(ResumeClients())
        if not self.memory.was_cordoned:
            effects.append(Uncordon())
        memory = replace(self.memory, since_s=self.now_s, reason=why)
        return Step(State.UPGRADE_FAILED, memory, tuple(effects), None, why)

    @property
    def _state(self) -> State:
        return self.node.state or State.NONE


def step(node: UpgradeNode, rules: Rules, now_s: float) -> Step | None:
    """What follows for a node that has been let start, and for one that has not. None: nothing."""
    memory = node.memory or Memory(since_s=now_s, was_cordoned=node.is_cordoned)
    here = _Here(node, memory, rules, now_s)
    if node.state in UNDER_WAY and node.memory is None:
        # Somebody took the annotation away: it is known of no cordon that it was ours.
        return here.fail("what was known of its upgrade is gone: the annotation was removed")
    if node.state in UNDER_WAY and memory.revision != node.wanted_revision and memory.restarted_s is None:
        # The policy changed its mind before anything happened to the driver.
        here = _Here(node, replace(memory, revision=node.wanted_revision), rules, now_s)
    if node.state is None:
        return here.go(State.NONE)
    return _STEPS[node.state](here)


def _none(here: _Here) -> Step | None:
    """Also of one that is done."""
    node = here.node
    if not node.is_outdated or node.is_skipped or not (here.rules.auto or node.is_requested):
        return None
    if node.misfit:
        if here.memory.reason == node.misfit:
            return None
        return Step(node.state or State.NONE, replace(here.memory, reason=node.misfit), waits_for=node.misfit)
    memory = Memory(revision=node.wanted_revision, since_s=here.now_s)
    return Step(State.UPGRADE_REQUIRED, memory, look_again_s=0.0)


def _required(here: _Here) -> Step | None:
    """It waits to be let start."""
    if not here.node.is_outdated or here.node.is_skipped or here.node.misfit:
        return here.go(State.NONE)
    return None


def _cordon(here: _Here) -> Step:
    return here.go(State.WAIT_FOR_JOBS_REQUIRED, Cordon())


def _wait_for_jobs(here: _Here) -> Step:
    waited_for = [pod.key for pod in here.node.gpu_pods if pod.is_waited_for and not pod.is_going]
    limit_s = here.rules.wait_for_jobs_s
    if waited_for and (limit_s is None or here.passed_s < limit_s):
        return here.stay(f"waits for {_named(waited_for)} to end", until_s=limit_s)
    asked = [pod for pod in here.node.gpu_pods if pod.can_checkpoint and not pod.is_going]
    if not asked or here.rules.checkpoint_s <= 0:
        return here.go(State.POD_DELETION_REQUIRED)
    asked_s = here.memory.checkpoint_asked_s
    if asked_s is None:
        memory = replace(here.memory, checkpoint_asked_s=here.now_s)
        effect = AskCheckpoint(tuple(pod.key for pod in asked))
        return Step(State.WAIT_FOR_JOBS_REQUIRED, memory, (effect,), 0.0, "asks for checkpoints")
    missing = [pod.key for pod in asked if (pod.last_checkpoint_s or 0.0) < asked_s]
    if missing and here.now_s - asked_s < here.rules.checkpoint_s:
        return here.stay(f"waits for a checkpoint of {_named(missing)}")
    return here.go(State.POD_DELETION_REQUIRED)


def _pod_deletion(here: _Here) -> Step:
    pods = here.node.gpu_pods
    if not pods:
        return here.go(State.POD_RESTART_REQUIRED, PauseClients())
    stuck = _never_evicted(pods, here.rules.eviction)
    if not stuck and here.passed_s < here.rules.eviction.timeout_s:
        return _evicting(here, pods, here.rules.eviction)
    why = stuck or _not_gone(pods, here.rules.eviction)
    if here.rules.drain is not None:
        return here.go(State.DRAIN_REQUIRED)
    return here.fail(why)


def _drain(here: _Here) -> Step:
    drain = here.rules.drain or here.rules.eviction
    pods = (*here.node.gpu_pods, *here.node.other_pods)
    if not pods:
        return here.go(State.POD_RESTART_REQUIRED, PauseClients())
    if stuck := _never_evicted(pods, drain):
        return here.fail(stuck)
    if here.passed_s >= drain.timeout_s:
        return here.fail(_not_gone(pods, drain))
    return _evicting(here, pods, drain)


def _pod_restart(here: _Here) -> Step:
    node, driver = here.node, here.node.driver
    if node.gpu_pods and here.memory.restarted_s is None:
        # Bound in the instant before the cordon was seen, or by somebody who does not heed it.
        return here.go(State.POD_DELETION_REQUIRED)
    if node.clients_running and here.memory.restarted_s is None:
        if here.passed_s >= here.rules.driver_s:
            return here.fail("the operands that use the driver did not leave the node")
        return here.stay("waits for the operands that use the driver to leave", PauseClients())
    if driver is not None and driver.revision == node.wanted_revision and not driver.is_going:
        return _new_driver(here)
    if here.passed_s >= here.rules.driver_s:
        return here.fail(f"the new driver did not start within {here.rules.driver_s:.0f} s")
    if driver is None or driver.is_going:
        return here.stay("waits for the pod of the new driver", until_s=here.rules.driver_s)
    if here.memory.restarted_s is None:
        # Remembered before it is done: from here on the old driver is not counted on any more.
        memory = replace(here.memory, restarted_s=here.now_s)
        return Step(State.POD_RESTART_REQUIRED, memory, (), 0.0, "restarts the driver")
    return here.stay("restarts the driver", DeletePod(driver.key), until_s=here.rules.driver_s)


def _new_driver(here: _Here) -> Step:
    driver = here.node.driver
    assert driver is not None
    if driver.ready:
        restarted_s = here.now_s if here.memory.restarted_s is None else here.memory.restarted_s
        return here.go(State.VALIDATION_REQUIRED, ResumeClients(), restarted_s=restarted_s)
    said = f": {driver.message}" if driver.message else ""
    if driver.restarts > MOST_RESTARTS:
        return here.fail(f"the new driver restarted {driver.restarts} times{said}")
    if here.passed_s >= here.rules.driver_s:
        return here.fail(f"the new driver was not ready within {here.rules.driver_s:.0f} s{said}")
    return here.stay(f"waits for the new driver{said}", until_s=here.rules.driver_s)


def _validation(here: _Here) -> Step:
    node = here.node
    known = node.validated_s >= (here.memory.restarted_s or here.memory.since_s)
    if known and node.validation is Validation.PASSED:
        return here.go(State.UNCORDON_REQUIRED)
    if here.passed_s >= here.rules.validation_s:
        return here.fail(f"not validated within {here.rules.validation_s:.0f} s after the upgrade")
    return here.stay("waits to be validated", ResumeClients(), until_s=here.rules.validation_s)


def _uncordon(here: _Here) -> Step:
    effects = () if here.memory.was_cordoned else (Uncordon(),)
    return here.go(State.UPGRADE_DONE, *effects)


def _failed(here: _Here) -> Step | None:
    node = here.node
    if not node.is_retried and here.memory.revision == node.wanted_revision:
        return None
    if not node.is_outdated and not node.is_retried:
        # The policy is back to what runs there.
        return here.go(State.NONE, ResumeClients())
    effects = (ForgetRetry(),) if node.is_retried else ()
    memory = Memory(
        revision=node.wanted_revision,
        since_s=here.now_s,
        attempt=here.memory.attempt + 1 if here.memory.revision == node.wanted_revision else 1,
    )
    return Step(State.UPGRADE_REQUIRED, memory, effects, 0.0)


_STEPS: Mapping[State, Callable[[_Here], Step | None]] = {
    State.NONE: _none,
    State.UPGRADE_REQUIRED: _required,
    State.CORDON_REQUIRED: _cordon,
    State.WAIT_FOR_JOBS_REQUIRED: _wait_for_jobs,
    State.POD_DELETION_REQUIRED: _pod_deletion,
    State.DRAIN_REQUIRED: _drain,
    State.POD_RESTART_REQUIRED: _pod_restart,
    State.VALIDATION_REQUIRED: _validation,
    State.UNCORDON_REQUIRED: _uncordon,
    State.UPGRADE_DONE: _none,
    State.UPGRADE_FAILED: _failed,
}


def _evicting(here: _Here, pods: Iterable[GPUPod], rules: Eviction) -> Step:
    found = list(pods)
    to_ask = tuple(pod.key for pod in found if not pod.is_going)
    refusals = [f"{pod.key} stays: {pod.refusal}" for pod in found if pod.refusal and not pod.is_going]
    what = refusals[0] if refusals else f"waits for {_named([pod.key for pod in found])} to leave"
    effects = (Evict(to_ask),) if to_ask else ()
    return here.stay(what, *effects, until_s=rules.timeout_s)


def _never_evicted(pods: Iterable[GPUPod], rules: Eviction) -> str:
    for pod in pods:
        if not pod.comes_back and not rules.force:
            return f"{pod.key} would not come back, and eviction by force is off"
        if pod.has_empty_dir and not rules.delete_empty_dir:
            return f"{pod.key} has an emptyDir that would be lost, and deleteEmptyDir is off"
    return ""


def _not_gone(pods: Iterable[GPUPod], rules: Eviction) -> str:
    found = list(pods)
    refused = next((f"{pod.key}: {pod.refusal}" for pod in found if pod.refusal), "")
    return f"{refused or _named([pod.key for pod in found])} did not leave within {rules.timeout_s:.0f} s"


def _named(keys: list[str]) -> str:
    first = ", ".join(sorted(keys)[:3])
    return first if len(keys) <= 3 else f"{first} and {len(keys) - 3} more"
