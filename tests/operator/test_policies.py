"""What a GPUPolicy comes to, what is refused in one line, and whose a node is."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.operator.core.operands import Image, OperandName, shipped
from aliquot.operator.core.policies import Claim, Policy, Refused, claim, read
from aliquot.operator.core.upgrade.rules import Eviction, Share

IMAGES = shipped(Image("example.com", "aliquot", "1.0"))


def made(name: str = "p", created_s: float = 0.0, **spec: Any) -> Policy:
    return read(msgspec.convert({"metadata": {"name": name}, "spec": spec}, GPUPolicy), created_s, IMAGES)


def test_an_empty_one_is_all_of_it_as_shipped() -> None:
    policy = made()
    assert all(operand.wanted for operand in policy.operands.values())
    assert str(policy.operands[OperandName.AGENT].image) == "example.com/aliquot:1.0"
    assert policy.rules.max_unavailable == Share(percent=25)
    assert (policy.rules.wait_for_jobs_s, policy.rules.drain) == (0.0, None)
    assert policy.selector.matches({})


@pytest.mark.parametrize(
    ("driver", "image"),
    [
        ({"version": "570.1"}, "nvcr.io/nvidia/driver:570.1"),
        ({"repository": "mirror.example/nv", "version": "570.1"}, "mirror.example/nv/driver:570.1"),
        ({"version": "sha256:" + "0" * 64}, "nvcr.io/nvidia/driver@sha256:" + "0" * 64),
    ],
)
def test_images(driver: Mapping[str, Any], image: str) -> None:
    assert str(made(driver=driver).operands[OperandName.DRIVER].image) == image


def test_rules_of_upgrades() -> None:
    rules = made(
        upgrade={
            "maxParallel": 3,
            "maxUnavailable": 2,
            "waitForJobs": {},
            "drain": {"timeout": "90s", "force": True},
            "canary": {"nodes": 0},
        }
    ).rules
    assert (rules.max_parallel, rules.max_unavailable, rules.canary_nodes) == (3, Share(count=2), 0)
    assert rules.wait_for_jobs_s is None
    assert rules.drain == Eviction(90.0, force=True)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"driver": {"version": "no tag"}}, "spec.driver.version: 'no tag' is no tag, and no digest (sha256:...)"),
        ({"driver": {"version": "sha256:12"}}, "spec.driver.version: 'sha256:12' is no tag, and no digest (sha256:...)"),
        ({"agent": {"preinstalled": True}}, "spec.agent.preinstalled: no image of a node has it; enabled: false leaves it out"),
        ({"driver": {"enabled": False}}, "spec.driver.enabled: toolkit needs the driver: enable it, or say that it is preinstalled"),
        ({"agent": {"enabled": False}}, "spec.agent.enabled: validator needs the agent: enable it, or leave the validator out"),
        ({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}, "spec.nodeSelector: "),
        ({"deadlines": {"driver": "soon"}}, "spec.deadlines.driver: 'soon' is not a duration: write 90s, 45m or 1h30m"),
        ({"upgrade": {"maxUnavailable": "many"}}, "spec.upgrade.maxUnavailable: 'many' is no number of nodes, and no percentage"),
        ({"upgrade": {"maxUnavailable": "101%"}}, "spec.upgrade.maxUnavailable: '101%' is no number of nodes"),
        ({"upgrade": {"maxUnavailable": -1}}, "spec.upgrade.maxUnavailable: -1 is no number of nodes"),
        ({"upgrade": {"windows": [{"schedule": "0 25 * * *", "duration": "1h"}]}}, "spec.upgrade.windows[0].schedule: '0 25 * * *' is none: "),
        ({"upgrade": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Mars"}]}}, "spec.upgrade.windows[0].timeZone: there is no time zone Mars"),
        ({"upgrade": {"windows": [{"schedule": "0 2 * * *", "duration": "0s"}]}}, "spec.upgrade.windows[0].duration: a window that is open for no time opens never"),
        ({"upgrade": {"canary": {"soak": "x"}}}, "spec.upgrade.canary.soak: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_field(spec: Mapping[str, Any], line: str) -> None:
    with pytest.raises(Refused) as caught:
        made(**spec)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


A100: dict[str, Any] = {"nodeSelector": {"matchLabels": {"gpu": "a100"}}}
H100: dict[str, Any] = {"nodeSelector": {"matchLabels": {"gpu": "h100"}}}
NEW: dict[str, Any] = {
    "nodeSelector": {"matchExpressions": [{"key": "gpu", "operator": "NotIn", "values": ["v100"]}]}
}


@pytest.mark.parametrize(
    ("policies", "labels", "whose"),
    [
        ([], {}, Claim("")),
        ([made("a")], {}, Claim("a")),
        ([made("a", **A100), made("h", **H100)], {"gpu": "h100"}, Claim("h")),
        ([made("a", **A100), made("h", **H100)], {"gpu": "v100"}, Claim("")),
        ([made("young", 2.0, **NEW), made("old", 1.0, **A100)], {"gpu": "a100"}, Claim("old", ("young",))),
        ([made("b"), made("a"), made("c")], {}, Claim("a", ("b", "c"))),
    ],
)
def test_whose_a_node_is(policies: Sequence[Policy], labels: Mapping[str, str], whose: Claim) -> None:
    assert claim(policies, labels) == whose
