"""What is put back when a run is stopped at each of its steps."""

import pytest
from msgspec.structs import replace

from aliquot.eks.plan.undoing import has_gone_on, left, may_stop, on_its_way, stays
from aliquot.eks.upgrade.acts import group_roll, smoke_job
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.states import Abort, State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Done, Errand, Wait
from tests.eks.plan.estates import M131, M132, M133

ALL_AT_ONCE = GroupConfig(cluster="prod", name="gpu", most_unavailable=8)
AS_IT_WAS = GroupConfig(cluster="prod", name="gpu", most_unavailable=1)
HOP: tuple[tuple[str, State, Act], ...] = (
    ("preflight", State.PREFLIGHT, Preflight("prod", M131, M132)),
    ("freeze", State.FREEZE, Freeze()),
    ("roll-as", State.PRE_NODES, ALL_AT_ONCE),
    ("suspend", State.PRE_NODES, SuspendGangs(cluster="prod", places=("gpu", "gpu2"))),
    ("as-it-was", State.PRE_NODES, AS_IT_WAS),
    ("resume", State.PRE_NODES, ResumeGangs(places=("gpu2",))),
    ("control-plane", State.CONTROL_PLANE, ControlPlane("prod", M131, M132)),
    ("unfreeze", State.UNFREEZE, Unfreeze()),
    ("soak", State.SOAK, Soak("prod", 3600.0)),
)
STEPS = [
    Step(id=f"{hop}/{name}", state=state, hop=hop, what="", act=act, expected_s=0)
    for hop in (M132, M133)
    for name, state, act in HOP
]


def standing(at: int, phase: Phase) -> list[Standing]:
    return [
        Standing(
            number=number,
            step=step.id,
            phase=Phase.DONE if number < at else phase if number == at else Phase.TO_DO,
            attempt=0,
            before=(),
            told="",
            since_s=0.0,
        )
        for number, step in enumerate(STEPS)
    ]


@pytest.mark.parametrize(
    ("at", "phase", "puts_back", "stops"),
    [
        (0, Phase.TO_DO, [], Abort.FREE),
        (0, Phase.HELD, [], Abort.FREE),
        (1, Phase.TO_DO, [], Abort.FREE),
        (1, Phase.HELD, ["unfreeze"], Abort.UNDO),
        (2, Phase.TO_DO, ["unfreeze"], Abort.UNDO),
        (2, Phase.BEGUN, ["as-it-was", "unfreeze"], Abort.UNDO),
        (3, Phase.HELD, ["as-it-was", "resume", "unfreeze"], Abort.UNDO),
        (5, Phase.HELD, ["resume", "unfreeze"], Abort.UNDO),
        (6, Phase.HELD, ["unfreeze"], Abort.UNDO),
        # The control plane has gone on, whether or not the next step has begun.
        (7, Phase.TO_DO, ["unfreeze"], Abort.ROLLBACK),
        (7, Phase.HELD, ["unfreeze"], Abort.ROLLBACK),
        (8, Phase.TO_DO, [], Abort.FREE),
        (8, Phase.BEGUN, [], Abort.FREE),
        (9, Phase.TO_DO, [], Abort.FREE),
    ],
)
def test_what_was_begun_is_put_back(at: int, phase: Phase, puts_back: list[str], stops: Abort) -> None:
    found = left(STEPS, standing(at, phase))
    assert [step.id for step in found] == [f"1.32/{name}" for name in puts_back]
    assert may_stop(STEPS, standing(at, phase)) is stops


@pytest.mark.parametrize("at", range(len(HOP)))
def test_what_a_person_said_to_try_again_was_begun(at: int) -> None:
    held = standing(at, Phase.HELD)
    retried = [replace(one, phase=Phase.TO_DO, attempt=1) if one.phase is Phase.HELD else one for one in held]
    assert left(STEPS, retried) == left(STEPS, held)
    assert may_stop(STEPS, retried) is may_stop(STEPS, held)
    assert on_its_way(STEPS, retried) == on_its_way(STEPS, held)


@pytest.mark.parametrize(
    ("at", "stops"), [(1, Abort.UNDO), (6, Abort.UNDO), (7, Abort.ROLLBACK), (8, Abort.FREE)]
)
def test_a_second_hop_is_stopped_as_the_first_one_was(at: int, stops: Abort) -> None:
    found = standing(len(HOP) + at, Phase.HELD)
    assert may_stop(STEPS, found) is stops
    # What the first hop did can be taken back all the same.
    assert has_gone_on(STEPS, found)


@pytest.mark.parametrize(
    ("at", "phase", "gone", "asked"),
    [
        (6, Phase.TO_DO, False, None),
        (6, Phase.BEGUN, False, ControlPlane("prod", M131, M132)),
        (6, Phase.HELD, False, ControlPlane("prod", M131, M132)),
        (7, Phase.TO_DO, True, None),
    ],
)
def test_whether_the_control_plane_has_gone_on(
    at: int, phase: Phase, gone: bool, asked: ControlPlane | None
) -> None:
    found = standing(at, phase)
    assert has_gone_on(STEPS, found) is gone
    assert on_its_way(STEPS, found) == asked


