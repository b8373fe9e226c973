"""What a GPUPolicy comes to, what is refused in one line, and whose a node is."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from aliquot.clock import rfc3339
from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.operator.core.operands import POLICY_LABEL, Image, OperandName, shipped
from aliquot.operator.core.policies import Claim, Policy, Refused, Stored, claim, read, read_stored
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
        ({"repository": "localhost:5000", "version": "570.1"}, "localhost:5000/driver:570.1"),
        ({"repository": "[fd00::1]:5000/a_b", "version": "570.1"}, "[fd00::1]:5000/a_b/driver:570.1"),
        ({"repository": "MyHost/a--b", "image": "c__d/e.f", "version": "V_1"}, "MyHost/a--b/c__d/e.f:V_1"),
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
        ({"driver": {"image": "UPPER"}}, "spec.driver.image: 'UPPER' is no name of an image: small letters and digits, and . _ - / between them"),
        ({"toolkit": {"image": "nvidia//toolkit"}}, "spec.toolkit.image: 'nvidia//toolkit' is no name of an image"),
        ({"agent": {"image": "aliquot:1.0"}}, "spec.agent.image: 'aliquot:1.0' is no name of an image"),
        ({"exporter": {"repository": "https://mirror.example"}}, "spec.exporter.repository: 'https://mirror.example' is no place of images: write it as registry.example.com/team"),
        ({"validator": {"repository": "mirror.example/Team"}}, "spec.validator.repository: 'mirror.example/Team' is no place of images"),
        ({"driver": {"manager": {"image": "Manager"}}}, "spec.driver.manager.image: 'Manager' is no name of an image"),
        ({"driver": {"manager": {"version": "v 1"}}}, "spec.driver.manager.version: 'v 1' is no tag"),
        ({"driver": {"repository": "mirror.example/" + "x" * 230, "image": "y" * 40}}, f"spec.driver.image: '{'y' * 40}' is too long: with its repository it has 255 characters at most"),
        ({"agent": {"preinstalled": True}}, "spec.agent.preinstalled: no image of a node has it; enabled: false leaves it out"),
        ({"driver": {"enabled": False}}, "spec.driver.enabled: toolkit needs the driver: enable it, or say that it is preinstalled"),
        ({"agent": {"enabled": False}}, "spec.agent.enabled: validator needs the agent: enable it, or leave the validator out"),
        ({"hostPaths": {"driverInstallDir": "run/nvidia"}}, "spec.hostPaths.driverInstallDir: 'run/nvidia' is no path from the root of a node"),
        ({"hostPaths": {"cdi": "/var/../cdi"}}, "spec.hostPaths.cdi: '/var/../cdi' is no path from the root of a node, without .."),
        ({"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}, "spec.nodeSelector: "),
        ({"deadlines": {"driver": "soon"}}, "spec.deadlines.driver: 'soon' is not a duration: write 90s, 45m or 1h30m"),
        ({"upgrade": {"maxUnavailable": "many"}}, "spec.upgrade.maxUnavailable: 'many' is no number of nodes, and no percentage"),
        ({"upgrade": {"maxUnavailable": "101%"}}, "spec.upgrade.maxUnavailable: '101%' is no number of nodes"),
        ({"upgrade": {"maxUnavailable": -1}}, "spec.upgrade.maxUnavailable: -1 is no number of nodes"),
        ({"upgrade": {"windows": [{"schedule": "0 25 * * *", "duration": "1h"}]}}, "spec.upgrade.windows[0].schedule: '0 25 * * *' is none: "),
        ({"upgrade": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Mars"}]}}, "spec.upgrade.windows[0].timeZone: there is no time zone Mars"),
        ({"upgrade": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Europe"}]}}, "spec.upgrade.windows[0].timeZone: there is no time zone Europe"),
        ({"upgrade": {"windows": [{"schedule": "0 2 * * *", "duration": "0s"}]}}, "spec.upgrade.windows[0].duration: a window that is open for no time opens never"),
        ({"upgrade": {"canary": {"soak": "x"}}}, "spec.upgrade.canary.soak: "),
        ({"agent": {"resources": {"limits": {"cpu": "lots"}}}}, "spec.agent.resources.limits[cpu]: 'lots' is not a quantity"),
        ({"driver": {"resources": {"requests": {"memory": "1 Gi"}}}}, "spec.driver.resources.requests[memory]: '1 Gi' is not a quantity"),
        ({"upgrade": {"waitForJobs": {"podSelector": "a in"}}}, "spec.upgrade.waitForJobs.podSelector: "),
        ({"upgrade": {"drain": {"podSelector": "=b"}}}, "spec.upgrade.drain.podSelector: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_field(spec: Mapping[str, Any], line: str) -> None:
    with pytest.raises(Refused) as caught:
        made(**spec)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def stored(name: str, created_s: int = 0, **spec: Any) -> Stored:
    metadata = {"name": name, "creationTimestamp": rfc3339(created_s)}
    return read_stored({"metadata": metadata, "spec": spec}, IMAGES)


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        ({}, ""),
        ({"spec": None}, ""),
        ({"spec": {"somethingOfOld": 1, "driver": {"alsoGone": True}}}, ""),
        ({"spec": {"driver": {"enabled": "yes"}}}, "spec.driver.enabled: Expected `bool`, got `str`"),
        ({"spec": {"driver": []}}, "spec.driver: Expected `object`, got `array`"),
        ({"spec": {"nodeSelector": "all"}}, "spec.nodeSelector: Expected `object`, got `str`"),
        ({"spec": {"driver": {"version": "no tag"}}}, "spec.driver.version: 'no tag' is no tag, and no digest (sha256:...)"),
    ],
    ids=str,
)  # fmt: skip
def test_one_of_another_shape_is_read_as_far_as_it_goes(obj: Mapping[str, Any], problem: str) -> None:
    found = read_stored({"metadata": {"name": "p"}, **obj}, IMAGES)
    assert found.problem == problem
    assert (found.policy is None) is bool(problem)


A100: dict[str, Any] = {"nodeSelector": {"matchLabels": {"gpu": "a100"}}}
H100: dict[str, Any] = {"nodeSelector": {"matchLabels": {"gpu": "h100"}}}
NEW: dict[str, Any] = {
    "nodeSelector": {"matchExpressions": [{"key": "gpu", "operator": "NotIn", "values": ["v100"]}]}
}

WRONG: dict[str, Any] = {"driver": {"version": "no tag"}}
UNREADABLE: dict[str, Any] = {"nodeSelector": "all"}
OF_OLD = {POLICY_LABEL: "old"}


@pytest.mark.parametrize(
    ("policies", "labels", "whose"),
    [
        ([], {}, Claim("")),
        ([stored("a")], {}, Claim("a")),
        ([stored("a", **A100), stored("h", **H100)], {"gpu": "h100"}, Claim("h")),
        ([stored("a", **A100), stored("h", **H100)], {"gpu": "v100"}, Claim("")),
        ([stored("young", 2, **NEW), stored("old", 1, **A100)], {"gpu": "a100"}, Claim("old", ("young",))),
        ([stored("b"), stored("a"), stored("c")], {}, Claim("a", ("b", "c"))),
        ([stored("old", 1, **WRONG), stored("young", 2)], {}, Claim("old", ("young",))),
        ([stored("old", 1, **UNREADABLE), stored("young", 2)], {}, Claim("young")),
        ([stored("old", 1, **UNREADABLE), stored("young", 2)], OF_OLD, Claim("old", ("young",))),
        ([stored("old", 1), stored("young", 2, **WRONG)], {POLICY_LABEL: "young"}, Claim("young", ("old",))),
        ([stored("young", 2)], OF_OLD, Claim("young")),
    ],
)
def test_whose_a_node_is(policies: Sequence[Stored], labels: Mapping[str, str], whose: Claim) -> None:
    assert claim(policies, labels) == whose
