"""Which labels a node has: a row for each way in which GPUs can be, and be handed out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from aliquot.gpu import boards
from aliquot.gpu.driver import DriverError, DriverVersion, Fabric, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.node.advertise import advertise
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.labels.features import feature_labels
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from aliquot.node.sharing import share
from tests.node.machines import cut, machine

Cuts = Mapping[int, Sequence[tuple[str, int]]]
"""GPU index -> (profile, start)"""

VERSIONS = {
    "cuda.driver-version.full": "580.82.07",
    "cuda.driver-version.major": "580",
    "cuda.driver-version.minor": "82",
    "cuda.driver-version.revision": "07",
    "cuda.driver.major": "580",
    "cuda.driver.minor": "82",
    "cuda.driver.rev": "07",
    "cuda.runtime-version.full": "13.0",
    "cuda.runtime-version.major": "13",
    "cuda.runtime-version.minor": "0",
    "cuda.runtime.major": "13",
    "cuda.runtime.minor": "0",
}
SEVEN = [("1g.10gb", start) for start in range(7)]


def driver(gpus: str, cuts: Cuts) -> SimulatedDriver:
    made = machine(gpus)
    for index, slices in cuts.items():
        cut(made, made.gpus()[index], *slices)
    return made


def settings(text: str) -> Settings:
    return resolve(Flags(mps_root="/run/mps"), parse(text, source="f"))


def of_snapshot(
    snapshot: Snapshot, text: str, *wanted: WantedGPU, machine_type: str = "DGX H100"
) -> dict[str, str]:
    asked = settings(text)
    whole = advertise(snapshot.gpus, asked.mig_strategy, asked.naming)
    shared = share(whole, snapshot.gpus, asked, wanted).advertisement
    return dict(feature_labels(snapshot, shared, asked, machine_type))


def labels(gpus: str, text: str = "", cuts: Cuts | None = None) -> dict[str, str]:
    return of_snapshot(observe(driver(gpus, cuts or {})), text)


def strategy(name: str) -> str:
    return f"flags: {{migStrategy: {name}}}\n"


def sliced(replicas: int, name: str = "gpu", more: str = "", way: str = "timeSlicing") -> str:
    return f"sharing: {{{way}: {{{more} resources: [{{name: {name}, replicas: {replicas}}}]}}}}\n"


def among(found: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Those that begin with it, by what follows."""
    return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


# --- whole sets, as NVIDIA's own tests have them ---

A100 = {
    "gpu.count": "8",
    "gpu.replicas": "1",
    "gpu.sharing-strategy": "none",
    "gpu.product": "NVIDIA-A100-SXM4-40GB",
    "gpu.memory": "40960",
    "gpu.family": "ampere",
    "gpu.compute.major": "8",
    "gpu.compute.minor": "0",
}
NODE = {"gpu.machine": "DGX-H100", "gpu.mode": "compute", "mig.capable": "true", "mps.capable": "false"}


