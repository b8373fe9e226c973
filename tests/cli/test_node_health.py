"""`aliquot node run` takes the switches of health checks from NVIDIA's variables."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from aliquot.cli import logs
from aliquot.cli.node import run as node
from aliquot.node import agent
from aliquot.node.health.policy import IGNORED_XIDS, HealthPolicy
from tests.cli.test_node_metrics import KUBECONFIG


@pytest.mark.parametrize(
    ("arguments", "variables", "policy", "said"),
    [
        ([], {}, HealthPolicy(), ""),
        (
            [],
            {"DP_DISABLE_HEALTHCHECKS": "all", "DP_ENABLE_HEALTHCHECKS": "48"},
            HealthPolicy(xids=False, watched=frozenset({48}), memory=False),
            "",
        ),
        (
            ["--disable-health-checks", "68, -5"],
            {"DP_DISABLE_HEALTHCHECKS": "all"},
            HealthPolicy(ignored=IGNORED_XIDS | {68}),
            "warning: DP_DISABLE_HEALTHCHECKS: -5: skipped, for it is not an XID, all, xids or memory\n",
        ),
    ],
    ids=["nothing", "the environment", "the command line before the environment"],
)
def test_the_agent_goes_by_the_switches(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variables: dict[str, str],
    policy: HealthPolicy,
    said: str,
) -> None:
    taken: list[HealthPolicy] = []

    class Recorded:
        metrics = SimpleNamespace(text=None)

        def __init__(self, *_: object, health_policy: HealthPolicy, **__: object) -> None:
            taken.append(health_policy)

        async def run(self) -> None:
            pass

    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(agent, "Agent", Recorded)
    monkeypatch.setattr(node, "open_driver", lambda *_, **__: object())
    given = ["--node-name", "n", "--metrics-port", "0", "--kubeconfig", str(tmp_path / "kubeconfig")]
    shown = CliRunner().invoke(node.run_agent, [*given, *arguments], env=variables, catch_exceptions=False)
    assert (shown.exit_code, taken, shown.stderr) == (0, [policy], said)
