"""Which volumes can be set up, and what a runtime without mounts leaves out."""

import msgspec
import pytest
import yaml

from aliquot.emulator.kubelet.environment import Source
from aliquot.emulator.kubelet.pod_details import PodDetails
from aliquot.emulator.kubelet.volumes import CLAIM, Wanted, failure, not_mounted, wanted

MOUNTED = "containers: [{name: main, volumeMounts: [{name: v, mountPath: /v}]}]"


def details(spec: str) -> PodDetails:
    return msgspec.convert(
        {"metadata": {"name": "p", "namespace": "ns"}, "spec": yaml.safe_load(f"{{{spec}}}")}, PodDetails
    )


@pytest.mark.parametrize(
    ("volume", "objects"),
    [
        ("emptyDir: {}", ()),
        ("hostPath: {path: /data}", ()),
        ("configMap: {name: c}", (Wanted("v", Source("ConfigMap", "c")),)),
        (
            "secret: {secretName: s, optional: true, items: [{key: a, path: b}]}",
            (Wanted("v", Source("Secret", "s"), ("a",), optional=True),),
        ),
        (
            "projected: {sources: [{serviceAccountToken: {path: t}}, {configMap: {name: kube-root-ca.crt}}, "
            "{secret: {name: s}}, {configMap: {name: c}}, {downwardAPI: {}}]}",
            (Wanted("v", Source("Secret", "s")), Wanted("v", Source("ConfigMap", "c"))),
        ),
        ("persistentVolumeClaim: {claimName: data}", (Wanted("v", Source(CLAIM, "data")),)),
    ],
)
def test_what_a_volume_is_made_of(volume: str, objects: tuple[Wanted, ...]) -> None:
    assert wanted(details(f"volumes: [{{name: v, {volume}}}], {MOUNTED}")) == objects


def test_a_volume_that_nobody_mounts_is_not_set_up() -> None:
    assert wanted(details("volumes: [{name: v, secret: {secretName: s}}], containers: [{name: main}]")) == ()


CONFIG = Wanted("v", Source("ConfigMap", "c"), ("a",))
SECRET = Wanted("v", Source("Secret", "s"), ("a",))
OPTIONAL = Wanted("v", Source("Secret", "s"), ("a",), optional=True)


@pytest.mark.parametrize(
    ("one", "keys", "text"),
    [
        (CONFIG, {"a", "b"}, ""),
        (CONFIG, None, 'MountVolume.SetUp failed for volume "v" : configmap "c" not found'),
        (
            CONFIG,
            {"b"},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: a',
        ),
        (SECRET, None, 'MountVolume.SetUp failed for volume "v" : secret "s" not found'),
        (
            SECRET,
            set(),
            'MountVolume.SetUp failed for volume "v" : references non-existent secret key: a',
        ),
        (OPTIONAL, None, ""),
        (OPTIONAL, set(), ""),
        (Wanted("v", Source(CLAIM, "data")), {"Bound"}, ""),
        (
            Wanted("v", Source(CLAIM, "data")),
            {"Pending"},
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[v], failed to process "
            "volumes=[v]: error processing PVC ns/data: PVC is not bound",
        ),
        (
            Wanted("v", Source(CLAIM, "data")),
            None,
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[v], failed to process "
            "volumes=[v]: error processing PVC ns/data: failed to fetch PVC from API server: "
            'persistentvolumeclaims "data" not found',
        ),
    ],
)
def test_why_a_volume_cannot_be_set_up(one: Wanted, keys: set[str] | None, text: str) -> None:
    assert failure(one, "ns", keys) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("containers: [{name: main}]", ""),
        (f"volumes: [{{name: v, emptyDir: {{}}}}], {MOUNTED}", "/v (emptyDir v)"),
        (f"volumes: [{{name: v, hostPath: {{path: /v}}}}], {MOUNTED}", ""),
        (f"volumes: [{{name: v, hostPath: {{path: /elsewhere}}}}], {MOUNTED}", "/v (hostPath v)"),
        (
            "volumes: [{name: kube-api-access-x, projected: {}}], "
            "containers: [{name: main, volumeMounts: [{name: kube-api-access-x, mountPath: /var/run/secrets}]}]",
            "",
        ),
        (
            "volumes: [{name: a, secret: {secretName: s}}, {name: b, emptyDir: {}}], "
            "initContainers: [{name: i, volumeMounts: [{name: b, mountPath: /b}]}], "
            "containers: [{name: main, volumeMounts: [{name: b, mountPath: /b}, {name: a, mountPath: /a}]}]",
            "/b (emptyDir b), /a (secret a)",
        ),
    ],
)
def test_what_is_not_there_without_mounts(spec: str, text: str) -> None:
    assert not_mounted(details(spec)) == text
