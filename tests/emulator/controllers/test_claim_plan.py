from collections.abc import Sequence
from typing import Any

import pytest

from aliquot.emulator.controllers import claim_plan, volume_plan
from aliquot.emulator.controllers.claim_plan import (
    Amend,
    Bind,
    Grow,
    Lose,
    Plan,
    Provision,
    Rest,
    Wait,
    World,
)
from aliquot.emulator.kinds.storage_classes import IS_DEFAULT, SIMULATED
from aliquot.kube.api.core import Node, ObjectReference, Pod, PodSpec
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.api.storage import (
    BIND_COMPLETED,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    Claim,
    ClaimResources,
    ClaimSpec,
    ClaimStatus,
    StorageClass,
    Volume,
    VolumeSpec,
    VolumeStatus,
)


def claim(
    size: str = "1Gi",
    storage: str | None = "",
    *,
    phase: str = "Pending",
    held: str = "",
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Claim:
    whole = {"access_modes": ("ReadWriteOnce",), **spec}
    return Claim(
        metadata=ObjectMeta(name="c", namespace="ns", uid="u", annotations=annotations),
        spec=ClaimSpec(
            resources=ClaimResources(requests={"storage": size}), storage_class_name=storage, **whole
        ),
        status=ClaimStatus(phase=phase, capacity={"storage": held} if held else None),
    )


def volume(
    name: str = "v",
    size: str = "1Gi",
    storage: str = "",
    *,
    phase: str = "Available",
    claimed: str | None = None,
    uid: str = "u",
    labels: dict[str, str] | None = None,
    made: bool = False,
    **spec: Any,
) -> Volume:
    reference = ObjectReference(namespace="ns", name=claimed, uid=uid) if claimed is not None else None
    whole = {"access_modes": ("ReadWriteOnce", "ReadOnlyMany"), **spec}
    return Volume(
        metadata=ObjectMeta(
            name=name, labels=labels, annotations={PROVISIONED_BY: SIMULATED} if made else None
        ),
        spec=VolumeSpec(capacity={"storage": size}, storage_class_name=storage, claim_ref=reference, **whole),
        status=VolumeStatus(phase=phase),
    )


def storage_class(
    name: str = "fast", provisioner: str = SIMULATED, *, waits: bool = False, default: bool = False
) -> StorageClass:
    return StorageClass(
        metadata=ObjectMeta(name=name, annotations={IS_DEFAULT: "true"} if default else None),
        provisioner=provisioner,
        volume_binding_mode="WaitForFirstConsumer" if waits else "Immediate",
    )


def pod(name: str = "p", node: str = "") -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace="ns"), spec=PodSpec(node_name=node))


def made_of(
    one: Claim,
    volumes: Sequence[Volume] = (),
    classes: Sequence[StorageClass] = (),
    users: Sequence[Pod] = (),
) -> Plan:
    nodes = {
        name: Node(metadata=ObjectMeta(name=name, labels={"kubernetes.io/hostname": name})) for name in "ab"
    }
    return claim_plan.plan(
        one,
        World(
            {found.metadata.name: found for found in volumes},
            {found.metadata.name: found for found in classes},
            nodes,
            users,
        ),
    )


