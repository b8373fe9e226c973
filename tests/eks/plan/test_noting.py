"""What is said beside the steps of groups whose old nodes go first."""

import pytest

from aliquot.eks.estate.estate import Estate
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan
from aliquot.windows import Window
from tests.eks.plan.estates import M132, TARGETS, estate, gpus, group, objects

CPU = group("cpu", strategy="MINIMAL")
GPU = gpus("gpu", taints=("nvidia.com/gpu=:NoSchedule",))


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (estate(CPU, GPU), True),
        (estate(CPU), True),
        (estate(group("cpu"), GPU), False),
        (estate(CPU, group("more")), False),
        (estate(CPU, group("none", 0)), True),
        (estate(CPU, group("soft", taints=("a=b:PreferNoSchedule",))), False),
        (estate(CPU, addons=()), False),
        (estate(CPU, objects=objects([{"metadata": {"name": "own"}}], [])), False),
        (
            estate(
                CPU,
                objects=objects(
                    [{"metadata": {"name": "own"}, "spec": {"taints": [{"effect": "NoSchedule"}]}}], []
                ),
            ),
            True,
        ),
    ],
)
def test_where_nobody_can_go_while_old_nodes_go_first_that_is_said(of: Estate, says: bool) -> None:
    notes = plan(of, M132, TARGETS, Options()).notes
    assert any("CoreDNS has nowhere to go" in note for note in notes) is says


def test_without_room_for_more_nodes_it_is_the_same() -> None:
    notes = plan(estate(group("cpu")), M132, TARGETS, Options(no_surge=("cpu",))).notes
    assert any(note.startswith("node group cpu is rolled with its old nodes first") for note in notes)


@pytest.mark.parametrize(("hours", "says"), [(0.5, True), (24.0, False)])
def test_a_window_that_is_shorter_than_a_hop_is_told(hours: float, says: bool) -> None:
    windows = (Window("0 22 * * 6", hours * 3600.0), Window("0 22 * * 0", 900.0))
    notes = plan(estate(group("cpu")), M132, TARGETS, Options(windows=windows)).notes
    assert any("a window is open for 30 min at most" in note for note in notes) is says
    assert not any(
        "a window is open" in one for one in plan(estate(group("cpu")), M132, TARGETS, Options()).notes
    )
