"""Who gets which device when kubelet asks."""

from collections.abc import Collection, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aliquot.gpu.driver import Placement
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.core import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from aliquot.kube.api.meta import ObjectMeta
from aliquot.node import assignments
from aliquot.node.advertise import Device, Slice
from aliquot.node.assignments import Claim, Places, Promise, Question, promises, unlisted
from aliquot.node.pod_resources import Holding
from tests.node.fake_api import pod

GPU = "nvidia.com/gpu"
SEVENTH = "nvidia.com/mig-1g.10gb"


def whole(index: int) -> Device:
    return Device(f"GPU-{index}", GPU, f"GPU-{index}", index, index)


def seventh(gpu: int, start: int) -> Device:
    placed = Slice("1g.10gb", Placement(start, 1), 7 + start, 0)
    return Device(f"MIG-{gpu}-{start}", SEVENTH, f"GPU-{gpu}", gpu, gpu, slice=placed)


WHOLE = [whole(i) for i in range(4)]
SLICES = [seventh(gpu, start) for gpu in range(2) for start in range(3)]


def on(device: Device, container: str = "main") -> AssignedDevice:
    """The assignment that names `device`."""
    if device.slice is None:
        return AssignedDevice(container=container, resource=device.resource, gpu=device.gpu_uuid)
    return AssignedDevice(
        container=container,
        resource=device.resource,
        gpu=device.gpu_uuid,
        profile=device.slice.profile,
        start=device.slice.placement.start,
    )


def claim(name: str, *devices: Device, count: int = 0, resource: str = GPU) -> Claim:
    return Claim(
        f"default/{name}",
        f"uid-{name}",
        "main",
        devices[0].resource if devices else resource,
        count or len(devices),
        tuple(map(on, devices)),
    )


def ask(devices: list[Device], size: int = 1, available: str = "", must: str = "") -> Question:
    ids = available.split() or [device.id for device in devices]
    return Question(devices[0].resource, tuple(ids), tuple(must.split()), size)


def preferred(
    question: Question, devices: list[Device], claims: Sequence[Claim] = (), held: Collection[str] = ()
) -> tuple[str, ...]:
    places = Places(devices)
    return assignments.prefer(question, promises(claims, places), places, held, {})


def outstanding(claims: Sequence[Claim], served: Collection[tuple[str, str, str]] = ()) -> list[Claim]:
    promised = [Promise(one, None, one.id) for one in claims]
    return [promise.claim for promise in assignments.outstanding(promised, served)]


# --- claims ---


def test_the_oldest_binding_comes_first() -> None:
    pods = [pod("late", bound_at=200), pod("early", bound_at=100), pod("also-late", bound_at=200)]
    names = [found.pod for found in outstanding(unlisted(pods, ()))]
    assert names == ["default/early", "default/also-late", "default/late"]


def test_a_claim_ends_when_pod_resources_lists_it() -> None:
    listed = Holding("default/train", "main", GPU, ("GPU-0",))
    assert unlisted([pod("train")], [listed]) == ()


def test_a_claim_ends_when_it_was_served() -> None:
    (found,) = unlisted([pod("train")], ())
    assert outstanding([found], {found.id}) == []


def test_a_running_pod_has_no_outstanding_claim_but_is_unlisted() -> None:
    running = pod("train", phase="Running")
    assert outstanding(unlisted([running], ())) == []
    assert [found.pod for found in unlisted([running], ())] == ["default/train"]


def test_an_ended_pod_has_no_claim() -> None:
    assert unlisted([pod("a", phase="Succeeded"), pod("b", phase="Failed")], ()) == ()


def test_an_unreadable_assignment_is_no_assignment() -> None:
    broken = pod("train", assigned=[on(WHOLE[0])])
    assert broken.metadata.annotations is not None
    broken.metadata.annotations["aliquot.dev/assignment"] = "{"
    (found,) = unlisted([broken], ())
    assert found.assigned == ()


def test_what_was_written_for_another_pod_is_no_assignment() -> None:
    written = pod("train", assigned=[on(WHOLE[0])])
    metadata = msgspec.structs.replace(written.metadata, uid="uid-of-the-next")
    (found,) = unlisted([msgspec.structs.replace(written, metadata=metadata)], ())
    assert found.assigned == ()


def with_init(phase: str) -> Pod:
    container = Container(name="main", resources=ResourceRequirements(limits={GPU: 1}))
    init = Container(name="init", resources=ResourceRequirements(limits={GPU: 1}))
    return Pod(
        metadata=ObjectMeta(name="train", namespace="default", uid="u"),
        spec=PodSpec(containers=(container,), init_containers=(init,), node_name="n"),
        status=PodStatus(phase=phase),
    )