def on(node: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {"required": {"nodeSelectorTerms": [term]}}


@pytest.mark.parametrize(
    ("one", "volumes", "bound_to"),
    [
        (claim(), [volume("small", "512Mi"), volume("large", "5Gi"), volume("right", "1Gi")], "right"),
        (claim(), [volume("small", "512Mi")], ""),
        (claim(access_modes=("ReadWriteMany",)), [volume()], ""),
        (claim(volume_mode="Block"), [volume()], ""),
        (claim(), [volume(storage="fast")], ""),
        (claim(selector={"matchLabels": {"a": "b"}}), [volume("x"), volume("y", "9Gi", labels={"a": "b"})], "y"),
        (claim(), [volume(phase="Released")], ""),
        (claim(), [volume(claimed="other")], ""),
        # Reserved for it by name: before all that fit better.
        (claim(), [volume("x"), volume("mine", "9Gi", claimed="c", uid="")], "mine"),
        (claim(), [volume("x"), volume("mine", "9Gi", claimed="c", uid="another")], "x"),
        (claim(volume_name="v"), [volume("v"), volume("w")], "v"),
    ],
)  # fmt: skip
def test_which_volume_a_claim_gets(one: Claim, volumes: list[Volume], bound_to: str) -> None:
    made = made_of(one, volumes)
    assert (made.volume.metadata.name if isinstance(made, Bind) else "") == bound_to


WAITS = storage_class(waits=True)
EXTERNAL = "Waiting for a volume to be created either by the external provisioner"


@pytest.mark.parametrize(
    ("made", "reason", "text"),
    [
        (made_of(claim()), "FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
        (made_of(claim(storage="gone")), "ProvisioningFailed", 'storageclass.storage.k8s.io "gone" not found'),
        (made_of(claim(storage="fast"), (), [WAITS]), "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        (made_of(claim(storage="fast"), [volume(storage="fast")], [WAITS]), "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        (made_of(claim(storage="fast"), (), [WAITS], [pod()]), "WaitForPodScheduled", "waiting for pod p to be scheduled"),
        (made_of(claim(storage="fast"), (), [WAITS], [pod(), pod("q")]), "WaitForPodScheduled", "waiting for pods p,q to be scheduled"),
        (made_of(claim(storage="fast", annotations={PROVISIONER: "ebs.csi.aws.com"}), (), [storage_class(provisioner="ebs.csi.aws.com")]), "ExternalProvisioning", EXTERNAL),
        (made_of(claim(volume_name="v"), [volume(claimed="other")]), "FailedBinding", 'volume "v" already bound to a different claim.'),
        (made_of(claim("2Gi", volume_name="v"), [volume()]), "VolumeMismatch", 'Cannot bind to requested volume "v": requested PV is too small'),
    ],
)  # fmt: skip
def test_what_a_claim_waits_for(made: Plan, reason: str, text: str) -> None:
    assert isinstance(made, Wait)
    [notice] = made.notices
    assert notice.reason == reason
    assert notice.message.startswith(text)


def test_a_claim_for_a_volume_that_is_not_there_waits_in_silence() -> None:
    assert made_of(claim(volume_name="v")) == Wait()


def test_a_volume_is_made_once_somebody_is_said_to_make_it() -> None:
    known = [storage_class()]
    told = made_of(claim(storage="fast"), (), known)
    assert isinstance(told, Amend)
    assert told.patch["metadata"]["annotations"][PROVISIONER] == SIMULATED
    made = made_of(claim(storage="fast", annotations={PROVISIONER: SIMULATED}), (), known)
    assert isinstance(made, Provision)
    spec = made.volume["spec"]
    assert made.volume["metadata"]["name"] == "pvc-u"
    assert (spec["capacity"], spec["persistentVolumeReclaimPolicy"]) == ({"storage": "1Gi"}, "Delete")
    assert spec["claimRef"]["uid"] == "u"


def test_a_claim_that_waits_follows_its_first_pod() -> None:
    noted = made_of(claim(storage="fast"), (), [WAITS], [pod(node="a")])
    assert noted == Amend({"metadata": {"annotations": {SELECTED_NODE: "a"}}})
    near = [
        volume("b", storage="fast", node_affinity=on("b")),
        volume("a", storage="fast", node_affinity=on("a")),
    ]
    placed = claim(storage="fast", annotations={SELECTED_NODE: "a"})
    bound = made_of(placed, near, [WAITS], [pod(node="a")])
    assert isinstance(bound, Bind) and bound.volume.metadata.name == "a"


def test_a_default_class_that_came_later_is_taken() -> None:
    assert made_of(claim(storage=None), (), [storage_class(default=True)]) == Amend(
        {"spec": {"storageClassName": "fast"}}
    )
    waiting = made_of(claim(storage=None))
    assert isinstance(waiting, Wait)


DONE = {BIND_COMPLETED: "yes"}


@pytest.mark.parametrize(
    ("one", "volumes", "wanted"),
    [
        (claim(volume_name="v", annotations=DONE), [], "ClaimLost"),
        (claim(annotations=DONE), [], "ClaimLost"),
        (claim(volume_name="v", annotations=DONE), [volume(claimed="c", uid="w")], "ClaimMisbound"),
    ],
)
def test_claims_that_lost_their_volume(one: Claim, volumes: list[Volume], wanted: str) -> None:
    made = made_of(one, volumes)
    assert isinstance(made, Lose)
    assert made.notice.reason == wanted


def bound(size: str, held: str) -> Claim:
    modes = ("ReadWriteOnce", "ReadOnlyMany")
    found = claim(size, phase="Bound", held=held, volume_name="v", annotations=DONE)
    return Claim(
        metadata=found.metadata,
        spec=found.spec,
        status=ClaimStatus(phase="Bound", capacity=found.status.capacity, access_modes=modes),
    )


@pytest.mark.parametrize(
    ("one", "found", "wanted"),
    [
        (bound("1Gi", "1Gi"), volume(claimed="c"), Rest),
        (bound("2Gi", "1Gi"), volume(claimed="c", made=True), Grow),
        (bound("2Gi", "2Gi"), volume(claimed="c", made=True), Rest),
        # Nobody here knows how to make another's volume larger.
        (bound("2Gi", "1Gi"), volume(claimed="c"), Rest),
    ],
)
def test_bound_claims(one: Claim, found: Volume, wanted: type) -> None:
    assert isinstance(made_of(one, [found]), wanted)


KEEPS = claim(volume_name="v")


@pytest.mark.parametrize(
    ("one", "holder", "wanted"),
    [
        (volume(phase="Pending"), None, volume_plan.Phase("Available")),
        (volume(), None, volume_plan.Rest()),
        (volume(claimed="c", uid="", phase="Pending"), None, volume_plan.Phase("Available")),
        (volume(claimed="c"), KEEPS, volume_plan.Phase("Bound")),
        (volume(claimed="c", phase="Bound"), KEEPS, volume_plan.Rest()),
        (volume(claimed="c"), claim(), volume_plan.Rest()),
        (volume(claimed="c", phase="Bound"), None, volume_plan.Phase("Released")),
        (volume(claimed="c", uid="before", phase="Bound"), KEEPS, volume_plan.Phase("Released")),
        (volume(claimed="c", phase="Released"), None, volume_plan.Rest()),
        (volume(claimed="c", phase="Released", persistent_volume_reclaim_policy="Delete", made=True), None, volume_plan.Remove()),
        (volume(claimed="c", phase="Released", persistent_volume_reclaim_policy="Delete", csi={"driver": "x"}), None, volume_plan.Rest()),
    ],
)  # fmt: skip
def test_volumes(one: Volume, holder: Claim | None, wanted: volume_plan.Plan) -> None:
    assert volume_plan.plan(one, holder) == wanted


@pytest.mark.parametrize(
    ("policy", "reason"), [("Delete", "VolumeFailedDelete"), ("Recycle", "VolumeFailedRecycle")]
)
def test_volumes_that_nobody_can_take_away(policy: str, reason: str) -> None:
    made = volume_plan.plan(
        volume(claimed="c", phase="Released", persistent_volume_reclaim_policy=policy), None
    )
    assert isinstance(made, volume_plan.Phase) and made.notice is not None
    assert (made.phase, made.notice.reason) == ("Failed", reason)
