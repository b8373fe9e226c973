"""Scores of many nodes at once come to what the core's functions say of each."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task, fgd_score, fragmentation, typical
from aliquot.scheduler.core.worth import Worth
from aliquot.scheduler.simulation.fgd import Fgd
from aliquot.scheduler.simulation.fleet import Fleet
from aliquot.scheduler.simulation.keeping_worth import KeepingWorth
from aliquot.scheduler.simulation.trace import Node, Pod

DEMAND = {
    Task(3000, 810, 1): 300,
    Task(11_900, 470, 1): 200,
    Task(4000, 320, 1): 150,
    Task(11_300, 1000, 1): 400,
    Task(8000, 1000, 1, frozenset({"A"})): 100,
    Task(32_000): 80,
    Task(88_000, 1000, 8): 60,
    Task(20_000, 1000, 2): 60,
}


def used(seed: int) -> Fleet:
    """Nodes with pods on them."""
    rng = Random(seed)
    nodes = [
        Node(f"n{n}", rng.choice((16, 96, 128)) * 1000, 10**6, rng.choice((1, 2, 4, 8)), rng.choice("AB"))
        for n in range(40)
    ]
    fleet = Fleet(nodes)
    for number in range(150):
        pod = Pod(f"p{number}", rng.choice(list(DEMAND)), 1)
        row = rng.randrange(len(nodes))
        able = [gpu for gpu, left in enumerate(fleet.parts[row]) if left >= pod.task.gpu_milli]
        if fleet.fits(pod, np.array([row]))[0]:
            fleet.take(pod, row, rng.sample(able, pod.task.gpus))
    return fleet


def placements(fleet: Fleet, row: int, task: Task) -> dict[tuple[int, ...], list[int]]:
    """What is left of the GPUs, by those that the task takes."""
    parts = fleet.parts[row]
    if task.gpus == 0:
        return {(): parts}
    able = [gpu for gpu, left in enumerate(parts) if left >= task.gpu_milli]
    choices = [(gpu,) for gpu in able] if task.gpu_milli < WHOLE_MILLI else [tuple(able[: task.gpus])]
    return {
        gpus: [left - task.gpu_milli * (gpu in gpus) for gpu, left in enumerate(parts)] for gpus in choices
    }


@pytest.mark.parametrize("seed", range(5))
def test_fgd(seed: int) -> None:
    fleet = used(seed)
    policy, popularity = Fgd(fleet, DEMAND), typical(DEMAND)

    def score(row: int, task: Task, after: list[int]) -> int:
        model, cpu = fleet.nodes[row].model, int(fleet.cpu_milli[row])
        before = fragmentation(cpu, fleet.parts[row], model, popularity)
        return fgd_score(before, fragmentation(cpu - task.cpu_milli, after, model, popularity))

    for task in DEMAND:
        rows = np.flatnonzero(fleet.fits(Pod("p", task, 1), np.arange(len(fleet))))
        for row, found in zip(rows.tolist(), policy.scores(task, rows).tolist(), strict=True):
            scores = {gpus: score(row, task, after) for gpus, after in placements(fleet, row, task).items()}
            best = max(scores.values())
            assert found == best
            if task.gpus:
                chosen = tuple(policy.gpus(task, row))
                assert chosen == next(gpus for gpus, value in scores.items() if value == best)


@pytest.mark.parametrize("seed", range(5))
def test_keeping_worth(seed: int) -> None:
    fleet = used(seed)
    supply: Counter[str] = Counter()
    for node in fleet.nodes:
        supply[node.model] += node.gpus
    policy, worth = KeepingWorth(fleet, DEMAND), Worth(DEMAND, supply, 8)
    for task in DEMAND:
        rows = np.flatnonzero(fleet.fits(Pod("p", task, 1), np.arange(len(fleet))))
        for row, found in zip(rows.tolist(), policy.scores(task, rows).tolist(), strict=True):
            model, cpu = fleet.nodes[row].model, int(fleet.cpu_milli[row])
            before = worth(cpu, fleet.parts[row], model)
            changes = {
                gpus: worth(cpu - task.cpu_milli, after, model) - before
                for gpus, after in placements(fleet, row, task).items()
            }
            assert found == pytest.approx(max(changes.values()), abs=1e-9)
            if task.gpus:
                chosen = tuple(policy.gpus(task, row))
                assert changes[chosen] == pytest.approx(max(changes.values()), abs=1e-9)


@pytest.mark.parametrize("policy", [Fgd, KeepingWorth])
def test_what_was_taken_is_seen(policy: type[Fgd] | type[KeepingWorth]) -> None:
    """A policy that followed a fleet scores as one that meets it as it is."""
    fleet = used(9)
    following = policy(fleet, DEMAND)
    rows = np.arange(len(fleet))
    for task in DEMAND:
        able = rows[fleet.fits(Pod("p", task, 1), rows)]
        if len(able):
            row = int(able[0])
            fleet.take(Pod("p", task, 1), row, following.gpus(task, row) if task.gpus else ())
            following.took(task, row)
    task = Task(100, 110, 1)
    able = rows[fleet.fits(Pod("p", task, 1), rows)]
    assert following.scores(task, able).tolist() == policy(fleet, DEMAND).scores(task, able).tolist()