@pytest.mark.parametrize(
    ("gpus", "text", "cuts", "expected"),
    [
        pytest.param("a100-40gb:8", strategy("none"), {}, A100, id="none, MIG off"),
        pytest.param(
            "a100-40gb:8:mig", strategy("none"), {}, A100 | {"gpu.replicas": "0"}, id="none, MIG on: unusable"
        ),
        pytest.param(
            "a100-40gb:8", strategy("single"), {}, A100 | {"mig.strategy": "single"}, id="single, MIG off"
        ),
        pytest.param(
            "h100-80gb:8:mig",
            strategy("single"),
            dict.fromkeys(range(8), SEVEN),
            {
                "gpu.count": "56",
                "gpu.replicas": "1",
                "gpu.sharing-strategy": "none",
                "gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
                "gpu.memory": "9984",
                "gpu.family": "hopper",
                "gpu.compute.major": "9",
                "gpu.compute.minor": "0",
                "gpu.multiprocessors": "16",
                "gpu.slices.gi": "1",
                "gpu.slices.ci": "1",
                "gpu.engines.copy": "1",
                "gpu.engines.decoder": "1",
                "gpu.engines.encoder": "0",
                "gpu.engines.jpeg": "1",
                "gpu.engines.ofa": "0",
                "mig.strategy": "single",
            },
            id="single, one profile",
        ),
        pytest.param(
            "a100-40gb:8", strategy("mixed"), {}, A100 | {"mig.strategy": "mixed"}, id="mixed, MIG off"
        ),
        pytest.param(
            "a100-40gb:6,a100-40gb:2:mig",
            strategy("mixed"),
            {6: [("1g.5gb", 0), ("1g.5gb", 1), ("3g.20gb", 4)], 7: [("1g.5gb+me", 3), ("1g.5gb", 0)]},
            A100
            | {
                "mig.strategy": "mixed",
                "mig-1g.5gb.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb",
                "mig-1g.5gb.count": "3",
                "mig-1g.5gb.replicas": "1",
                "mig-1g.5gb.sharing-strategy": "none",
                "mig-1g.5gb.memory": "4864",
                "mig-1g.5gb.multiprocessors": "14",
                "mig-1g.5gb.slices.gi": "1",
                "mig-1g.5gb.slices.ci": "1",
                "mig-1g.5gb.engines.copy": "1",
                "mig-1g.5gb.engines.decoder": "0",
                "mig-1g.5gb.engines.encoder": "0",
                "mig-1g.5gb.engines.jpeg": "0",
                "mig-1g.5gb.engines.ofa": "0",
                "mig-1g.5gb.me.product": "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb.me",
                "mig-1g.5gb.me.count": "1",
                "mig-1g.5gb.me.replicas": "1",
                "mig-1g.5gb.me.sharing-strategy": "none",
                "mig-1g.5gb.me.memory": "4864",
                "mig-1g.5gb.me.multiprocessors": "14",
                "mig-1g.5gb.me.slices.gi": "1",
                "mig-1g.5gb.me.slices.ci": "1",
                "mig-1g.5gb.me.engines.copy": "1",
                "mig-1g.5gb.me.engines.decoder": "1",
                "mig-1g.5gb.me.engines.encoder": "0",
                "mig-1g.5gb.me.engines.jpeg": "1",
                "mig-1g.5gb.me.engines.ofa": "1",
                "mig-3g.20gb.product": "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb",
                "mig-3g.20gb.count": "1",
                "mig-3g.20gb.replicas": "1",
                "mig-3g.20gb.sharing-strategy": "none",
                "mig-3g.20gb.memory": "19968",
                "mig-3g.20gb.multiprocessors": "42",
                "mig-3g.20gb.slices.gi": "3",
                "mig-3g.20gb.slices.ci": "3",
                "mig-3g.20gb.engines.copy": "3",
                "mig-3g.20gb.engines.decoder": "2",
                "mig-3g.20gb.engines.encoder": "0",
                "mig-3g.20gb.engines.jpeg": "0",
                "mig-3g.20gb.engines.ofa": "0",
            },
            id="mixed, some cut",
        ),
    ],
)
def test_the_whole_set(gpus: str, text: str, cuts: Cuts, expected: dict[str, str]) -> None:
    assert among(labels(gpus, text, cuts), "nvidia.com/") == VERSIONS | NODE | expected


def test_without_gpus_there_are_no_labels() -> None:
    assert of_snapshot(Snapshot(DriverVersion("580.82.07", "13.0")), "") == {}


# --- strategy single that does not fit ---

INVALID = {"count": "0", "replicas": "0", "sharing-strategy": "", "memory": "0"}


@pytest.mark.parametrize(
    ("gpus", "cuts"),
    [
        ("h100-80gb:1:mig", {}),
        ("h100-80gb:1:mig,h100-80gb:1", {0: SEVEN}),
        ("h100-80gb:1:mig", {0: [("1g.10gb", 0), ("3g.40gb", 4)]}),
        ("h100-80gb:2:mig", {0: SEVEN}),
    ],
    ids=["nothing cut", "MIG off on one", "two profiles", "one without slices"],
)
def test_single_on_gpus_that_differ_is_invalid(gpus: str, cuts: Cuts) -> None:
    found = among(labels(gpus, strategy("single"), cuts), "nvidia.com/gpu.")
    assert found["product"] == "NVIDIA-H100-80GB-HBM3-MIG-INVALID"
    assert {key: found[key] for key in INVALID} == INVALID
    assert (found["family"], found["compute.major"]) == ("hopper", "9")
    assert "multiprocessors" not in found


