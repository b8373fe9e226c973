import pytest

from aliquot.node.mig.gpu_clients import HELD_BY_CLIENT, changes

DCGM, EXPORTER = "nvidia.com/gpu.deploy.dcgm", "nvidia.com/gpu.deploy.dcgm-exporter"
PAUSED = "paused-for-mig-change"


@pytest.mark.parametrize(
    ("labels", "reasons", "expected"),
    [
        pytest.param({}, {HELD_BY_CLIENT}, {}, id="no operator"),
        pytest.param(
            {DCGM: "true", EXPORTER: "true"},
            {HELD_BY_CLIENT},
            {DCGM: PAUSED, EXPORTER: PAUSED},
            id="in the way",
        ),
        pytest.param({DCGM: "true"}, {"", "InUse"}, {}, id="not in the way"),
        pytest.param({DCGM: "false", EXPORTER: PAUSED}, {HELD_BY_CLIENT}, {}, id="off, and paused already"),
        pytest.param({DCGM: "false", EXPORTER: PAUSED}, {"", "InUse"}, {EXPORTER: "true"}, id="over"),
        pytest.param({DCGM: PAUSED}, {"Reconfiguring"}, {}, id="not over yet"),
        pytest.param({"nvidia.com/gpu.deploy.driver": "true"}, {HELD_BY_CLIENT}, {}, id="no client"),
    ],
)
def test_clients_are_paused_while_they_are_in_the_way(
    labels: dict[str, str], reasons: set[str], expected: dict[str, str]
) -> None:
    assert changes(labels, reasons) == expected
