"""Operands as rendered, beside files that were read by somebody. `UPDATE_GOLDEN=1 pytest ...` writes them anew: look at the diff."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import read
from aliquot.operator.core.pools import Pool, pool_of
from aliquot.operator.core.rendering.operands import manifests
from aliquot.operator.core.rendering.pods import revision

GOLDEN = Path(__file__).parent / "golden"
JAMMY = Pool("ubuntu22.04")
CASES: dict[str, tuple[dict[str, Any], list[Pool]]] = {
    "as-shipped": ({}, [JAMMY]),
    "driver-preinstalled": ({"driver": {"preinstalled": True}}, [JAMMY]),
    "two-systems": (
        {"toolkit": {"preinstalled": True}, "exporter": {"enabled": False}},
        [JAMMY, Pool("rhel9")],
    ),
    "precompiled": (
        {
            "driver": {"usePrecompiled": True, "kernelModuleType": "open", "version": "570.124.06"},
            "toolkit": {"enabled": False},
            "exporter": {"enabled": False},
            "validator": {"enabled": False},
        },
        [Pool("ubuntu22.04", "5.15.0-105-generic")],
    ),
    "air-gapped": (
        {
            "pods": {
                "imagePullSecrets": ["mirror"],
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "labels": {"team": "infra"},
                "annotations": {"note": "x"},
            },
            "driver": {"repository": "mirror.example/nvidia", "version": "sha256:" + "a" * 64},
            "toolkit": {
                "repository": "mirror.example/k8s",
                "env": [{"name": "ROOT", "value": "/opt/nvidia"}],
            },
            "agent": {
                "image": "mirror.example/aliquot",
                "config": "plugin",
                "args": ["--mig-strategy", "single"],
            },
            "exporter": {"resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "512Mi"}}},
            "validator": {"workload": False},
            "hostPaths": {"kubeletRootDir": "/var/data/kubelet"},
        },
        [JAMMY],
    ),
}


def rendered(spec: dict[str, Any], pools: list[Pool]) -> list[dict[str, Any]]:
    policy = msgspec.convert({"metadata": {"name": "default"}, "spec": spec}, GPUPolicy)
    return manifests(
        read(policy, 0.0, shipped(Image("example.com", "aliquot", "1.0"))), "aliquot-system", pools
    )


class _Plain(yaml.SafeDumper):
    """Who reads a manifest wants no references in it."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@pytest.mark.parametrize("name", CASES)
def test_as_it_was_read(name: str) -> None:
    found = yaml.dump_all(rendered(*CASES[name]), Dumper=_Plain, sort_keys=False)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(found)
    assert path.read_text() == found


def test_a_revision_changes_with_what_the_pods_are_made_of_and_with_nothing_else() -> None:
    def revisions(spec: dict[str, Any]) -> list[str]:
        return [revision(one) for one in rendered(spec, [JAMMY])]

    assert revisions({}) == revisions({"upgrade": {"maxParallel": 3}, "deadlines": {"driver": "1h"}})
    before, after = revisions({}), revisions({"driver": {"version": "580.1"}})
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("labels", "image", "pool"),
    [
        ({}, "Ubuntu 22.04.5 LTS", Pool("ubuntu22.04")),
        ({}, "Red Hat Enterprise Linux 9.4 (Plow)", Pool("rhel9")),
        ({}, "Debian GNU/Linux 12 (bookworm)", Pool("debian12")),
        ({}, "SUSE Linux Enterprise Server 15 SP6", Pool("sles15.6")),
        ({}, "Talos (v1.9)", None),
        (
            {
                "feature.node.kubernetes.io/system-os_release.ID": "rocky",
                "feature.node.kubernetes.io/system-os_release.VERSION_ID": "9.5",
            },
            "Talos (v1.9)",
            Pool("rocky9"),
        ),
    ],
)
def test_which_driver_image_a_node_needs(labels: dict[str, str], image: str, pool: Pool | None) -> None:
    assert pool_of(labels, image, "6.8.0", precompiled=False) == pool
