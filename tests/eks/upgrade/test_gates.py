"""When steps begin, with maintenance windows: Saturdays from 22:00, six hours."""

from datetime import UTC, datetime

import pytest

from aliquot.eks.upgrade.acts.freeze import Freeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.group_health import GroupHealth
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.gates import waits_s
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor
from aliquot.windows import Window

SATURDAYS = (Window("0 22 * * 6", 6 * 3600.0),)
FRIDAY_22 = datetime(2026, 10, 2, 22, tzinfo=UTC).timestamp()
SATURDAY_23 = datetime(2026, 10, 3, 23, tzinfo=UTC).timestamp()
DAY_S = 86400.0

ORDER = (
    State.PREFLIGHT,
    State.CONTROL_PLANE,
    State.NODES,
    State.GPU_DRAIN_PREP,
    State.GPU_DRAIN_PREP,
    State.NODES,
    State.GPU_RESTORE,
    State.KUBE_PROXY,
    State.VERIFY,
    State.ROLLBACK,
)
ACTS: dict[int, Act] = {
    3: SuspendGangs(cluster="prod", places=("gpu",)),
    6: ResumeGangs(places=("gpu",)),
}
STEPS = [
    Step(id=str(number), state=state, hop=Minor(1, 32), what="", act=ACTS.get(number, Freeze()), expected_s=0)
    for number, state in enumerate(ORDER)
]


@pytest.mark.parametrize(
    ("number", "waits"),
    [
        (0, False),
        (1, True),
        (2, True),
        (3, True),
        (4, False),
        (5, False),
        (6, False),
        (7, True),
        (8, False),
        (9, False),
    ],
)
def test_who_waits(number: int, waits: bool) -> None:
    assert waits_s(STEPS, number, SATURDAYS, FRIDAY_22) == (DAY_S if waits else 0.0)
    assert waits_s(STEPS, number, SATURDAYS, SATURDAY_23) == 0.0
    assert waits_s(STEPS, number, (), FRIDAY_22) == 0.0


def test_whether_a_roll_went_well_is_looked_at_at_once() -> None:
    acts: tuple[Act, ...] = (Freeze(), GroupHealth(cluster="prod", group="gpu", minor=Minor(1, 32)))
    steps = [
        Step(id=str(number), state=State.NODES, hop=Minor(1, 32), what="", act=act, expected_s=0)
        for number, act in enumerate(acts)
    ]
    assert [waits_s(steps, number, SATURDAYS, FRIDAY_22) for number in (0, 1)] == [DAY_S, 0.0]
