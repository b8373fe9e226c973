"""What goes with the devices: what is asked for, and what of it this machine has."""

from pathlib import Path

import pytest

from aliquot.node.companions import CompanionFiles, find, fit
from aliquot.node.plugin_config.settings import Companion, Settings

CHANNEL = "dev/nvidia-caps-imex-channels/channel0"


def laid_out(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), {}),
        ((CHANNEL,), {Companion.IMEX_CHANNEL: CompanionFiles((f"/{CHANNEL}",))}),
        (("dev/nvidia-caps-imex-channels/channel1",), {}),
        (("dev/gdrdrv",), {Companion.GDRCOPY: CompanionFiles(("/dev/gdrdrv",))}),
        (
            ("dev/nvidia-fs0", "dev/nvidia-fs1", "etc/cufile.json", "run/udev/data"),
            {
                Companion.GDS: CompanionFiles(
                    ("/dev/nvidia-fs0", "/dev/nvidia-fs1"), ("/run/udev", "/etc/cufile.json")
                )
            },
        ),
        (("etc/cufile.json",), {}),
        (
            ("dev/infiniband/uverbs0", "dev/infiniband/rdma_cm", "dev/infiniband/umad0"),
            {Companion.MOFED: CompanionFiles(("/dev/infiniband/uverbs0", "/dev/infiniband/rdma_cm"))},
        ),
        (("dev/infiniband/umad0",), {}),
    ],
)
def test_what_is_here_is_found(
    tmp_path: Path, names: tuple[str, ...], found: dict[Companion, CompanionFiles]
) -> None:
    root = laid_out(tmp_path, *names)
    assert find(root, root) == found


def test_what_is_not_here_is_left_out_and_told() -> None:
    here = {Companion.GDS: CompanionFiles(("/dev/nvidia-fs0",)), Companion.MOFED: CompanionFiles(("/dev/x",))}
    fitted = fit(Settings(companions=(Companion.IMEX_CHANNEL, Companion.GDRCOPY, Companion.GDS)), here)
    assert fitted.settings == Settings(companions=(Companion.GDS,))
    assert fitted.companions == {Companion.GDS: here[Companion.GDS]}
    assert fitted.notes == (
        "imex.channelIDs: this machine has no /dev/nvidia-caps-imex-channels/channel0, so containers get none",
        "gdrcopyEnabled: this machine has no /dev/gdrdrv, so containers get none",
    )
    assert fitted.fault == ""


@pytest.mark.parametrize(
    ("asked", "here", "words"),
    [
        ((Companion.IMEX_CHANNEL,), (), "imex.required: this machine has no /dev/nvidia-caps-imex-channels/"),
        ((Companion.IMEX_CHANNEL,), (Companion.IMEX_CHANNEL,), ""),
        ((Companion.GDS,), (), ""),
    ],
)
def test_a_channel_that_is_required(
    asked: tuple[Companion, ...], here: tuple[Companion, ...], words: str
) -> None:
    fitted = fit(Settings(companions=asked, imex_required=True), dict.fromkeys(here, CompanionFiles(("/x",))))
    assert fitted.fault.startswith(words)
    assert bool(fitted.fault) == bool(words)


def test_on_a_simulated_machine_nothing_is_missing() -> None:
    settings = Settings(companions=tuple(Companion), imex_required=True)
    fitted = fit(settings, None)
    assert fitted.settings == settings
    assert (fitted.notes, fitted.fault) == ((), "")
    assert set(fitted.companions) == set(Companion)