def test_whom_nobody_gives_back_what_they_had() -> None:
    roll = GroupRoll(cluster="prod", name="gpu", minor=M132, release="")
    acts: tuple[Act, ...] = (roll, RestoreGpus(groups=("gpu", "gpu2"), minor=M132))
    steps = [replace(STEPS[number], act=act) for number, act in enumerate(acts)]
    assert stays(steps, standing(0, Phase.TO_DO)) == ()
    assert stays(steps, standing(2, Phase.TO_DO)) == ()
    for at, phase in ((0, Phase.BEGUN), (1, Phase.HELD)):
        (line,) = stays(steps, standing(at, phase))
        assert "node group gpu lack" in line


def test_each_hop_puts_back_its_own() -> None:
    second = len(HOP)
    found = left(STEPS, standing(second + 2, Phase.BEGUN))
    assert [step.id for step in found] == ["1.33/as-it-was", "1.33/unfreeze"]


def test_of_a_plan_that_is_the_rest_of_another_one_all_of_it_is_due() -> None:
    rest = [step for step in STEPS if step.id in ("1.32/as-it-was", "1.32/resume", "1.32/unfreeze")]
    standing_of_rest = [
        Standing(number=9, step=step.id, phase=Phase.TO_DO, attempt=0, before=(), told="", since_s=0.0)
        for step in rest
    ]
    assert left(rest, standing_of_rest) == tuple(rest)


@pytest.mark.parametrize(
    ("at", "phase", "goes"),
    [
        (0, Phase.TO_DO, False),
        (0, Phase.BEGUN, True),
        (1, Phase.TO_DO, True),
        (1, Phase.HELD, True),
        (2, Phase.TO_DO, False),
        (2, Phase.HELD, False),
    ],
)
def test_a_copy_that_was_begun_goes_and_the_group_that_it_is_of_never_does(
    at: int, phase: Phase, goes: bool
) -> None:
    acts: tuple[Act, ...] = (
        GroupCopy(cluster="prod", name="copy", of="gpu", minor=M132, release="", size=1),
        GroupRemoval(cluster="prod", name="copy", only_copy=True),
        GroupRemoval(cluster="prod", name="gpu", only_copy=False),
    )
    steps = [replace(STEPS[number], act=act) for number, act in enumerate(acts)]
    assert [step.act for step in left(steps, standing(at, phase))] == ([acts[1]] if goes else [])


@pytest.mark.parametrize(
    ("phase", "goes"), [(Phase.BEGUN, True), (Phase.HELD, True), (Phase.DONE, False), (Phase.TO_DO, False)]
)
def test_a_smoke_job_that_was_begun_is_taken_away(phase: Phase, goes: bool) -> None:
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {}}}}
    smoke = SmokeJob(name="nccl", manifest=manifest)
    steps = [replace(STEPS[0], id="1.32/verify/smoke/nccl", state=State.VERIFY, act=smoke)]
    one = replace(standing(0, phase)[0], step=steps[0].id)
    found = left(steps, [one])
    assert [(step.id, step.act) for step in found] == (
        [("1.32/verify/smoke/nccl/goes", replace(smoke, goes=True))] if goes else []
    )
    if found:
        # A run that is turned twice still owes it.
        assert left(found, [replace(one, step=found[0].id, phase=Phase.TO_DO)])[0].act == found[0].act


def test_a_smoke_job_that_goes_is_made_no_more() -> None:
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {}}}}
    smoke = SmokeJob(name="nccl", manifest=manifest, goes=True)
    attempt = Attempt(run="r", step="s", token="t", before=(), began_s=0, now_s=0)
    there = smoke_job.Seen((smoke_job.SeenJob(name="nccl-1"),))
    assert smoke_job.judged(smoke, there, attempt) == Errand("clean", {"names": ["nccl-1"]})
    assert isinstance(smoke_job.judged(smoke, smoke_job.Seen(()), attempt), Done)


@pytest.mark.parametrize(("phase", "waits"), [(Phase.BEGUN, True), (Phase.HELD, True), (Phase.DONE, False)])
def test_a_roll_on_its_way_is_seen_to_its_end_before_anybody_goes_on(phase: Phase, waits: bool) -> None:
    suspend = SuspendGangs(cluster="prod", places=("gpu",))
    roll = GroupRoll(cluster="prod", name="gpu", minor=M132, release="1.32.9-20260920")
    acts: list[tuple[str, Act]] = [
        ("suspend", suspend),
        ("roll", roll),
        ("resume", ResumeGangs(places=("gpu",))),
    ]
    steps = [replace(STEPS[0], id=name, state=State.NODES, act=act) for name, act in acts]
    phases = (Phase.DONE, phase, Phase.TO_DO)
    told = [
        replace(standing(0, one)[0], step=step.id, phase=one) for step, one in zip(steps, phases, strict=True)
    ]
    assert [step.id for step in left(steps, told)] == (["roll/settles"] if waits else []) + ["resume"]


@pytest.mark.parametrize(
    ("status", "verdict"), [("UPDATING", Wait), ("ACTIVE", Done), ("DEGRADED", Done), ("", Done)]
)
def test_nothing_is_begun_by_it(status: str, verdict: type) -> None:
    roll = GroupRoll(cluster="prod", name="gpu", minor=M132, release="1.32.9-20260920", only_settles=True)
    attempt = Attempt(run="r", step="s", token="t", before=(), began_s=0, now_s=0)
    assert isinstance(group_roll.judged(roll, group_roll.Seen(status=status, minor="1.31"), attempt), verdict)
