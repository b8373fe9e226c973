"""What AWS says of a cluster, judged: each row is a cluster, and what is found in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import BUILDS, SUBNETS, Addon, AddonBuild, Estate, Insight, Issue, Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.preflight.checks import (
    addon_builds,
    addresses,
    calendar,
    insights,
    node_os,
    standing,
    user_data,
    version_skew,
)
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.versions.calendar import shipped
from aliquot.eks.versions.live import over
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import M131, M132, M133, estate, group, nodes, subnet, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def judge_builds(one: Estate) -> Iterator[Finding]:
    return addon_builds.judge(one, M131, M132)


def short(findings: Any) -> list[tuple[Severity, str]]:
    found: list[Finding] = list(findings)
    for one in found:
        assert one.why
        assert one.fix
        assert "\n" not in one.why
    return [(one.severity, one.what) for one in found]


def test_a_cluster_that_nothing_speaks_against() -> None:
    fine = estate()
    for findings in (
        standing.judge(fine, M132),
        addresses.judge(fine),
        addon_builds.judge(fine, M131, M132),
        insights.judge(fine, M131, M132),
        version_skew.judge_groups(fine),
        version_skew.judge_nodes(fine, M132),
        node_os.judge_groups(fine, M132),
        user_data.judge(fine, M131, M132),
        calendar.judge("prod", Minor(1, 35), Minor(1, 36), shipped(), date(2026, 11, 29)),
    ):
        assert short(findings) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"status": "UPDATING"}, [(BLOCK, "cluster prod")]),
        ({"issues": (Issue("ACCESS_DENIED", "no", ("sg-1",)),)}, [(BLOCK, "cluster prod")]),
        ({"minor": M133}, [(BLOCK, "cluster prod")]),
    ],
)
def test_a_cluster_that_does_not_stand_well(change: dict[str, Any], found: list[Any]) -> None:
    fine = estate()
    assert short(standing.judge(replace(fine, cluster=replace(fine.cluster, **change)), M132)) == found


def test_parts_that_do_not_stand_well() -> None:
    running = SeenUpdate(id="u1", type="VersionUpdate", progress=Progress.IN_PROGRESS, created_s=0.0)
    bad = estate(
        updates=(running,),
        nodegroups=(group(status="DEGRADED", issues=(Issue("AsgInstanceLaunchFailures", "capacity"),)),),
        addons=(Addon(name="coredns", build="b1", status="DEGRADED"),),
    )
    assert short(standing.judge(bad, M132)) == [
        (BLOCK, "cluster prod"),
        (BLOCK, "node group gpu"),
        (BLOCK, "node group gpu"),
        (WARN, "add-on coredns"),
    ]


@pytest.mark.parametrize(
    ("free", "found"),
    [
        ((100, 100), []),
        ((100, 15), [(WARN, "subnet s-b")]),
        ((100, 5), [(WARN, "subnet s-b")]),
        ((100, 4), [(BLOCK, "subnet s-b"), (BLOCK, "cluster prod")]),
        (
            (1, 1),
            [
                (BLOCK, "subnet s-a"),
                (BLOCK, "subnet s-b"),
                (BLOCK, "cluster prod"),
                (BLOCK, "node group gpu"),
            ],
        ),
    ],
)
def test_free_addresses(free: tuple[int, int], found: list[Any]) -> None:
    tight = estate(subnets=(subnet("s-a", free[0]), subnet("s-b", free[1])))
    assert short(addresses.judge(tight)) == found


def test_a_subnet_that_is_gone() -> None:
    assert (BLOCK, "subnet s-b") in short(addresses.judge(estate(subnets=(subnet("s-a"),))))


@pytest.mark.parametrize(("what", "judge"), [(SUBNETS, addresses.judge), (BUILDS, judge_builds)])
def test_nothing_follows_from_what_could_not_be_read(
    what: str, judge: Callable[[Estate], Iterator[Finding]]
) -> None:
    """That is unchecked, and said where it was read."""
    bare = estate(subnets=(), builds=())
    assert list(judge(bare))
    assert not list(judge(replace(bare, unchecked=(Unchecked(what=what, why="denied"),))))


def test_without_surge_no_more_addresses_are_needed() -> None:
    tight = estate(
        nodegroups=(group(strategy="MINIMAL", subnets=("s-c",)),),
        subnets=(subnet("s-a"), subnet("s-b"), subnet("s-c", 0)),
    )
    assert short(addresses.judge(tight)) == []


def build(name: str, *minors: Minor) -> AddonBuild:
    return AddonBuild(addon="coredns", build=name, minors=minors)


@pytest.mark.parametrize(
    ("builds", "to", "found", "fix"),
    [
        ((build("b1", M131, M132),), M132, [], ""),
        ((build("b2", M131, M132), build("b1", M131)), M132, [INFO], "raises it to b2 first"),
        ((build("b2", M132), build("b1", M131)), M132, [WARN], "raised to b2 right after"),
        ((build("b1", M131),), M132, [BLOCK], "wait for one"),
        ((build("b3", M133), build("b2", M132, M133), build("b1", M131, M132)), M133, [INFO], "b2 first"),
        ((), M132, [WARN], "its own documentation"),
    ],
)
def test_builds_of_add_ons(
    builds: tuple[AddonBuild, ...], to: Minor, found: list[Severity], fix: str
) -> None:
    findings = list(addon_builds.judge(estate(builds=builds), M131, to))
    assert [one.severity for one in findings] == found
    assert not findings or fix in findings[0].fix


@pytest.mark.parametrize(
    ("status", "minor", "found"),
    [
        ("PASSING", "1.32", []),
        ("ERROR", "1.32", [BLOCK]),
        ("WARNING", "1.33", [BLOCK]),
        ("WARNING", "1.32", [WARN]),
        ("UNKNOWN", "1.32", [WARN]),
        ("ERROR", "1.34", []),
        ("ERROR", "", [BLOCK]),
    ],
)
def test_insights(status: str, minor: str, found: list[Severity]) -> None:
    one = Insight(
        id="i",
        name="Deprecated APIs",
        category="UPGRADE_READINESS",
        minor=minor,
        status=status,
        details=("x by y",),
    )
    findings = list(insights.judge(estate(insights=(one,)), M131, M133))
    assert [finding.severity for finding in findings] == found
    assert all("x by y" in finding.why for finding in findings)


def node(name: str, version: str, runtime: str = "containerd://2.1.5", **labels: str) -> dict[str, Any]:
    info = {"kubeletVersion": version, "containerRuntimeVersion": runtime}
    return {"metadata": {"name": name, "labels": labels}, "status": {"nodeInfo": info}}


def test_kubelets_are_told_by_their_group_and_at_the_hop_that_ends_them() -> None:
    eks = {"eks.amazonaws.com/nodegroup": "old"}
    fine = estate()
    assert fine.objects is not None
    there = replace(
        fine.objects,
        nodes=nodes(
            node("a", "v1.29.9-eks-1", **eks),
            node("b", "v1.29.9-eks-1", **eks),
            node("c", "v1.28.9", **{"karpenter.sh/nodepool": "spot"}),
            node("d", "v1.31.4"),
            node("e", "unknown"),
        ),
    )
    found = list(version_skew.judge_nodes(replace(fine, objects=there), M133))
    assert [(one.severity, one.what, one.minor) for one in found] == [
        (WARN, "node e", None),
        (BLOCK, "NodePool spot (1 node, c first)", M132),
        (BLOCK, "node group old (2 nodes, a first)", M133),
    ]


@pytest.mark.parametrize(
    ("build", "group_minor", "to", "found"),
    [
        ("v1.31.14-eksbuild.32", "1.31", "1.34", []),
        ("v1.30.14-eksbuild.20", "1.31", "1.34", [(BLOCK, "add-on kube-proxy")]),
        ("v1.28.15-eksbuild.37", "1.31", "1.32", [(BLOCK, "add-on kube-proxy")]),
        ("v1.31.14-eksbuild.32", "1.28", "1.32", []),
        ("v1.31.14-eksbuild.32", "1.27", "1.32", [(BLOCK, "add-on kube-proxy")]),
        ("custom", "1.31", "1.34", [(WARN, "add-on kube-proxy")]),
    ],
)
def test_kube_proxy_is_within_three_of_the_control_plane_and_of_kubelets(
    build: str, group_minor: str, to: str, found: list[Any]
) -> None:
    there = estate(
        addons=(Addon(name="kube-proxy", build=build),), nodegroups=(group(minor=Minor.parse(group_minor)),)
    )
    assert short(version_skew.judge_kube_proxy(there, Minor.parse(to))) == found


@pytest.mark.parametrize(
    ("image", "to", "found"),
    [
        (
            "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.31.10-minimal-eksbuild.2",
            "1.32",
            [],
        ),
        ("registry.k8s.io/kube-proxy:v1.28.15", "1.31", []),
        ("registry.k8s.io/kube-proxy:v1.28.15", "1.32", [(BLOCK, "DaemonSet kube-system/kube-proxy")]),
        ("registry.k8s.io/kube-proxy@sha256:0", "1.32", [(WARN, "DaemonSet kube-system/kube-proxy")]),
        ("quay.io/cilium/cilium:v1.16.0", "1.37", []),
    ],
)
def test_a_kube_proxy_that_is_no_add_on_is_judged_by_its_image(image: str, to: str, found: list[Any]) -> None:
    daemon = {
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [{"name": "kube-proxy", "image": image}]}}},
    }
    there = Objects(workloads={"DaemonSet": workloads(daemon)})
    judge = version_skew.judge_kube_proxy_of_nobody
    assert short(judge(estate(objects=there), Minor.parse(to))) == found
    # The add-on's build says the same.
    managed = estate(objects=there, addons=(Addon(name="kube-proxy", build="v1.31.14-eksbuild.32"),))
    assert short(judge(managed, Minor.parse(to))) == []


@pytest.mark.parametrize(
    ("os_image", "ami_type", "to", "found"),
    [
        ("Amazon Linux 2", "CUSTOM", "1.34", [WARN]),
        ("Amazon Linux 2", "CUSTOM", "1.35", [BLOCK]),
        # Its AMI type said so already.
        ("Amazon Linux 2", "AL2_x86_64", "1.35", []),
        ("Amazon Linux 2023.9.20260901", "CUSTOM", "1.35", []),
        ("Bottlerocket OS 1.50.0 (aws-k8s-1.35)", "CUSTOM", "1.35", []),
    ],
)
def test_nodes_of_al2_whose_group_does_not_say_it(
    os_image: str, ami_type: str, to: str, found: list[Severity]
) -> None:
    told = node("a", "v1.34.0", **{"eks.amazonaws.com/nodegroup": "gpu"})
    told["status"]["nodeInfo"]["osImage"] = os_image
    there = estate(nodegroups=(group(ami_type=ami_type),), objects=Objects(nodes=nodes(told)))
    assert there.objects is not None
    judged = short(node_os.judge_nodes(there, there.objects, Minor.parse(to)))
    assert [severity for severity, _ in judged] == found


def test_node_groups_are_of_the_clusters_minor_first() -> None:
    uneven = estate(nodegroups=(group("old", minor=Minor(1, 30)), group("new", minor=M132)))
    assert short(version_skew.judge_groups(uneven)) == [(BLOCK, "node group old"), (BLOCK, "node group new")]


def test_operating_systems() -> None:
    al2 = estate(nodegroups=(group(ami_type="AL2_x86_64_GPU"),))
    assert short(node_os.judge_groups(al2, M132)) == [(WARN, "node group gpu")]
    assert short(node_os.judge_groups(al2, M133)) == [(BLOCK, "node group gpu")]
    # Two reasons, and one thing to do.
    (one,) = node_os.judge_groups(al2, Minor(1, 35))
    assert (one.severity, one.minor, "1.32 is the last minor with AL2, and from 1.35 on" in one.why) == (
        BLOCK,
        M133,
        True,
    )
    (one,) = node_os.judge_groups(al2, Minor(1, 34))
    assert "cgroup v1" not in one.why
    fine = estate().objects
    assert fine is not None
    old = replace(fine, nodes=nodes(node("a", "v1.31.4", "containerd://1.7.29")))
    for to, severity in ((M132, INFO), (Minor(1, 35), WARN), (Minor(1, 36), BLOCK)):
        assert [found for found, _ in short(node_os.judge_nodes(al2, old, to))] == [severity]
    labelled = replace(old.nodes[0].metadata, labels={"eks.amazonaws.com/nodegroup": "gpu"})
    rolled = replace(old, nodes=(replace(old.nodes[0], metadata=labelled),))
    assert [found for found, _ in short(node_os.judge_nodes(al2, rolled, Minor(1, 36)))] == [INFO]


@pytest.mark.parametrize(
    ("text", "to", "found"),
    [
        ("kubelet --keep-terminated-pod-volumes=true", "1.31", [BLOCK]),
        ("kubelet --keep-terminated-pod-volumes=true", "1.30", []),
        ("--cloud-provider=aws", "1.32", [BLOCK]),
        ("--cloud-provider=external", "1.32", []),
        ("--pod-infra-container-image x", "1.35", [BLOCK]),
        ("--container-runtime-endpoint=x", "1.37", []),
        ("--containerd=/run/x", "1.37", [BLOCK]),
        ("dockerd --containerd /run/x", "1.37", []),
        ("# kubelet --containerd=/run/x", "1.37", []),
        ("  # --cloud-provider=aws was here\n--runonce", "1.32", [INFO]),
        ("app_version = 2", "1.37", []),
        ("--global-housekeeping-interval=1m", "1.37", [WARN]),
        ("--housekeeping-interval=1m", "1.37", []),
        ('"eventRecordQPS": 0', "1.37", [WARN]),
        ("eventRecordQPS: 50", "1.37", []),
        ("[settings.kubernetes]\nevent-qps = 0\n", "1.37", [WARN]),
        ("[settings.kubernetes]\nevent-qps = 5\n", "1.37", []),
        (
            "[settings.kubernetes.static-pods.a]\nkind: Pod\nvolumes: [{secret: {secretName: x}}]",
            "1.37",
            [BLOCK],
        ),
        ("cat > /etc/kubernetes/manifests/a.yaml\n env: [{valueFrom: {secretKeyRef: {}}}]", "1.37", [BLOCK]),
        ("cat > /etc/kubernetes/manifests/a.yaml\n image: x", "1.37", []),
        ("cat > /srv/a.yaml\n env: [{valueFrom: {secretKeyRef: {}}}]", "1.37", []),
        ("[plugins]\nversion = 2\n", "1.34", [WARN]),
    ],
)
def test_user_data(text: str, to: str, found: list[Severity]) -> None:
    template = Template(id="lt-1", version="3", user_data=text)
    unused = Template(id="lt-2", version="1", user_data=text)
    there = estate(nodegroups=(group(template="lt-1"),), templates=(template, unused))
    assert [severity for severity, _ in short(user_data.judge(there, Minor(1, 29), Minor.parse(to)))] == found


def test_user_data_that_no_group_has_yet_blocks_nothing() -> None:
    text = "kubelet --container-runtime=remote"
    newest = Template(id="lt-1", version="4", is_latest=True, user_data=text)
    there = estate(nodegroups=(group(template="lt-1", template_version="3"),), templates=(newest,))
    assert [severity for severity, _ in short(user_data.judge(there, M131, M132))] == [WARN]


def test_user_data_that_nobody_can_read_is_unchecked() -> None:
    template = Template(id="lt-1", version="3", user_data_unreadable="it is no text")
    there = estate(nodegroups=(group(template="lt-1"),), templates=(template,))
    (found,) = user_data.judge(there, M131, M132)
    assert isinstance(found, Unchecked)
    assert found.why == "it is no text"


@pytest.mark.parametrize(
    ("now", "to", "today", "found"),
    [
        ("1.31", "1.32", date(2026, 10, 1), [WARN, INFO]),
        ("1.31", "1.32", date(2026, 11, 29), [WARN, INFO]),
        ("1.36", "1.38", date(2026, 11, 29), [BLOCK]),
        ("1.36", "1.37", date(2026, 9, 1), [BLOCK]),
        ("1.29", "1.30", date(2026, 11, 29), [BLOCK, WARN]),
        ("1.29", "1.33", date(2026, 11, 29), [WARN, WARN, WARN, INFO]),
        ("1.31", "1.40", date(2026, 11, 29), [BLOCK, WARN]),
    ],
)
def test_the_calendar(now: str, to: str, today: date, found: list[Severity]) -> None:
    judged = short(calendar.judge("prod", Minor.parse(now), Minor.parse(to), shipped(), today))
    assert sorted(severity for severity, _ in judged) == sorted(found)


def test_how_aws_calls_a_minor_counts_more_than_the_clock_here() -> None:
    told = [{"clusterVersion": one, "versionStatus": "EXTENDED_SUPPORT"} for one in ("1.31", "1.32")]
    late = date(2027, 6, 1)
    asked = over(shipped(), told, late)
    assert short(calendar.judge("prod", M131, M132, asked, late)) == [(WARN, "prod"), (INFO, "prod")]
    assert BLOCK in [one for one, _ in short(calendar.judge("prod", M131, M132, shipped(), late))]
    over_now = over(shipped(), [{"clusterVersion": "1.30", "versionStatus": "UNSUPPORTED"}], late)
    assert (BLOCK, "prod") in short(calendar.judge("prod", Minor(1, 29), Minor(1, 30), over_now, late))


def test_what_aws_lists_counts_more_than_what_is_shipped() -> None:
    today = date(2026, 11, 29)
    told = [{"clusterVersion": str(minor)} for minor in shipped().offered(today) if minor < Minor(1, 37)]
    asked = over(shipped(), told, today)
    (found,) = calendar.judge("prod", Minor(1, 36), Minor(1, 37), asked, today)
    assert (found.severity, found.fix) == (BLOCK, "the newest it has is 1.36")
    assert "does not list 1.37" in found.why
    assert short(calendar.judge("prod", Minor(1, 36), Minor(1, 37), shipped(), today)) == []
    newer = {
        "clusterVersion": "1.38",
        "releaseDate": datetime(2026, 11, 1, tzinfo=UTC),
        "endOfStandardSupportDate": datetime(2028, 1, 1, tzinfo=UTC),
        "endOfExtendedSupportDate": datetime(2029, 1, 1, tzinfo=UTC),
    }
    minors: list[dict[str, Any]] = [*told, {"clusterVersion": "1.37"}, newer]
    ahead = over(shipped(), minors, today)
    assert short(calendar.judge("prod", Minor(1, 37), Minor(1, 38), ahead, today)) == []
    assert short(calendar.judge("prod", Minor(1, 37), Minor(1, 38), shipped(), today)) == [(BLOCK, "prod")]