def test_init_containers_are_served_first() -> None:
    assert [found.container for found in unlisted([with_init("Pending")], ())] == ["init", "main"]


def test_an_init_container_is_never_listed_and_shares_its_pod_s_listing() -> None:
    listed = Holding("default/train", "main", GPU, ("GPU-0",))
    assert unlisted([with_init("Pending")], [listed]) == ()


def test_an_init_container_of_a_running_pod_is_over() -> None:
    assert [found.container for found in unlisted([with_init("Running")], ())] == ["main"]


# --- preference ---


def test_the_oldest_assignment_of_equal_count_is_answered() -> None:
    claims = [claim("two", WHOLE[0], WHOLE[1]), claim("one", WHOLE[3])]
    assert preferred(ask(WHOLE), WHOLE, claims) == ("GPU-3",)
    assert preferred(ask(WHOLE, 2), WHOLE, claims) == ("GPU-0", "GPU-1")


def test_an_assignment_of_another_resource_is_not_answered() -> None:
    claims = [claim("slice", SLICES[4])]
    assert preferred(ask(WHOLE), [*WHOLE, *SLICES], claims) == ("GPU-0",)


def test_an_assignment_that_is_not_free_gives_way_to_the_next() -> None:
    claims = [claim("a", WHOLE[0]), claim("b", WHOLE[2])]
    assert preferred(ask(WHOLE, available="GPU-1 GPU-2 GPU-3"), WHOLE, claims) == ("GPU-2",)


def test_an_assignment_of_a_slice_that_does_not_exist_is_passed_over() -> None:
    uncut = AssignedDevice(container="main", resource=SEVENTH, gpu="GPU-0", profile="1g.10gb", start=6)
    claims = [Claim("default/a", "u", "main", SEVENTH, 1, (uncut,)), claim("b", SLICES[5])]
    assert preferred(ask(SLICES), SLICES, claims) == ("MIG-1-2",)


def test_what_must_be_included_is() -> None:
    claims = [claim("a", WHOLE[0], WHOLE[1]), claim("b", WHOLE[2], WHOLE[3])]
    assert preferred(ask(WHOLE, 2, must="GPU-3"), WHOLE, claims) == ("GPU-2", "GPU-3")
    assert set(preferred(ask(WHOLE, 3, must="GPU-3"), WHOLE, claims)) > {"GPU-3"}


def test_without_an_assignment_promised_devices_come_last() -> None:
    claims = [claim("gang", WHOLE[0], WHOLE[1])]
    assert preferred(ask(WHOLE), WHOLE, claims) == ("GPU-2",)
    assert set(preferred(ask(WHOLE, 3), WHOLE, claims)) == {"GPU-2", "GPU-3", "GPU-0"}


def test_slices_are_packed_on_the_gpu_used_most() -> None:
    free = "MIG-0-0 MIG-0-1 MIG-0-2 MIG-1-1 MIG-1-2"
    assert preferred(ask(SLICES, available=free), SLICES, (), {"MIG-1-0"}) == ("MIG-1-1",)


def test_several_slices_for_one_container_stay_together() -> None:
    assert preferred(ask(SLICES, 3), SLICES) == ("MIG-0-0", "MIG-0-1", "MIG-0-2")


def test_too_few_are_answered_as_they_are() -> None:
    assert preferred(ask(WHOLE, 3, available="GPU-1"), WHOLE) == ("GPU-1",)


def test_ids_that_nobody_knows_are_left_out() -> None:
    assert preferred(ask(WHOLE, available="GPU-9 GPU-1"), WHOLE) == ("GPU-1",)


device_lists = st.sampled_from([WHOLE, SLICES])


@given(data=st.data(), devices=device_lists)
def test_every_preference_is_one_that_kubelet_can_take(data: st.DataObject, devices: list[Device]) -> None:
    ids = [device.id for device in devices]
    available = data.draw(
        st.permutations(ids).flatmap(lambda p: st.sampled_from([p[:n] for n in range(1, len(p) + 1)]))
    )
    size = data.draw(st.integers(1, len(available)))
    must = data.draw(st.lists(st.sampled_from(available), max_size=size, unique=True))
    groups = data.draw(
        st.lists(st.lists(st.sampled_from(devices), min_size=1, max_size=3, unique=True), max_size=4)
    )
    claims = [claim(str(number), *group) for number, group in enumerate(groups)]
    held = set(ids) - set(available)
    question = Question(devices[0].resource, tuple(available), tuple(must), size)
    answer = preferred(question, devices, claims, held)
    assert len(answer) == len(set(answer)) == size
    assert set(must) <= set(answer) <= set(available)
