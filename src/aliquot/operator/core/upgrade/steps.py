"""For each state, the next step of a node. Every function may be called again at any time, and after any of its effects."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

from msgspec.structs import replace

from aliquot.operator.core.upgrade.effects import (
    AskCheckpoint,
    Cordon,
    DeletePod,
    Effect,
    Evict,
    ForgetRequest,
    ForgetRetry,
    PauseClients,
    ResumeClients,
    Step,
    Uncordon,
    UncordonIfOurs,
)
from aliquot.operator.core.upgrade.memory import NOTHING, Memory
from aliquot.operator.core.upgrade.node import DriverPod, GPUPod, UpgradeNode, Validation
from aliquot.operator.core.upgrade.rules import MOST_RESTARTS, Eviction, Rules
from aliquot.operator.core.upgrade.states import MEMORY, UNDER_WAY, State

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

    def go(self, state: State, *effects: Effect, **remembered: Any) -> Step:
        memory = replace(self.memory, **{"since_s": self.now_s, "reason": "", **remembered})
        return Step(state, memory, effects, 0.0)

    def fail(self, why: str) -> Step:
        """The node is given back as far as it can be: with its driver, if that still runs, and to whom it was open before."""
        memory = replace(self.memory, since_s=self.now_s, reason=why, cordoned=False)
        effects = [*self.uncordon()]
        if self.memory.restarted_s is None:
            memory = replace(memory, paused=False)
            effects.append(ResumeClients())
        return Step(State.UPGRADE_FAILED, memory, tuple(effects), None, why)

    def give_back(self, *effects: Effect) -> Step:
        """As if nothing had been begun."""
        resume = (ResumeClients(),) if self.memory.paused else ()
        return Step(State.NONE, NOTHING, (*effects, *self.uncordon(), *resume), 0.0)

    def uncordon(self) -> tuple[Effect, ...]:
        if self.memory.cordoned:
            return (Uncordon(),)
        # Of an upgrade that nothing is remembered of it may be ours still.
        return (UncordonIfOurs(),) if self.node.is_cordoned else ()

    @property
    def _state(self) -> State:
        return self.node.state or State.NONE


def step(node: UpgradeNode, rules: Rules, now_s: float) -> Step | None:
    """What follows for a node that has been let start, and for one that has not. None: nothing."""
    memory = node.memory or Memory(since_s=now_s)
    here = _Here(node, memory, rules, now_s)
    if node.state in UNDER_WAY and node.memory is None:
        what = "cannot be read" if node.is_garbled else "was removed"
        # It stays so until somebody says otherwise, as after any failure: the others wait.
        here = _Here(node, replace(memory, revision=node.wanted_revision), rules, now_s)
        return here.fail(f"what was known of its upgrade is gone: the annotation {MEMORY} {what}")
    if node.state in UNDER_WAY and memory.revision != node.wanted_revision and memory.restarted_s is None:
        # The policy changed its mind before anything happened to the driver.
        here = _Here(node, replace(memory, revision=node.wanted_revision), rules, now_s)
    if node.state is None:
        return here.give_back()
    return _STEPS[node.state](here)


def release(node: UpgradeNode) -> Step | None:
    """Of a node that has no driver of ours any more: what the upgrade did to it is taken back."""
    if node.state is State.NONE and node.memory is None and not node.is_garbled:
        return None
    return _Here(node, node.memory or NOTHING, Rules(), 0.0).give_back()


def _none(here: _Here) -> Step | None:
    """Also of one that is done."""
    node = here.node
    if here.memory.cordoned or here.memory.paused or node.is_garbled:
        # Somebody took the label away in between, or edited the annotation.
        return here.give_back()
    if not node.is_outdated or node.is_skipped or not (here.rules.auto or node.is_requested):
        if not here.memory.reason:
            return None
        # It was told of a driver that does not fit, and there is none any more.
        told = replace(here.memory, reason="") if node.state is State.UPGRADE_DONE else NOTHING
        return Step(node.state or State.NONE, told)
    if node.misfit:
        if here.memory.reason == node.misfit:
            return None
        return Step(node.state or State.NONE, replace(here.memory, reason=node.misfit), waits_for=node.misfit)
    memory = Memory(revision=node.wanted_revision, since_s=here.now_s, asked=node.is_requested)
    effects = (ForgetRequest(),) if node.is_requested else ()
    return Step(State.UPGRADE_REQUIRED, memory, effects, 0.0)


def is_to_start(node: UpgradeNode, memory: Memory, rules: Rules) -> bool:
    """Of one that waits to be let start: it is still to be upgraded."""
    if node.is_skipped or node.misfit:
        return False
    if node.is_outdated:
        return rules.auto or memory.asked
    # Its driver is the one that is wanted, and failed: it is tried again.
    return memory.attempt > 1 and memory.revision == node.wanted_revision


def _required(here: _Here) -> Step | None:
    """It waits to be let start."""
    return None if is_to_start(here.node, here.memory, here.rules) else here.give_back()


def _cordon(here: _Here) -> Step:
    if here.memory.cordoned or here.node.is_cordoned:
        return here.go(State.WAIT_FOR_JOBS_REQUIRED)
    return here.go(State.WAIT_FOR_JOBS_REQUIRED, Cordon(), cordoned=True)


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
        # Remembered before it is done, so that nobody is asked twice.
        memory = replace(here.memory, checkpoint_asked_s=here.now_s)
        return Step(State.WAIT_FOR_JOBS_REQUIRED, memory, (), 0.0, "asks for checkpoints")
    # All of it is told in whole seconds.
    since_s = floor(asked_s)
    missing = [pod.key for pod in asked if (pod.last_checkpoint_s or 0.0) < since_s]
    left_s = here.rules.checkpoint_s - max(0.0, here.now_s - asked_s)
    if missing and left_s > 0:
        unasked = tuple(pod.key for pod in asked if (pod.checkpoint_asked_s or 0.0) < since_s)
        effects = (AskCheckpoint(unasked),) if unasked else ()
        return here.stay(
            f"waits for a checkpoint of {_named(missing)}", *effects, until_s=here.passed_s + left_s
        )
    return here.go(State.POD_DELETION_REQUIRED)


def _pod_deletion(here: _Here) -> Step:
    pods = here.node.gpu_pods
    if not pods:
        return here.go(State.POD_RESTART_REQUIRED, PauseClients(), paused=True)
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
        return here.go(State.POD_RESTART_REQUIRED, PauseClients(), paused=True)
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
        return here.stay(
            "waits for the operands that use the driver to leave",
            PauseClients(),
            until_s=here.rules.driver_s,
        )
    if driver is not None and not driver.is_going and not _is_to_go(driver, here):
        return _new_driver(here, driver)
    if driver is not None and here.memory.revision != node.wanted_revision:
        # The policy moved on while the last one was loading: the next has its full time.
        return here.go(State.POD_RESTART_REQUIRED, revision=node.wanted_revision)
    refused = f": {node.refused}" if node.refused else ""
    if here.passed_s >= here.rules.driver_s:
        return here.fail(f"the new driver did not start within {here.rules.driver_s:.0f} s{refused}")
    if driver is None or driver.is_going:
        return here.stay(f"waits for the pod of the new driver{refused}", until_s=here.rules.driver_s)
    if here.memory.restarted_s is None or driver.uid != here.memory.replaced:
        # Remembered before it is done: from here on the old driver is not counted on any more.
        memory = replace(here.memory, restarted_s=here.now_s, replaced=driver.uid)
        return Step(State.POD_RESTART_REQUIRED, memory, (), 0.0, "restarts the driver")
    return here.stay("restarts the driver", DeletePod(driver.key, driver.uid), until_s=here.rules.driver_s)


def _is_to_go(driver: DriverPod, here: _Here) -> bool:
    if driver.revision != here.node.wanted_revision:
        return True
    if here.memory.restarted_s is None:
        # One that failed is made anew when it is tried again, and one that waits for longer every time it could not begin.
        return here.memory.attempt > 1 or driver.is_blocked
    return bool(driver.uid) and driver.uid == here.memory.replaced


def _new_driver(here: _Here, driver: DriverPod) -> Step:
    wanted = here.node.wanted_revision
    if driver.ready:
        restarted_s = here.now_s if here.memory.restarted_s is None else here.memory.restarted_s
        return here.go(
            State.VALIDATION_REQUIRED,
            ResumeClients(),
            restarted_s=restarted_s,
            paused=False,
            revision=wanted,
        )
    said = f": {driver.message}" if driver.message else ""
    if driver.restarts > MOST_RESTARTS:
        return here.fail(f"the new driver restarted {driver.restarts} times{said}")
    if here.passed_s >= here.rules.driver_s:
        return here.fail(f"the new driver was not ready within {here.rules.driver_s:.0f} s{said}")
    return here.stay(f"waits for the new driver{said}", until_s=here.rules.driver_s)


def _validation(here: _Here) -> Step:
    node = here.node
    if node.is_outdated:
        # The policy moved on: once more, before anybody is let back.
        return here.go(
            State.POD_DELETION_REQUIRED, revision=node.wanted_revision, restarted_s=None, replaced=""
        )
    known = node.validated_s >= (here.memory.restarted_s or here.memory.since_s)
    if known and node.validation is Validation.PASSED:
        return here.go(State.UNCORDON_REQUIRED)
    said = f": {node.validation_message}" if known and node.validation_message else ""
    if here.passed_s >= here.rules.validation_s:
        return here.fail(f"not validated within {here.rules.validation_s:.0f} s after the upgrade{said}")
    return here.stay(f"waits to be validated{said}", ResumeClients(), until_s=here.rules.validation_s)


def _uncordon(here: _Here) -> Step:
    done = Memory(revision=here.memory.revision, since_s=here.now_s)
    return Step(State.UPGRADE_DONE, done, here.uncordon(), 0.0)


def _failed(here: _Here) -> Step | None:
    node = here.node
    same = here.memory.revision == node.wanted_revision
    if not node.is_retried and (same or not (here.rules.auto or node.is_requested)):
        return None
    if not node.is_outdated and not node.is_retried:
        # The policy is back to what runs there.
        return here.give_back()
    effects = (
        *((ForgetRetry(),) if node.is_retried else ()),
        *((ForgetRequest(),) if node.is_requested else ()),
    )
    memory = Memory(
        revision=node.wanted_revision,
        since_s=here.now_s,
        paused=here.memory.paused,
        asked=node.is_retried or node.is_requested,
        attempt=here.memory.attempt + 1 if same else 1,
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
        if pod.is_going:
            continue
        if not pod.comes_back and not rules.force:
            return f"{pod.key} would not come back, and eviction by force is off"
        if pod.has_empty_dir and not rules.delete_empty_dir:
            return f"{pod.key} has an emptyDir that would be lost, and deleteEmptyDir is off"
    return ""


def _not_gone(pods: Iterable[GPUPod], rules: Eviction) -> str:
    found = list(pods)
    refused = next((pod for pod in found if pod.refusal), None)
    if refused is not None:
        return f"{refused.key} did not leave within {rules.timeout_s:.0f} s: {refused.refusal}"
    return f"{_named([pod.key for pod in found])} did not leave within {rules.timeout_s:.0f} s"


def _named(keys: list[str]) -> str:
    first = ", ".join(sorted(keys)[:3])
    return first if len(keys) <= 3 else f"{first} and {len(keys) - 3} more"
