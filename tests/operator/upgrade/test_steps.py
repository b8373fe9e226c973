"""One row for each rule of a state: a node as it is, and what follows."""

from dataclasses import dataclass
from typing import Any

import pytest

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
    Uncordon,
    UncordonIfOurs,
)
from aliquot.operator.core.upgrade.memory import NOTHING, Memory
from aliquot.operator.core.upgrade.node import DriverPod, GPUPod, UpgradeNode, Validation
from aliquot.operator.core.upgrade.rules import Eviction, Rules
from aliquot.operator.core.upgrade.states import State
from aliquot.operator.core.upgrade.steps import release, step

NOW_S = 10_000.0
OLD = DriverPod("aliquot-system/driver-a", "v1", True, uid="a")
NEW = DriverPod("aliquot-system/driver-b", "v2", True, uid="b")
BAD = DriverPod("aliquot-system/driver-b", "v2", False, restarts=11, uid="b")
BLOCKED = DriverPod("aliquot-system/driver-b", "v2", False, restarts=3, uid="b", is_blocked=True)
S = State
AS_SHIPPED = Rules()


def at(state: State | None, *, passed_s: float = 0.0, forgot: bool = False, **more: Any) -> UpgradeNode:
    """A node in the state for so long. What `Memory` has is remembered, the rest is of the node."""
    fields = {name: more.pop(name) for name in list(more) if name in Memory.__struct_fields__}
    memory = Memory(**{"revision": "v2", "since_s": NOW_S - passed_s, **fields})
    return UpgradeNode(
        **{
            "name": "n",
            "wanted_revision": "v2",
            "state": state,
            "memory": None if forgot else memory,
            "driver": OLD,
            **more,
        }
    )


def pod(name: str = "p", **more: Any) -> GPUPod:
    return GPUPod(f"default/{name}", **more)


@dataclass(frozen=True)
class Case:
    rule: str
    node: UpgradeNode
    to: State | None
    """None: nothing follows."""
    effects: tuple[Effect, ...] = ()
    says: str = ""
    rules: Rules = AS_SHIPPED
    remembers: tuple[tuple[str, object], ...] = ()


