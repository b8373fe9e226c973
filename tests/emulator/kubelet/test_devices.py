"""The device table: a row of each table reads as a rule of kubelet's device manager."""

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aliquot.emulator.kubelet.devices import (
    GRACE_AFTER_STOP_S,
    AllocationError,
    Device,
    DeviceTable,
    is_extended_resource,
)

GPU = "nvidia.com/gpu"
SLICE = "nvidia.com/mig-1g.10gb"


def devices(*ids: str, healthy: bool = True, numa: tuple[int, ...] = ()) -> tuple[Device, ...]:
    return tuple(Device(id=device_id, healthy=healthy, numa_nodes=numa) for device_id in ids)


def in_order(ids: Iterable[str]) -> list[str]:
    return sorted(ids)


def table_with(*ids: str, resource: str = GPU) -> DeviceTable:
    table = DeviceTable()
    table.connect(resource)
    table.update(resource, devices(*ids))
    return table


def hold(table: DeviceTable, pod: str, container: str, size: int, resource: str = GPU) -> tuple[str, ...]:
    """Allocate as the device manager does, for a plugin without preferences."""
    choice = table.choose(pod, container, resource, size)
    assert choice is not None
    ids = choice.settle((), in_order)
    table.commit(pod, container, resource, ids, b"")
    return ids


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("nvidia.com/gpu", True),
        ("nvidia.com/mig-1g.10gb", True),
        ("nvidia.com/mig-1g.10gb+me", False),
        ("class.aliquot.dev/small", True),
        ("gpu", False),
        ("kubernetes.io/gpu", False),
        ("pool.kubernetes.io/gpu", False),
        ("requests.nvidia.com/gpu", False),
        ("Nvidia.com/gpu", False),
        ("nvidia.com/", False),
        ("/gpu", False),
        ("nvidia.com/a/b", False),
        ("nvidia.com/" + "a" * 63, True),
        ("nvidia.com/" + "a" * 64, False),
    ],
)
def test_resource_names_that_a_plugin_may_register(name: str, valid: bool) -> None:
    assert is_extended_resource(name) is valid


def test_a_plugin_may_register_with_zero_devices() -> None:
    table = table_with()
    assert (table.capacity(), table.allocatable()) == ({GPU: 0}, {GPU: 0})


def test_unhealthy_devices_count_in_capacity_only() -> None:
    table = DeviceTable()
    table.connect(GPU)
    table.update(GPU, devices("a", "b") + devices("c", healthy=False))
    assert (table.capacity(), table.allocatable()) == ({GPU: 3}, {GPU: 2})


def test_a_list_replaces_the_one_before() -> None:
    table = table_with("a", "b")
    table.update(GPU, devices("b", "c", "d"))
    assert [device.id for device in table.healthy_devices()[GPU]] == ["b", "c", "d"]


def test_of_two_devices_with_one_id_the_last_counts() -> None:
    table = DeviceTable()
    table.connect(GPU)
    table.update(GPU, devices("a") + devices("a", healthy=False))
    assert (table.capacity(), table.allocatable()) == ({GPU: 1}, {GPU: 0})


def test_a_lost_plugin_leaves_its_resource_with_nothing_allocatable() -> None:
    table = table_with("a", "b")
    table.disconnect(GPU, now=100.0)
    assert (table.capacity(), table.allocatable()) == ({GPU: 2}, {GPU: 0})


@pytest.mark.parametrize(
    ("later_s", "forgotten"), [(0.0, ()), (GRACE_AFTER_STOP_S, ()), (GRACE_AFTER_STOP_S + 1, (GPU,))]
)
def test_a_lost_plugin_is_forgotten_after_the_grace_period(
    later_s: float, forgotten: tuple[str, ...]
) -> None:
    table = table_with("a")
    table.disconnect(GPU, now=100.0)
    assert table.expire(100.0 + later_s) == forgotten
    assert (GPU in table.capacity()) is not bool(forgotten)


