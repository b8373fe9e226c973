"""How a configuration names devices: NVIDIA's own table of what is a reference and what is not."""

from dataclasses import replace

import pytest

from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.plugin_config.references import BadReference, Named, References

UUID = "4cf8db2d-06c0-7d70-1a51-e59b25b2c16c"


@pytest.mark.parametrize(
    "value",
    [
        "all",
        None,
        1,
        [0],
        ["0"],
        ["0:0"],
        [f"GPU-{UUID}"],
        [f"MIG-{UUID}"],
        [f"MIG-GPU-{UUID}/0/0"],
        [0, "1", "2:0", f"GPU-{UUID}", f"MIG-{UUID}", f"MIG-GPU-{UUID}/7/0"],
    ],
)
def test_a_reference_is_taken(value: str | int | list[str | int] | None) -> None:
    References.parse(value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "devices is 'all', a number or a list, not ''"),
        ("every", "not 'every'"),
        ("2", "not '2'"),
        (0, "0 devices: give a number above zero"),
        (-1, "-1 devices"),
        ([], "no devices are given"),
        ([-1], "GPU -1: indexes begin at 0"),
        (["-1"], "'-1' names no device"),
        (["1.5"], "'1.5' names no device"),
        (["0:0:0"], "names no device"),
        (["0:-1"], "names no device"),
        ([f"gpu-{UUID}"], "names no device"),
        ([f"GPU-{UUID[:-1]}"], "names no device"),
        ([f"GPU-{UUID}-0"], "names no device"),
        ([f"MIG-{UUID}/0/0"], "names no device"),
        ([f"MIG-GPU-{UUID}/0"], "names no device"),
        ([f"MIG-GPU-{UUID}/a/b"], "names no device"),
        ([""], "names no device"),
        ([0, "0"], "device 0 is given twice"),
    ],
)
def test_what_is_no_reference_is_named(value: str | int | list[str | int], complaint: str) -> None:
    with pytest.raises(BadReference) as refused:
        References.parse(value)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def devices() -> list[Named]:
    """GPU 0 whole; GPU 1 with two MIG devices."""
    gpus = SimulatedDriver(parse_gpus("h100-80gb:2"), node="n").gpus()
    whole, cut = gpus[0], gpus[1]
    slices = [Named(cut, f"MIG-{n}", mig_index=n, gi_id=7 + n, ci_id=0) for n in range(2)]
    return [Named(whole, whole.uuid), *slices]


@pytest.mark.parametrize(
    ("value", "chosen"),
    [
        ("all", [0, 1, 2]),
        (2, [0, 1]),
        (9, [0, 1, 2]),
        ([0], [0]),
        (["1"], [1, 2]),
        (["1:1"], [2]),
        (["1:2"], []),
        ([7], []),
    ],
)
def test_a_reference_means_devices(value: str | int | list[str | int], chosen: list[int]) -> None:
    named = devices()
    assert References.parse(value).among(named) == tuple(named[number].id for number in chosen)


def test_a_mig_device_answers_to_its_old_name() -> None:
    cut = devices()[1]
    gpu = replace(cut.gpu, uuid=f"GPU-{UUID}")
    named = replace(cut, gpu=gpu)
    assert References.parse([f"MIG-GPU-{UUID}/7/0"]).among([named]) == (named.id,)
    assert References.parse([f"GPU-{UUID}"]).among([named]) == (named.id,)