def test_a_dead_gpu_makes_single_not_invalid() -> None:
    made = driver("h100-80gb:2:mig", {0: SEVEN})
    snapshot = observe(made)
    dead = replace(snapshot.gpus[1], failure=DriverError(ReturnCode.GPU_IS_LOST, "lost"))
    found = of_snapshot(replace(snapshot, gpus=(snapshot.gpus[0], dead)), strategy("single"))
    assert found["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"
    assert found["nvidia.com/gpu.count"] == "7"


# --- sharing ---


@pytest.mark.parametrize(
    ("gpus", "text", "cuts", "prefix", "expected"),
    [
        ("l4:2", sliced(4), {}, "gpu", ("NVIDIA-L4-SHARED", "2", "4", "time-slicing")),
        (
            "l4:2",
            sliced(4, more="renameByDefault: true,"),
            {},
            "gpu",
            ("NVIDIA-L4", "2", "4", "time-slicing"),
        ),
        ("l4:2", sliced(4, way="mps"), {}, "gpu", ("NVIDIA-L4-SHARED", "2", "4", "mps")),
        (
            "l4:2",
            sliced(4, more="renameByDefault: true,", way="mps"),
            {},
            "gpu",
            ("NVIDIA-L4", "2", "4", "mps"),
        ),
        ("l4:2", sliced(4, "mig-1g.5gb"), {}, "gpu", ("NVIDIA-L4", "2", "1", "none")),
        (
            "h100-80gb:2:mig",
            strategy("none") + sliced(2),
            {},
            "gpu",
            ("NVIDIA-H100-80GB-HBM3", "2", "0", "none"),
        ),
        (
            "h100-80gb:1:mig,h100-80gb:1",
            strategy("none") + sliced(2),
            {},
            "gpu",
            ("NVIDIA-H100-80GB-HBM3-SHARED", "2", "2", "time-slicing"),
        ),
        (
            "h100-80gb:1:mig",
            strategy("single") + sliced(2),
            {0: SEVEN},
            "gpu",
            ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb-SHARED", "7", "2", "time-slicing"),
        ),
        (
            "h100-80gb:1:mig",
            strategy("single") + sliced(2, more="renameByDefault: true,"),
            {0: SEVEN},
            "gpu",
            ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "7", "2", "time-slicing"),
        ),
        (
            "h100-80gb:1:mig",
            sliced(3, "mig-1g.10gb"),
            {0: SEVEN},
            "mig-1g.10gb",
            ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb-SHARED", "7", "3", "time-slicing"),
        ),
        (
            "h100-80gb:1:mig",
            sliced(3, "mig-1g.10gb", "renameByDefault: true,", "mps"),
            {0: SEVEN},
            "mig-1g.10gb",
            ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "7", "3", "mps"),
        ),
        # More than a GPU of this model can have: it is not handed out.
        ("l4:2", sliced(100, way="mps"), {}, "gpu", ("NVIDIA-L4", "2", "0", "none")),
    ],
)
def test_shares_are_told(
    gpus: str, text: str, cuts: Cuts, prefix: str, expected: tuple[str, str, str, str]
) -> None:
    found = among(labels(gpus, text, cuts), f"nvidia.com/{prefix}.")
    assert (found["product"], found["count"], found["replicas"], found["sharing-strategy"]) == expected


def devices(*replicas: int) -> str:
    """Each GPU by itself: its number of shares, 1 for a whole one."""
    entries = ", ".join(
        f"{{name: gpu, replicas: {number}, devices: [{index}]}}"
        for index, number in enumerate(replicas)
        if number > 1
    )
    return f"sharing: {{timeSlicing: {{resources: [{entries}]}}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(devices(4, 4, 1), "4"), (devices(4, 1, 1), "1"), (devices(4, 2, 1), "4"), (devices(2, 4, 4), "4")],
)
def test_where_gpus_are_shared_differently_the_labels_describe_most(text: str, expected: str) -> None:
    assert labels("l4:3", text)["nvidia.com/gpu.replicas"] == expected


def test_shares_that_gpunode_asks_for_are_told() -> None:
    snapshot = observe(machine("l4"))
    wish = WantedGPU(
        uuid=snapshot.gpus[0].gpu.uuid, sharing=WantedSharing(strategy=Sharing.TIME_SLICING, replicas=3)
    )
    found = of_snapshot(snapshot, "", wish)
    assert (found["nvidia.com/gpu.replicas"], found["nvidia.com/gpu.product"]) == ("3", "NVIDIA-L4")


@pytest.mark.parametrize(
    ("gpus", "text", "capable"),
    [
        ("l4", "", "false"),
        ("l4", sliced(2), "false"),
        ("l4", sliced(2, way="mps"), "true"),
        ("l4", sliced(2, "mig-1g.5gb", way="mps"), "false"),
        ("h100-80gb:1:mig,h100-80gb:1", sliced(2, way="mps"), "false"),
    ],
)
def test_mps_needs_mps_and_no_mig(gpus: str, text: str, capable: str) -> None:
    assert labels(gpus, text)["nvidia.com/mps.capable"] == capable