def test_a_plugin_that_comes_back_within_the_grace_period_is_not_forgotten() -> None:
    table = table_with("a")
    table.disconnect(GPU, now=100.0)
    table.connect(GPU)
    assert table.expire(1000.0) == ()
    # Its devices stay unhealthy until it lists them again.
    assert table.allocatable() == {GPU: 0}


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "too few",
            "requested number of devices unavailable for nvidia.com/gpu. Requested: 9, Available: 3",
        ),
        ("unregistered", "cannot allocate unregistered device nvidia.com/gpu"),
        ("unhealthy", "no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu"),
        ("lost", "no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu"),
        (
            "held one lost",
            "previously allocated devices are no longer healthy; cannot allocate unhealthy devices nvidia.com/gpu",
        ),
        (
            "other size",
            'pod "pod" container "main" changed request for resource "nvidia.com/gpu" from 1 to 2',
        ),
    ],
)
def test_a_refusal_is_in_kubelets_words(case: str, message: str) -> None:
    table = table_with("a", "b", "c")
    size = 1
    match case:
        case "too few":
            size = 9
        case "unregistered":
            table = DeviceTable()
        case "unhealthy":
            table.update(GPU, devices("a", "b", healthy=False))
        case "lost":
            table.disconnect(GPU, now=0.0)
        case "held one lost":
            hold(table, "pod", "main", 1)
            table.update(GPU, devices("b", "c"))
        case "other size":
            hold(table, "pod", "main", 1)
            size = 2
    with pytest.raises(AllocationError) as caught:
        table.choose("pod", "main", GPU, size)
    assert str(caught.value) == message


def test_nothing_is_chosen_for_a_container_that_holds_its_devices() -> None:
    table = table_with("a", "b")
    hold(table, "pod", "main", 1)
    assert table.choose("pod", "main", GPU, 1) is None


def test_nothing_is_chosen_for_a_request_of_zero() -> None:
    assert table_with("a").choose("pod", "main", GPU, 0) is None


def test_only_free_devices_are_offered() -> None:
    table = table_with("a", "b", "c")
    hold(table, "one", "main", 1)
    choice = table.choose("two", "main", GPU, 1)
    assert choice is not None
    assert choice.free == {"b", "c"}


