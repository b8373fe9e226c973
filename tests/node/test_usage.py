"""The one rule of what is in use, and how Allocate answers settle."""

import math
from dataclasses import replace

import pytest

from aliquot.gpu.driver import Process
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.node.advertise import Device, advertise
from aliquot.node.assignments import Claim, Places, promises
from aliquot.node.inventory import ObservedGpu, observe
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.pod_resources import Allocations, Holding
from aliquot.node.usage import SETTLE_S, SOON_S, Answer, Answers, served_claim, uses
from tests.node.machines import cut, machine

SEVENTH = "nvidia.com/mig-1g.10gb"


def sevenths() -> tuple[ObservedGpu, tuple[Device, ...]]:
    driver = machine("h100-80gb:1:mig")
    cut(driver, driver.gpus()[0], ("1g.10gb", 0), ("1g.10gb", 1), ("1g.10gb", 2))
    (observed,) = observe(driver).gpus
    return observed, advertise((observed,), MigStrategy.MIXED).devices


OBSERVED, DEVICES = sevenths()


def claim(*starts: int, count: int = 1, pod: str = "train") -> Claim:
    assigned = tuple(
        AssignedDevice(
            container="main", resource=SEVENTH, gpu=OBSERVED.gpu.uuid, profile="1g.10gb", start=start
        )
        for start in starts
    )
    return Claim(f"default/{pod}", f"uid-{pod}", "main", SEVENTH, count, assigned)


def used_starts(
    *,
    processes: tuple[Process, ...] = (),
    held: tuple[int, ...] = (),
    answered: tuple[int, ...] = (),
    claims: tuple[Claim, ...] = (),
) -> dict[int, str]:
    holdings = [Holding("default/holder", "main", SEVENTH, (DEVICES[start].id,)) for start in held]
    found = uses(
        DEVICES,
        [replace(OBSERVED, processes=processes)],
        Allocations(tuple(holdings)),
        {DEVICES[start].id for start in answered},
        promises(claims, Places(DEVICES)),
    )
    return {d.slice.placement.start: found[d.id] for d in DEVICES if d.slice and d.id in found}


def slice_of(start: int) -> tuple[int, int]:
    chosen = DEVICES[start].slice
    assert chosen is not None
    return chosen.gi_id, chosen.ci_id


def test_nothing_is_in_use_by_itself() -> None:
    assert used_starts() == {}


def test_a_holder_uses_its_slice() -> None:
    assert used_starts(held=(1,)) == {1: "default/holder"}


@pytest.mark.parametrize("with_compute_instance", [True, False])
def test_a_process_uses_its_slice(with_compute_instance: bool) -> None:
    gi, ci = slice_of(2)
    assert used_starts(processes=(Process(7, gi, ci if with_compute_instance else None, None),)) == {
        2: "process 7"
    }


def test_a_process_on_the_gpu_as_such_uses_no_slice() -> None:
    assert used_starts(processes=(Process(7, None, None, None),)) == {}


def test_an_answer_uses_its_slice() -> None:
    assert used_starts(answered=(0,)) == {0: "a pod that kubelet is admitting"}


def test_a_bound_pod_uses_what_it_was_assigned() -> None:
    assert used_starts(claims=(claim(1),)) == {1: "default/train, which is bound here for it"}


def test_a_bound_pod_without_assignment_uses_whatever_it_may_get() -> None:
    assert set(used_starts(claims=(claim(),))) == {0, 1, 2}


@pytest.mark.parametrize(("pending", "uses_all"), [(True, True), (False, False)])
def test_a_pod_whose_slice_kubelet_gave_to_another_may_get_any_like_it(pending: bool, uses_all: bool) -> None:
    """One that runs has what it got."""
    found = used_starts(held=(1,), claims=(replace(claim(1), pending=pending),))
    others = dict.fromkeys((0, 2), "default/train, which is bound here and may get it") if uses_all else {}
    assert found == {1: "default/holder", **others}


def test_an_assignment_of_what_is_not_there_uses_nothing() -> None:
    assert used_starts(claims=(claim(6),)) == {}


def test_a_process_uses_the_whole_gpu() -> None:
    driver = machine("l4:1")
    driver.start_process(driver.gpus()[0].uuid, pid=9)
    gpus = observe(driver).gpus
    devices = advertise(gpus, MigStrategy.MIXED).devices
    assert uses(devices, gpus, Allocations(), (), ()) == {devices[0].id: "process 9"}


# --- answers ---


def answers(*ids: str, at: float = 100.0) -> Answers:
    book = Answers()
    book.add(Answer(ids, at, ("uid", "main", SEVENTH)))
    return book


def listing(*ids: str, at: float, failure: str = "") -> Allocations:
    return Allocations((Holding("default/a", "main", SEVENTH, ids),), asked_at=at, failure=failure)


def test_an_answer_stands_until_kubelet_lists_all_of_it() -> None:
    book = answers("a", "b")
    book.settle(listing("a", at=101))
    assert book.device_ids() == {"a", "b"}
    book.settle(listing("a", "b", at=101))
    assert (book.device_ids(), book.claims()) == (frozenset(), frozenset())


def test_an_answer_that_kubelet_never_lists_ends() -> None:
    book = answers("a", at=100)
    book.settle(listing(at=100 + SETTLE_S - 1))
    assert len(book) == 1
    book.settle(listing(at=100 + SETTLE_S))
    assert len(book) == 0


def test_an_answer_is_looked_for_soon_or_when_it_is_given_up() -> None:
    book = answers("a", at=100)
    assert book.are_listed_soon(100 + SOON_S - 1)
    assert not book.are_listed_soon(100 + SOON_S)
    assert book.due_in_s(101) == SETTLE_S - 1
    book.settle(listing(at=101 + book.due_in_s(101)))
    assert (len(book), book.due_in_s(101)) == (0, math.inf)


def test_a_failed_question_settles_nothing() -> None:
    book = answers("a", at=100)
    book.settle(listing("a", at=999, failure="no answer"))
    assert len(book) == 1


# --- which claim an Allocate serves ---


@pytest.mark.parametrize(
    ("start", "served"),
    [(1, "b"), (2, "a")],
    ids=["the one whose device it is", "else the oldest, for kubelet chose otherwise"],
)
def test_the_claim_that_an_allocate_serves(start: int, served: str) -> None:
    claims = [claim(0, pod="a"), claim(1, pod="b")]
    found = served_claim(SEVENTH, [DEVICES[start].id], promises(claims, Places(DEVICES)))
    assert found is not None
    assert found.pod == f"default/{served}"


def test_an_allocate_of_another_count_serves_no_claim() -> None:
    assert (
        served_claim(SEVENTH, [DEVICES[0].id, DEVICES[1].id], promises([claim(0)], Places(DEVICES))) is None
    )
