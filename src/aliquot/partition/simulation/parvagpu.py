"""The serving scenarios of ParvaGPU (SC '24, arXiv 2409.14447) as a packing case: the fewest A100s that serve them.

Each service is a model with a request rate and a latency objective. An instance runs some processes of one model under
MPS; its authors measured throughput and latency for each instance size, batch size and number of processes. As in
their program, a way to run is fast enough when a batch takes less than 0.45 of the objective: half of it is for
waiting until the batch is full, and a tenth of the rest is spare.

The throughput in their tables is of one process; here it is of the instance. Ways to run that others beat in both
latency and throughput are left out.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from math import ceil

import msgspec

from aliquot.gpu import boards
from aliquot.partition.board_states import BoardStates, states_of
from aliquot.partition.integer_program import IntegerProgram, Outcome

BOARD = "a100-80gb"
PROFILES = ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
"""Those that were measured: 1g of double memory was not."""
_PART_OF_LATENCY = 0.45
_PROVEN_WITHIN_S = 120.0
"""It takes a fraction of a second; longer where the machine has much else to do."""


class WayToRun(msgspec.Struct, frozen=True, array_like=True):
    latency_ms: float
    requests_per_s: float
    """Of all processes together."""
    processes: int
    batch: int


class Service(msgspec.Struct, frozen=True, rename="camel"):
    requests_per_s: float
    latency_ms: float


class Scenario(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    published_gpus: int
    services: Mapping[str, Service]
    """By model."""


class _Measured(msgspec.Struct, frozen=True):
    models: Mapping[str, Mapping[int, Sequence[WayToRun]]]
    """Model -> compute slices -> ways to run, by latency and by throughput."""
    scenarios: Sequence[Scenario]


@cache
def _measured() -> _Measured:
    text = resources.files("aliquot.partition.simulation").joinpath("data/parvagpu.json").read_bytes()
    return msgspec.json.decode(text, type=_Measured)


def scenarios() -> Sequence[Scenario]:
    return _measured().scenarios


def best_way(model: str, compute_slices: int, latency_ms: float) -> WayToRun | None:
    """Of those that are fast enough: the one with the most throughput."""
    ways = _measured().models[model].get(compute_slices, ())
    fast_enough = [way for way in ways if way.latency_ms < _PART_OF_LATENCY * latency_ms]
    return fast_enough[-1] if fast_enough else None


def fewest_gpus(scenario: Scenario, *, within_s: float = _PROVEN_WITHIN_S) -> tuple[int | None, bool]:
    """How many, and whether fewer are proven not to do. None: no solution was found in that time.

    Instances of a model and size are a column each, GPUs of a pattern another: rates are met, and instances of a size
    are no more than patterns give.
    """
    board = _board()
    program = IntegerProgram()
    most = ceil(sum(service.requests_per_s for service in scenario.services.values()))
    gpus = [program.column(most) for _ in board.maximal_counts]
    used: list[list[tuple[int, float]]] = [[] for _ in board.profiles]
    for model, service in scenario.services.items():
        rate: list[tuple[int, float]] = []
        for number, profile in enumerate(board.profiles):
            way = best_way(model, profile.compute_slices, service.latency_ms)
            if way is not None:
                column = program.column(most)
                rate.append((column, way.requests_per_s))
                used[number].append((column, -1))
        program.row(rate, at_least=service.requests_per_s)
    for number, taken in enumerate(used):
        given = [
            (column, counts[number])
            for column, counts in zip(gpus, board.maximal_counts, strict=True)
            if counts[number]
        ]
        program.row([*taken, *given], at_least=0)
    solution = program.minimise(dict.fromkeys(gpus, 1.0), within_s=within_s)
    if not solution.found:
        return None, False
    return round(solution.objective), solution.outcome is Outcome.OPTIMAL


def _board() -> BoardStates:
    mig = boards.board(BOARD).mig
    assert mig is not None
    return states_of(tuple(profile for profile in mig.instance_profiles() if profile.name in PROFILES))