@pytest.mark.parametrize(
    ("preferred", "chosen"),
    [
        ((), ("a", "b")),
        (("d", "c"), ("d", "c")),
        (("d",), ("d", "a")),
        (("x", "d"), ("d", "a")),
        (("d", "c", "b"), ("d", "c")),
        (("d", "d"), ("d", "a")),
    ],
    ids=["none", "all", "some", "unknown", "too many", "twice"],
)
def test_a_preference_is_followed_as_far_as_it_goes(
    preferred: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    choice = table_with("a", "b", "c", "d").choose("pod", "main", GPU, 2)
    assert choice is not None
    assert choice.settle(preferred, in_order) == chosen


def test_devices_of_an_init_container_are_used_again() -> None:
    table = table_with("a", "b", "c")
    table.commit("pod", "init", GPU, ("c",), b"")
    reusable = table.reusable("pod", GPU, {"init"})
    choice = table.choose("pod", "main", GPU, 2, reusable=reusable)
    assert choice is not None
    assert choice.reused == ("c",)
    assert choice.free == {"a", "b"}
    assert not choice.complete
    assert choice.settle(("b",), in_order) == ("c", "b")


def test_devices_that_one_container_took_over_are_not_used_by_the_next() -> None:
    table = table_with("a", "b")
    table.commit("pod", "init", GPU, ("a",), b"")
    table.commit("pod", "main", GPU, ("a",), b"")
    assert table.reusable("pod", GPU, {"init"}) == frozenset()


def test_a_sidecar_keeps_its_devices() -> None:
    table = table_with("a", "b")
    table.commit("pod", "sidecar", GPU, ("a",), b"")
    assert table.reusable("pod", GPU, set()) == frozenset()


def test_withdrawn_devices_stay_with_their_holder() -> None:
    table = table_with("a", "b")
    hold(table, "pod", "main", 2)
    table.update(GPU, devices("b"))
    assert table.held_by("pod")["main"][GPU].ids == ("a", "b")


def test_reclaimed_devices_are_free_again() -> None:
    table = table_with("a")
    hold(table, "ended", "main", 1)
    assert table.reclaim({"other"}) == ("ended",)
    assert hold(table, "next", "main", 1) == ("a",)


def test_allocations_remember_numa_nodes() -> None:
    table = DeviceTable()
    table.connect(GPU)
    table.update(GPU, devices("a", numa=(0,)) + devices("b", numa=(0, 1)) + devices("c"))
    hold(table, "pod", "main", 3)
    assert table.held_by("pod")["main"][GPU].numa == {-1: ("c",), 0: ("a", "b"), 1: ("b",)}


def test_the_health_of_what_a_pod_holds() -> None:
    table = table_with("a", "b", "c")
    hold(table, "pod", "main", 3)
    table.update(GPU, devices("a") + devices("b", healthy=False))
    assert table.health("pod") == {"main": {GPU: {"a": "Healthy", "b": "Unhealthy", "c": "Unknown"}}}
    assert (table.holders(GPU), table.holders(SLICE)) == (("pod",), ())


@pytest.mark.parametrize(
    ("case", "managed"), [("never registered", False), ("registered", True), ("held, forgotten", True)]
)
def test_resources_that_admission_looks_at(case: str, managed: bool) -> None:
    table = DeviceTable() if case == "never registered" else table_with("a")
    if case == "held, forgotten":
        hold(table, "pod", "main", 1)
        table.disconnect(GPU, now=0.0)
        table.expire(GRACE_AFTER_STOP_S + 1)
    assert table.manages(GPU) is managed


def test_a_restored_table_keeps_allocations_and_has_no_capacity() -> None:
    table = table_with("a", "b")
    table.commit("pod", "main", GPU, ("b",), b"\x00answer")
    again = DeviceTable()
    again.restore(table.snapshot(), now=500.0)
    assert again.held_by("pod") == table.held_by("pod")
    assert (again.capacity(), again.allocatable()) == ({GPU: 0}, {GPU: 0})
    again.connect(GPU)
    again.update(GPU, devices("a", "b"))
    assert hold(again, "next", "main", 1) == ("a",)


class Allocations(RuleBasedStateMachine):
    """Whatever plugins list and pods ask: no device in two pods' hands, none lost, none made up."""

    def __init__(self) -> None:
        super().__init__()
        self.table = DeviceTable()
        self.listed: dict[str, set[str]] = {}
        self.pods: dict[str, dict[str, set[str]]] = {}
        self.made = 0

    @initialize()
    def register(self) -> None:
        for resource in (GPU, SLICE):
            self.table.connect(resource)
            self.listed[resource] = set()

    @rule(
        resource=st.sampled_from([GPU, SLICE]),
        ids=st.sets(st.sampled_from("abcdefgh")),
        sick=st.sets(st.sampled_from("abcdefgh")),
    )
    def list_devices(self, resource: str, ids: set[str], sick: set[str]) -> None:
        self.table.connect(resource)
        self.table.update(
            resource, [Device(id=device_id, healthy=device_id not in sick) for device_id in sorted(ids)]
        )
        self.listed[resource] = ids - sick

    @rule(resource=st.sampled_from([GPU, SLICE]))
    def lose_plugin(self, resource: str) -> None:
        if resource in self.table.capacity():
            self.table.disconnect(resource, now=0.0)
            self.listed[resource] = set()

    @rule(
        resource=st.sampled_from([GPU, SLICE]),
        size=st.integers(1, 4),
        preferred=st.lists(st.sampled_from("abcdefgh"), max_size=4),
    )
    def allocate(self, resource: str, size: int, preferred: list[str]) -> None:
        self.made += 1
        pod = f"pod-{self.made}"
        taken = {d for held in self.pods.values() for d in held.get(resource, ())}
        free = self.listed[resource] - taken
        try:
            choice = self.table.choose(pod, "main", resource, size)
        except AllocationError:
            assert len(free) < size or not self.listed[resource]
            return
        assert choice is not None
        ids = choice.settle(preferred, in_order)
        self.table.commit(pod, "main", resource, ids, b"")
        assert len(set(ids)) == len(ids) == size
        assert set(ids) <= free
        self.pods[pod] = {resource: set(ids)}

    @rule(data=st.data())
    def end_pod(self, data: st.DataObject) -> None:
        if self.pods:
            ended = data.draw(st.sampled_from(sorted(self.pods)))
            del self.pods[ended]
            assert self.table.reclaim(self.pods) == (ended,)

    @rule()
    def restart(self) -> None:
        snapshot = self.table.snapshot()
        self.table = DeviceTable()
        self.table.restore(snapshot, now=0.0)
        self.listed = {resource: set() for resource in self.listed}

    @invariant()
    def every_pod_holds_what_it_was_given(self) -> None:
        for pod, held in self.pods.items():
            assert {
                resource: set(allocation.ids)
                for resource, allocation in self.table.held_by(pod)["main"].items()
            } == held


Allocations.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAllocations = Allocations.TestCase
