"""Each row of what behaves otherwise: a check finds it where it is planted, or it is told to whoever takes the hop. None is forgotten."""

from datetime import date
from typing import Any

import pytest

from aliquot.eks.estate.estate import SecurityGroup, Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import pod_behaviour, told_changes
from aliquot.eks.preflight.checks import user_data as user_data_check
from aliquot.eks.preflight.checks.table import CHECKS, TITLES
from aliquot.eks.preflight.findings import Finding
from aliquot.eks.preflight.judging import judge
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.sightings.requests import SHA1_COUNTERS
from aliquot.eks.sightings.sighting import Sighting, Trace, Where
from aliquot.eks.versions.amis import LAST_AL2
from aliquot.eks.versions.changes import Change, row, shipped
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import estate, group, nodes, pods


def thing(kind: str, name: str = "x", **body: Any) -> dict[str, Any]:
    return {"things": {kind: ({"metadata": {"name": name, "namespace": "kube-system"}, **body},)}}


def pod(annotations: dict[str, str] | None = None, image: str = "web:1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "shop", "annotations": annotations or {}}
    return {
        "pods": pods({"metadata": metadata, "spec": {"containers": [{"name": "c", "image": image}], **spec}})
    }


def user_data(text: str) -> dict[str, Any]:
    return {"user_data": text}


def written(api_version: str, kind: str) -> dict[str, Any]:
    where = Where(trace=Trace.LAST_APPLIED)
    return {"sightings": (Sighting(api_version=api_version, kind=kind, name="x", where=where),)}


def in_file(api_version: str, kind: str, **body: Any) -> dict[str, Any]:
    where = Where(trace=Trace.FILE, file="f.yaml", line=1)
    return {"sightings": (Sighting(api_version=api_version, kind=kind, name="x", where=where, body=body),)}


def asked(api_version: str, kind: str) -> dict[str, Any]:
    return {"sightings": (Sighting(api_version=api_version, kind=kind, where=Where(trace=Trace.REQUESTS)),)}


FLOWCONTROL = "flowcontrol.apiserver.k8s.io"
APPARMOR = {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}
IPVS = thing("ConfigMap", "kube-proxy-config", data={"config": "mode: ipvs\n"})
OLD_RUNTIME = {"nodeInfo": {"kubeletVersion": "v1.34.1", "containerRuntimeVersion": "containerd://1.7.29"}}
SCHEDULER = "kind: KubeSchedulerConfiguration\nplugins: [EBSLimits]\n"
AUTO_MODE = {"template": {"spec": {"nodeClassRef": {"group": "eks.amazonaws.com"}}}}
LABELLED = [
    {
        "metadata": {"name": f"p{level}", "namespace": "shop"},
        "spec": {
            "securityContext": {"seLinuxOptions": {"level": level}} if level else {},
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "shared"}}],
        },
        "status": {"phase": "Running"},
    }
    for level in ("", "s0:c1,c2")
]
PLANTED: dict[str, dict[str, Any]] = {
    "ebs-in-tree": thing("StorageClass", provisioner="kubernetes.io/aws-ebs"),
    "ebs-in-tree-code": thing("PersistentVolume", spec={"awsElasticBlockStore": {}}),
    "dockershim": pod(volumes=[{"name": "d", "hostPath": {"path": "/var/run/docker.sock"}}]),
    "pod-security-policy": written("policy/v1beta1", "PodSecurityPolicy"),
    "cinder-in-tree": thing("PersistentVolume", spec={"cinder": {}}),
    "flowcontrol-v1beta2": written(f"{FLOWCONTROL}/v1beta2", "FlowSchema"),
    "no-default-class": thing("StorageClass", provisioner="ebs.csi.aws.com"),
    "apparmor-fields": pod(APPARMOR),
    "apparmor-ga": pod(APPARMOR),
    "container-runtime-flag": user_data("--container-runtime=remote"),
    "kubelet-keep-volumes": user_data("--keep-terminated-pod-volumes=true"),
    "ceph-in-tree": thing("PersistentVolume", spec={"rbd": {}}),
    "cloud-provider-flag": user_data("--cloud-provider=aws"),
    "volume-limit-plugins": thing("ConfigMap", data={"config": SCHEDULER}),
    "sha1-certificates": {"counters": {SHA1_COUNTERS[0]: 3.0}},
    "kubelet-runonce": user_data("--runonce"),
    "flowcontrol-v1beta3": written(f"{FLOWCONTROL}/v1beta3", "FlowSchema"),
    "anonymous-requests": thing("ClusterRoleBinding", subjects=[{"name": "system:anonymous"}]),
    "al2-last": {"ami_type": "AL2_x86_64"},
    "al2-gone": {"ami_type": "AL2_x86_64_GPU"},
    "endpoints-deprecated": asked("v1", "Endpoints"),
    "efa-egress": {
        "ami_type": "AL2023_x86_64_NVIDIA",
        "efa": 4,
        "strategy": "MINIMAL",
        "instance_types": ("p5.48xlarge",),
    },
    "containerd-2": user_data("[plugins]\nversion = 2\n"),
    "apparmor-deprecated": pod(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}),
    "volume-attributes-ga": written("storage.k8s.io/v1beta1", "VolumeAttributesClass"),
    "cgroup-driver-flag": user_data("--cgroup-driver=systemd"),
    "admission-v1beta1": written("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy"),
    "dra-v1alpha3": written("resource.k8s.io/v1alpha3", "ResourceClaim"),
    "cgroup-v1-refused": {"ami_type": "AL2_ARM_64"},
    "kubelet-pause-image": user_data("--pod-infra-container-image=x"),
    "containerd-1-last": {"nodes": nodes({"metadata": {"name": "a"}, "status": OLD_RUNTIME})},
    "ipvs-deprecated": IPVS,
    "ipvs-warning": IPVS,
    "ingress-nginx": pod(image="registry.k8s.io/ingress-nginx/controller:v1.12.1"),
    "git-repo-volumes": pod(volumes=[{"name": "d", "gitRepo": {"repository": "x"}}]),
    "selinux-labels": {"pods": pods(*LABELLED)},
    "strict-addresses": in_file("v1", "Service", spec={"loadBalancerSourceRanges": ["10.0.0.1/8"]}),
    "external-ips": thing("Service", spec={"externalIPs": ["1.2.3.4"]}),
    "workload-v1alpha1": written("scheduling.k8s.io/v1alpha1", "Workload"),
    "static-pod-references": user_data("> /etc/kubernetes/manifests/a.yaml secretKeyRef: {}"),
    "cadvisor-flags": user_data("--event-storage-age-limit=1m"),
    "event-record-qps": user_data("eventRecordQPS: 0"),
    "node-pool-balanced": thing("NodePool", spec=AUTO_MODE),
    "removed-in-1-37": written("networking.k8s.io/v1beta1", "IPAddress"),
    "workload-v1alpha2": written("scheduling.k8s.io/v1alpha2", "PodGroup"),
}
OTHER_MINORS: dict[str, Minor | None] = {
    # It hits whatever the hop, or has hit already.
    **dict.fromkeys(
        (
            "ebs-in-tree-code",
            "apparmor-ga",
            "al2-last",
            "containerd-1-last",
            "endpoints-deprecated",
            "efa-egress",
            "ipvs-warning",
        )
    ),
    # When it ends, of what is deprecated at the hop.
    "volume-attributes-ga": Minor(1, 37),
    # AL2 has no AMIs before cgroup v1 is refused.
    "cgroup-v1-refused": Minor(1, 33),
}
LOOKED_AT = [change for change in shipped() if change.check]