# --- what is true of all GPUs ---


@pytest.mark.parametrize(
    ("gpus", "capable"), [("l4", "false"), ("l4:2,h100-80gb", "true"), ("h100-80gb:1:mig", "true")]
)
def test_one_gpu_that_can_be_cut_is_enough(gpus: str, capable: str) -> None:
    assert labels(gpus)["nvidia.com/mig.capable"] == capable


def with_gpus(snapshot: Snapshot, *changes: Mapping[str, object]) -> Snapshot:
    gpus = zip(snapshot.gpus, changes, strict=True)
    changed = ((observed, replace(observed.gpu, **change)) for observed, change in gpus)  # type: ignore[arg-type]
    return replace(snapshot, gpus=tuple(replace(observed, gpu=gpu) for observed, gpu in changed))


@pytest.mark.parametrize(
    ("classes", "mode"),
    [
        ((0x030200, 0x030200), "compute"),
        ((0x030000, 0x030000), "graphics"),
        ((0x030000, 0x030200), "unknown"),
        ((0x068000, 0x068000), "unknown"),
        ((None, None), "unknown"),
        ((0x030200, None), "unknown"),
    ],
)
def test_the_mode_is_that_of_all(classes: tuple[int | None, int | None], mode: str) -> None:
    snapshot = with_gpus(observe(machine("l4:2")), *({"pci_class": one} for one in classes))
    assert of_snapshot(snapshot, "")["nvidia.com/gpu.mode"] == mode


CLUSTER = "8a5b6c7d-0102-4304-8506-0708090a0b0c"


@pytest.mark.parametrize(
    ("fabrics", "clique"),
    [
        ((Fabric(CLUSTER, 7), Fabric(CLUSTER, 7)), f"{CLUSTER}.7"),
        ((Fabric(CLUSTER, 7), None), f"{CLUSTER}.7"),
        ((Fabric(CLUSTER, 7), Fabric(CLUSTER, 8)), None),
        ((None, None), None),
    ],
)
def test_the_clique_is_told_where_there_is_one(
    fabrics: tuple[Fabric | None, Fabric | None], clique: str | None
) -> None:
    snapshot = with_gpus(observe(machine("gb200:2")), *({"fabric": one} for one in fabrics))
    assert of_snapshot(snapshot, "").get("nvidia.com/gpu.clique") == clique


@pytest.mark.parametrize(
    ("version", "driver_parts", "runtime_parts"),
    [
        (DriverVersion("580.82.07", "13.0"), ("580.82.07", "580", "82", "07"), ("13.0", "13", "0")),
        (DriverVersion("570.124", "12.8"), ("570.124", "570", "124", ""), ("12.8", "12", "8")),
        (DriverVersion("535.161.08.1", "12.2"), ("535.161.08.1", "535", "161", "08"), ("12.2", "12", "2")),
        (DriverVersion("R590 beta", "13.1"), ("R590-beta", "R590-beta", "", ""), ("13.1", "13", "1")),
    ],
)
def test_versions_are_told_in_parts(
    version: DriverVersion, driver_parts: tuple[str, ...], runtime_parts: tuple[str, ...]
) -> None:
    found = among(of_snapshot(replace(observe(machine("l4")), version=version), ""), "nvidia.com/cuda.")
    assert (
        tuple(found[f"driver-version.{part}"] for part in ("full", "major", "minor", "revision"))
        == driver_parts
    )
    assert tuple(found[f"driver.{part}"] for part in ("major", "minor", "rev")) == driver_parts[1:]
    assert tuple(found[f"runtime-version.{part}"] for part in ("full", "major", "minor")) == runtime_parts
    assert tuple(found[f"runtime.{part}"] for part in ("major", "minor")) == runtime_parts[1:]


@pytest.mark.parametrize(
    ("machine_type", "label"),
    [("ProLiant DL380 Gen10\n", "ProLiant-DL380-Gen10"), ("unknown", "unknown"), ("x" * 80, "x" * 63)],
)
def test_the_machine_is_told(machine_type: str, label: str) -> None:
    found = of_snapshot(observe(machine("l4")), "", machine_type=machine_type)
    assert found["nvidia.com/gpu.machine"] == label