EVICT = (Evict(("default/p",)),)
DRAIN = Rules(drain=Eviction(timeout_s=60))
BY_HAND = Rules(auto=False)
FORGOTTEN = tuple((name, getattr(NOTHING, name)) for name in Memory.__struct_fields__)
CASES = [
    # None, and done.
    Case("the driver is as it is to be", at(S.NONE, driver=NEW, forgot=True), None),
    Case("the driver is another", at(S.NONE, forgot=True), S.UPGRADE_REQUIRED, remembers=(("revision", "v2"),)),
    Case("done, and the policy has moved on", at(S.UPGRADE_DONE), S.UPGRADE_REQUIRED),
    Case("done, and nothing has changed", at(S.UPGRADE_DONE, driver=NEW), None),
    Case("no driver yet: it comes by itself", at(S.NONE, driver=None, forgot=True), None),
    Case("skipped", at(S.NONE, is_skipped=True, forgot=True), None),
    Case("by hand, and nobody asked", at(S.NONE, forgot=True), None, rules=BY_HAND),
    Case("by hand, and asked for", at(S.NONE, forgot=True, is_requested=True), S.UPGRADE_REQUIRED, (ForgetRequest(),), rules=BY_HAND, remembers=(("asked", True),)),
    Case("somebody took the label away in between", at(S.NONE, cordoned=True, paused=True), S.NONE, (Uncordon(), ResumeClients()), remembers=FORGOTTEN),
    Case("... and edited the annotation", at(S.NONE, forgot=True, is_garbled=True, is_cordoned=True), S.NONE, (UncordonIfOurs(),), remembers=FORGOTTEN),
    Case("it would not run there", at(S.NONE, misfit="kernel 6.14 is too new", forgot=True), S.NONE, says="kernel 6.14"),
    Case("that is told once", at(S.NONE, misfit="too new", reason="too new"), None),
    Case("... until it is wanted no more", at(S.NONE, driver=NEW, reason="too new"), S.NONE, remembers=FORGOTTEN),
    Case("... also of one that was done before", at(S.UPGRADE_DONE, driver=NEW, reason="too new"), S.UPGRADE_DONE, remembers=(("reason", ""), ("revision", "v2"))),
    Case("a label that is no state", at(None), S.NONE, remembers=FORGOTTEN),
    Case("... in the midst of an upgrade", at(None, cordoned=True, paused=True), S.NONE, (Uncordon(), ResumeClients())),
    Case("somebody deleted the last driver, whose users keep the next out", at(S.NONE, driver=BLOCKED, clients_running=True, forgot=True), S.UPGRADE_REQUIRED),
    Case("... also where they are nothing but jobs", at(S.UPGRADE_DONE, driver=BLOCKED, gpu_pods=(pod(),)), S.UPGRADE_REQUIRED),
    Case("... where nobody uses it that is none of the upgrade's", at(S.NONE, driver=BLOCKED, forgot=True), None),
    Case("... and by hand it is left to who asks", at(S.NONE, driver=BLOCKED, clients_running=True, forgot=True), None, rules=BY_HAND),
    # Upgrade required.
    Case("it waits to be let start", at(S.UPGRADE_REQUIRED), None),
    Case("the policy is back to what runs", at(S.UPGRADE_REQUIRED, driver=NEW), S.NONE),
    Case("skipped meanwhile", at(S.UPGRADE_REQUIRED, is_skipped=True), S.NONE),
    Case("by hand from now on", at(S.UPGRADE_REQUIRED), S.NONE, rules=BY_HAND, remembers=FORGOTTEN),
    Case("... but for those asked for", at(S.UPGRADE_REQUIRED, asked=True), None, rules=BY_HAND),
    Case("what failed is tried again though its driver is the one wanted", at(S.UPGRADE_REQUIRED, driver=BAD, attempt=2), None),
    Case("... unless the policy is back to what runs", at(S.UPGRADE_REQUIRED, driver=NEW, attempt=2, revision="v3", paused=True), S.NONE, (ResumeClients(),)),
    Case("a driver that is kept out waits to be let start", at(S.UPGRADE_REQUIRED, driver=BLOCKED, clients_running=True), None),
    # Cordon.
    Case("closed", at(S.CORDON_REQUIRED), S.WAIT_FOR_JOBS_REQUIRED, (Cordon(),), remembers=(("cordoned", True),)),
    Case("closed before, by somebody", at(S.CORDON_REQUIRED, is_cordoned=True), S.WAIT_FOR_JOBS_REQUIRED, remembers=(("cordoned", False),)),
    # Jobs.
    Case("nobody is waited for", at(S.WAIT_FOR_JOBS_REQUIRED, gpu_pods=(pod(),)), S.POD_DELETION_REQUIRED),
    Case("a job is waited for", at(S.WAIT_FOR_JOBS_REQUIRED, gpu_pods=(pod(is_waited_for=True),)), S.WAIT_FOR_JOBS_REQUIRED, says="default/p to end", rules=Rules(wait_for_jobs_s=None)),
    Case("... for so long", at(S.WAIT_FOR_JOBS_REQUIRED, passed_s=60, gpu_pods=(pod(is_waited_for=True),)), S.POD_DELETION_REQUIRED, rules=Rules(wait_for_jobs_s=60)),
    Case("one that is going is no job any more", at(S.WAIT_FOR_JOBS_REQUIRED, gpu_pods=(pod(is_waited_for=True, is_going=True),)), S.POD_DELETION_REQUIRED, rules=Rules(wait_for_jobs_s=None)),
    Case("that they are asked to save is remembered first", at(S.WAIT_FOR_JOBS_REQUIRED, gpu_pods=(pod(can_checkpoint=True), pod("q"))), S.WAIT_FOR_JOBS_REQUIRED, remembers=(("checkpoint_asked_s", NOW_S),)),
    Case("who can is asked", at(S.WAIT_FOR_JOBS_REQUIRED, checkpoint_asked_s=NOW_S - 5, gpu_pods=(pod(can_checkpoint=True, last_checkpoint_s=NOW_S - 6), pod("q"))), S.WAIT_FOR_JOBS_REQUIRED, (AskCheckpoint(("default/p",)),), says="a checkpoint of default/p"),
    Case("... once", at(S.WAIT_FOR_JOBS_REQUIRED, checkpoint_asked_s=NOW_S - 5, gpu_pods=(pod(can_checkpoint=True, checkpoint_asked_s=NOW_S - 5),)), S.WAIT_FOR_JOBS_REQUIRED, says="a checkpoint of default/p"),
    Case("it has saved", at(S.WAIT_FOR_JOBS_REQUIRED, checkpoint_asked_s=NOW_S - 5, gpu_pods=(pod(can_checkpoint=True, last_checkpoint_s=NOW_S - 4),)), S.POD_DELETION_REQUIRED),
    Case("within the second in which it was asked", at(S.WAIT_FOR_JOBS_REQUIRED, checkpoint_asked_s=NOW_S - 4.3, gpu_pods=(pod(can_checkpoint=True, last_checkpoint_s=NOW_S - 5),)), S.POD_DELETION_REQUIRED),
    Case("it does not answer", at(S.WAIT_FOR_JOBS_REQUIRED, checkpoint_asked_s=NOW_S - 300, gpu_pods=(pod(can_checkpoint=True),)), S.POD_DELETION_REQUIRED),
    Case("nobody is to be asked", at(S.WAIT_FOR_JOBS_REQUIRED, gpu_pods=(pod(can_checkpoint=True),)), S.POD_DELETION_REQUIRED, rules=Rules(checkpoint_s=0)),
    # Pods with GPUs.
    Case("none: the operands go", at(S.POD_DELETION_REQUIRED), S.POD_RESTART_REQUIRED, (PauseClients(),), remembers=(("paused", True),)),
    Case("pods are evicted", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(),)), S.POD_DELETION_REQUIRED, EVICT, "default/p to leave"),
    Case("a budget says no", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(refusal="budget b"),)), S.POD_DELETION_REQUIRED, EVICT, "default/p stays: budget b"),
    Case("one on its way is not asked again", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(is_going=True),)), S.POD_DELETION_REQUIRED),
    Case("in time they did not go: as before", at(S.POD_DELETION_REQUIRED, passed_s=300, cordoned=True, gpu_pods=(pod(refusal="budget b"),)), S.UPGRADE_FAILED, (Uncordon(), ResumeClients()), "default/p did not leave within 300 s: budget b"),
    Case("closed by somebody: it stays closed", at(S.POD_DELETION_REQUIRED, passed_s=300, gpu_pods=(pod(),)), S.UPGRADE_FAILED, (ResumeClients(),)),
    Case("the last resort", at(S.POD_DELETION_REQUIRED, passed_s=300, gpu_pods=(pod(),)), S.DRAIN_REQUIRED, rules=DRAIN),
    Case("who would not come back is left", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(comes_back=False),)), S.UPGRADE_FAILED, (ResumeClients(),), "default/p would not come back"),
    Case("... but by force", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(comes_back=False),)), S.POD_DELETION_REQUIRED, EVICT, rules=Rules(eviction=Eviction(force=True))),
    Case("an emptyDir is not lost", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(has_empty_dir=True),)), S.UPGRADE_FAILED, (ResumeClients(),), "emptyDir"),
    Case("who goes anyway need not be let", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(comes_back=False, is_going=True),)), S.POD_DELETION_REQUIRED),
    Case("... unless it may be", at(S.POD_DELETION_REQUIRED, gpu_pods=(pod(has_empty_dir=True),)), S.POD_DELETION_REQUIRED, EVICT, rules=Rules(eviction=Eviction(delete_empty_dir=True))),
    # Drain.
    Case("drained", at(S.DRAIN_REQUIRED), S.POD_RESTART_REQUIRED, (PauseClients(),), rules=DRAIN),
    Case("others go as well", at(S.DRAIN_REQUIRED, other_pods=(pod("q"),)), S.DRAIN_REQUIRED, (Evict(("default/q",)),), rules=DRAIN),
    Case("they do not", at(S.DRAIN_REQUIRED, passed_s=60, cordoned=True, other_pods=(pod("q"),)), S.UPGRADE_FAILED, (Uncordon(), ResumeClients()), "default/q did not leave", rules=DRAIN),
    # The driver.
    Case("its clients first", at(S.POD_RESTART_REQUIRED, clients_running=True), S.POD_RESTART_REQUIRED, (PauseClients(),), "operands"),
    Case("they stay: as before", at(S.POD_RESTART_REQUIRED, clients_running=True, passed_s=1200), S.UPGRADE_FAILED, (ResumeClients(),), "did not leave the node"),
    Case("a pod came in between", at(S.POD_RESTART_REQUIRED, gpu_pods=(pod(),)), S.POD_DELETION_REQUIRED),
    Case("what is about to be done is remembered first", at(S.POD_RESTART_REQUIRED), S.POD_RESTART_REQUIRED, remembers=(("restarted_s", NOW_S), ("replaced", "a"))),
    Case("the old one goes", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, replaced="a"), S.POD_RESTART_REQUIRED, (DeletePod(OLD.key, "a"),)),
    Case("one that failed is made anew when it is tried again", at(S.POD_RESTART_REQUIRED, driver=BAD, attempt=2), S.POD_RESTART_REQUIRED, remembers=(("replaced", "b"),)),
    Case("... it goes", at(S.POD_RESTART_REQUIRED, driver=BAD, attempt=2, restarted_s=NOW_S, replaced="b"), S.POD_RESTART_REQUIRED, (DeletePod(BAD.key, "b"),)),
    Case("... and the next comes", at(S.POD_RESTART_REQUIRED, driver=DriverPod("d", "v2", False, uid="c"), attempt=2, restarted_s=NOW_S, replaced="b"), S.POD_RESTART_REQUIRED, says="waits for the new driver"),
    Case("one that was kept out is made anew, and need not wait for its next try", at(S.POD_RESTART_REQUIRED, driver=BLOCKED), S.POD_RESTART_REQUIRED, remembers=(("replaced", "b"),)),
    Case("the policy moves on while it loads: in its own time", at(S.POD_RESTART_REQUIRED, revision="v1.5", passed_s=1200, restarted_s=NOW_S, replaced="z"), S.POD_RESTART_REQUIRED, remembers=(("revision", "v2"), ("since_s", NOW_S))),
    Case("... and goes as well", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S - 9, replaced="z"), S.POD_RESTART_REQUIRED, remembers=(("replaced", "a"), ("restarted_s", NOW_S))),
    Case("the next is made", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, driver=None), S.POD_RESTART_REQUIRED, says="the pod of the new driver"),
    Case("it loads", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, driver=DriverPod("d", "v2", False, message="compiling")), S.POD_RESTART_REQUIRED, says="compiling"),
    Case("it runs", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, paused=True, driver=NEW), S.VALIDATION_REQUIRED, (ResumeClients(),), remembers=(("paused", False),)),
    Case("it does not come up: open, and without a driver that counts", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, passed_s=1200, cordoned=True, paused=True, driver=DriverPod("d", "v2", False)), S.UPGRADE_FAILED, (Uncordon(),), "not ready within 1200 s"),
    Case("it starts over and over", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, cordoned=True, driver=BAD), S.UPGRADE_FAILED, (Uncordon(),), "restarted 11 times", remembers=(("cordoned", False),)),
    Case("nobody makes it", at(S.POD_RESTART_REQUIRED, restarted_s=NOW_S, passed_s=1200, driver=None), S.UPGRADE_FAILED, (), "did not start"),
    # Validation, and the end.
    Case("validated since", at(S.VALIDATION_REQUIRED, driver=NEW, restarted_s=NOW_S - 9, validation=Validation.PASSED, validated_s=NOW_S), S.UNCORDON_REQUIRED),
    Case("validated before: that does not count", at(S.VALIDATION_REQUIRED, driver=NEW, restarted_s=NOW_S - 9, validation=Validation.PASSED, validated_s=NOW_S - 10), S.VALIDATION_REQUIRED, (ResumeClients(),)),
    Case("not in time", at(S.VALIDATION_REQUIRED, driver=NEW, passed_s=600, cordoned=True, restarted_s=NOW_S - 700), S.UPGRADE_FAILED, (Uncordon(),), "not validated within 600 s"),
    Case("with the reason", at(S.VALIDATION_REQUIRED, driver=NEW, restarted_s=NOW_S - 9, validation=Validation.FAILED, validated_s=NOW_S, validation_message="no device"), S.VALIDATION_REQUIRED, (ResumeClients(),), "validated: no device"),
    Case("the policy moves on: once more, before anybody is let back", at(S.VALIDATION_REQUIRED, driver=OLD, restarted_s=NOW_S - 9, replaced="z", revision="v1.5"), S.POD_DELETION_REQUIRED, remembers=(("revision", "v2"), ("restarted_s", None), ("replaced", ""))),
    Case("open again", at(S.UNCORDON_REQUIRED, cordoned=True), S.UPGRADE_DONE, (Uncordon(),), remembers=(("cordoned", False), ("revision", "v2"))),
    Case("closed by somebody before: closed", at(S.UNCORDON_REQUIRED), S.UPGRADE_DONE),
    # Failed.
    Case("failed stays failed", at(S.UPGRADE_FAILED, driver=NEW, validation=Validation.PASSED, validated_s=NOW_S), None),
    Case("tried again", at(S.UPGRADE_FAILED, is_retried=True), S.UPGRADE_REQUIRED, (ForgetRetry(),), remembers=(("attempt", 2),)),
    Case("rolled back to what ran", at(S.UPGRADE_FAILED, revision="v3", paused=True), S.UPGRADE_REQUIRED, remembers=(("revision", "v2"), ("attempt", 1), ("paused", True))),
    Case("... not where all is done by hand", at(S.UPGRADE_FAILED, revision="v3"), None, rules=BY_HAND),
    Case("... but when it is asked for", at(S.UPGRADE_FAILED, revision="v3", is_requested=True), S.UPGRADE_REQUIRED, (ForgetRequest(),), rules=BY_HAND, remembers=(("asked", True),)),
    Case("the policy is back to what still runs", at(S.UPGRADE_FAILED, revision="v3", driver=NEW, paused=True), S.NONE, (ResumeClients(),)),
    # What others do.
    Case("the annotation is gone in between", at(S.DRAIN_REQUIRED, forgot=True, is_cordoned=True), S.UPGRADE_FAILED, (UncordonIfOurs(), ResumeClients()), "annotation aliquot.dev/driver-upgrade was removed"),
    Case("... or nobody can read it", at(S.DRAIN_REQUIRED, forgot=True, is_garbled=True), S.UPGRADE_FAILED, (ResumeClients(),), "annotation aliquot.dev/driver-upgrade cannot be read", remembers=(("revision", "v2"),)),
    Case("the policy moves on before the driver is touched", at(S.WAIT_FOR_JOBS_REQUIRED, revision="v1.5"), S.POD_DELETION_REQUIRED, remembers=(("revision", "v2"),)),
    Case("a clock that was set back has not passed", at(S.POD_DELETION_REQUIRED, passed_s=-9000, gpu_pods=(pod(),)), S.POD_DELETION_REQUIRED, EVICT),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_follows(case: Case) -> None:
    found = step(case.node, case.rules, NOW_S)
    if case.to is None:
        assert found is None
        return
    assert found is not None
    assert (found.state, found.effects) == (case.to, case.effects)
    assert case.says in found.waits_for
    assert {name: getattr(found.memory, name) for name, _ in case.remembers} == dict(case.remembers)


@pytest.mark.parametrize(
    ("node", "effects"),
    [
        (at(S.NONE, forgot=True), None),
        (at(S.NONE, forgot=True, is_garbled=True, is_cordoned=True), (UncordonIfOurs(),)),
        (at(S.UPGRADE_REQUIRED), ()),
        (at(S.DRAIN_REQUIRED, cordoned=True), (Uncordon(),)),
        (at(S.DRAIN_REQUIRED), ()),
        (at(S.POD_RESTART_REQUIRED, cordoned=True, paused=True), (Uncordon(), ResumeClients())),
        (at(S.UPGRADE_FAILED, paused=True, is_cordoned=True), (UncordonIfOurs(), ResumeClients())),
        (at(S.UPGRADE_DONE), ()),
        (at(None, cordoned=True), (Uncordon(),)),
    ],
    ids=lambda one: str(getattr(one, "state", "")),
)
def test_who_has_no_driver_of_ours_any_more_is_as_before(
    node: UpgradeNode, effects: tuple[Effect, ...] | None
) -> None:
    found = release(node)
    if effects is None:
        assert found is None
    else:
        assert found is not None
        assert (found.state, found.memory, found.effects) == (S.NONE, NOTHING, effects)