def subject(change: Change, what: dict[str, Any]) -> Subject:
    """A cluster on the way over that hop; without what is planted, nothing of it is found."""
    now, to = change.minor.previous, change.minor
    one = group(
        minor=now,
        template="lt-1",
        ami_type=what.get("ami_type", "AL2023_x86_64_STANDARD"),
        strategy=what.get("strategy", "DEFAULT"),
        instance_types=what.get("instance_types", ()),
    )
    template = Template(
        id="lt-1",
        version="1",
        user_data=what.get("user_data", ""),
        is_default=True,
        is_latest=True,
        efa=what.get("efa", 0),
        security_groups=("sg-1",),
    )
    objects = Objects(
        pods=what.get("pods", ()),
        nodes=what.get("nodes", ()),
        things=what.get("things", {}),
        counters=what.get("counters", {}),
    )
    there = estate(
        nodegroups=(one,),
        templates=(template,),
        security_groups=(SecurityGroup(id="sg-1"),),
        objects=objects,
    )
    return Subject(
        name="prod",
        now=now,
        to=to,
        today=date(2026, 11, 29),
        has=frozenset(Need),
        sightings=what.get("sightings", ()),
        estate=there,
    )


def found(change: Change, what: dict[str, Any]) -> tuple[Finding, ...]:
    return judge(subject(change, what), CHECKS).findings


def test_each_change_that_a_check_looks_for_is_planted_here() -> None:
    assert {change.id for change in LOOKED_AT} == set(PLANTED)
    assert {change.check for change in LOOKED_AT} <= set(TITLES)


def test_the_tables_agree_on_the_last_minor_of_al2() -> None:
    assert (row("al2-last").minor, row("al2-gone").minor) == (LAST_AL2, LAST_AL2.next)


def test_checks_go_by_rows_that_there_are() -> None:
    for rule in pod_behaviour.RULES:
        assert rule.row.id == rule.change
    for flag in user_data_check.FLAGS:
        assert row(flag.change).check == user_data_check.CHECK


@pytest.mark.parametrize("change", LOOKED_AT, ids=lambda change: change.id)
def test_a_change_is_found_where_it_hits(change: Change) -> None:
    there, without = found(change, PLANTED[change.id]), found(change, {})
    assert change.check not in {one.check for one in without}
    expected = (change.severity, OTHER_MINORS.get(change.id, change.minor))
    assert expected in {(one.severity, one.minor) for one in there if one.check == change.check}


@pytest.mark.parametrize("change", [one for one in shipped() if not one.check], ids=lambda one: one.id)
def test_a_change_that_nothing_shows_is_told_at_its_hop(change: Change) -> None:
    on_the_way = told_changes.judge("prod", change.minor.previous, change.minor.next)
    assert (change.minor, change.change) in {(one.minor, one.why) for one in on_the_way}
    assert change.change not in {
        one.why for one in told_changes.judge("prod", change.minor, change.minor.next)
    }