def test_memory_that_is_not_known_is_not_told() -> None:
    found = labels("b200-180gb")
    assert not [key for key in found if key.endswith(".memory")]


def test_an_unknown_family_is_undefined() -> None:
    snapshot = with_gpus(observe(machine("l4")), {"architecture": ""})
    assert of_snapshot(snapshot, "")["nvidia.com/gpu.family"] == "undefined"


# --- several models ---


@pytest.mark.parametrize(
    ("gpus", "product", "count"),
    [
        ("l4:1,h100-80gb:2", "NVIDIA-H100-80GB-HBM3", "2"),
        ("h100-80gb:1,l4:2", "NVIDIA-L4", "2"),
        ("l4:2,h100-80gb:2", "NVIDIA-H100-80GB-HBM3", "2"),
        ("t4:2,l4:2", "NVIDIA-L4", "2"),
    ],
)
def test_the_plain_labels_describe_the_model_with_most_gpus(gpus: str, product: str, count: str) -> None:
    found = labels(gpus)
    assert (found["nvidia.com/gpu.product"], found["nvidia.com/gpu.count"]) == (product, count)


def test_each_model_has_labels_of_its_own() -> None:
    found = labels("h100-80gb:2,h100-80gb:1:mig,l4:2", devices(1, 1, 1, 4, 4))
    assert among(found, "aliquot.dev/") == {
        "gpu.NVIDIA-H100-80GB-HBM3.count": "3",
        "gpu.NVIDIA-H100-80GB-HBM3.memory": "81559",
        "gpu.NVIDIA-H100-80GB-HBM3.replicas": "1",
        "gpu.NVIDIA-L4.count": "2",
        "gpu.NVIDIA-L4.memory": "23034",
        "gpu.NVIDIA-L4.replicas": "4",
    }


def test_slices_of_one_profile_on_two_models_are_counted_together() -> None:
    cuts: Cuts = {0: [("1g.10gb", 0)], 1: [("1g.10gb", 0), ("1g.10gb", 1)]}
    found = among(labels("a100-80gb:1:mig,h100-80gb:1:mig", "", cuts), "nvidia.com/mig-1g.10gb.")
    assert (found["count"], found["product"]) == ("3", "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb")
    assert (found["memory"], found["multiprocessors"]) == ("9984", "16")


def part_of_an_instance() -> SimulatedDriver:
    made = machine("a100-40gb:1:mig")
    (gpu,) = made.gpus()
    instance = made.create_gpu_instance(gpu.uuid, 9, 0)
    made.create_compute_instance(gpu.uuid, instance.gi_id, 0)
    return made


def test_a_part_of_an_instance_has_its_own_figures() -> None:
    made = part_of_an_instance()
    found = among(of_snapshot(observe(made), ""), "nvidia.com/mig-1c.3g.20gb.")
    assert (found["slices.gi"], found["slices.ci"], found["multiprocessors"]) == ("3", "1", "14")
    assert found["memory"] == "19968"


def test_what_nvml_has_not_told_yet_is_not_guessed() -> None:
    made = part_of_an_instance()
    snapshot = observe(made)
    untold = tuple(replace(profile, compute_profiles=()) for profile in snapshot.gpus[0].profiles)
    snapshot = replace(snapshot, gpus=(replace(snapshot.gpus[0], profiles=untold),))
    found = among(of_snapshot(snapshot, ""), "nvidia.com/mig-1c.3g.20gb.")
    assert found["slices.ci"] == "1"
    assert "multiprocessors" not in found


# --- syntax ---

KEY = re.compile(r"[a-z.]+/[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


@pytest.mark.parametrize("board", [board.key for board in boards.boards()])
@pytest.mark.parametrize("name", [None, "NVIDIA " + "Very Long Name " * 8, "(...)"])
def test_labels_are_such_as_kubernetes_takes(board: str, name: str | None) -> None:
    snapshot = observe(machine(f"{board}:2"))
    if name is not None:
        snapshot = with_gpus(snapshot, {"product": name}, {"product": name})
    for key, value in of_snapshot(snapshot, sliced(2)).items():
        assert KEY.fullmatch(key), key
        assert VALUE.fullmatch(value), (key, value)


def test_the_order_of_the_gpus_changes_nothing() -> None:
    snapshot = observe(driver("l4:2,h100-80gb:1:mig,t4:2", {2: SEVEN}))
    turned = replace(snapshot, gpus=tuple(reversed(snapshot.gpus)))
    assert of_snapshot(turned, "") == of_snapshot(snapshot, "")
