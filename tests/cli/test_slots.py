import pytest

from aliquot.cli.slots import draw
from aliquot.kube.api.gpunode import GPUInstance, GPUShares, GPUStatus, Health, HeldShares, MigMode, Sharing


def gpu(mode: MigMode = MigMode.ENABLED, **fields: object) -> GPUStatus:
    return GPUStatus(
        uuid="GPU-1",
        index=0,
        product="P",
        board="b",
        memory_mib=None,
        mig_mode=mode,
        **fields,  # type: ignore[arg-type]
    )


def instance(profile: str, start: int, size: int, *pods: str) -> GPUInstance:
    return GPUInstance(
        uuid=f"MIG-{start}", profile=profile, start=start, size=size, gi_id=start, ci_id=0, pods=list(pods)
    )


@pytest.mark.parametrize(
    ("case", "status", "slots", "top", "bottom"),
    [
        ("a whole GPU is one run", gpu(MigMode.DISABLED, pods=["ns/a"]), 2, "┃whole GPU  ┃", "┃a          ┃"),
        (
            "a shared GPU says how much of it is held",
            gpu(
                MigMode.DISABLED,
                pods=["ns/a", "ns/b"],
                shares=GPUShares(
                    strategy=Sharing.MPS,
                    replicas=4,
                    held=[HeldShares(pod="ns/a", shares=2), HeldShares(pod="ns/b", shares=1)],
                ),
            ),
            4,
            "┃whole GPU, 3/4 mps     ┃",
            "┃a, b                   ┃",
        ),
        ("nobody holds it", gpu(MigMode.UNSUPPORTED), 2, "┃whole GPU  ┃", "┃·          ┃"),
        ("uncut slots are empty cells", gpu(), 2, "┃     ┃     ┃", "┃     ┃     ┃"),
        (
            "instances stand at their slots",
            gpu(instances=[instance("3g.40gb", 2, 2, "ns/b"), instance("1g", 0, 1)]),
            4,
            "┃1g   ┃     ┃3g.40gb    ┃",
            "┃·    ┃     ┃b          ┃",
        ),
        (
            "long names are cut",
            gpu(instances=[instance("1g.10gb", 0, 1, "ns/abcdef")]),
            1,
            "┃1g.1…┃",
            "┃abcd…┃",
        ),
        (
            "an unhealthy GPU says why",
            gpu(health=Health.UNHEALTHY, reason="Xid79"),
            2,
            "┃unhealthy  ┃",
            "┃Xid79      ┃",
        ),
    ],
)
def test_draw(case: str, status: GPUStatus, slots: int, top: str, bottom: str) -> None:
    assert draw(status, slots, cell_width=5) == (top, bottom), case
