"""What a cluster has, beside its pods, that newer minors take otherwise."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "cluster-behaviour"
_ANONYMOUS = frozenset({"system:unauthenticated", "system:anonymous"})
_KUBERNETES_OWN = frozenset({"system:public-info-viewer"})
"""Kubernetes binds it to whoever comes; the paths it is for stay open."""
_IN_TREE_EBS = "kubernetes.io/aws-ebs"
_DRIVERS = frozenset({"DaemonSet", "Deployment"})
"""Kinds that a CSI driver consists of."""
_CEPH = "kubernetes.io/rbd"
_NO_DEFAULT_CLASS = Minor(1, 30)
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_LIMIT_PLUGINS = ("EBSLimits", "CinderLimits", "AzureDiskLimits", "GCEPDLimits")


def judge(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    yield from _volumes(objects, to)
    if now < _NO_DEFAULT_CLASS <= to:
        yield from _default_class(objects)
    if to >= Minor(1, 31):
        yield from _limit_plugins(objects)
    if to >= Minor(1, 32):
        yield from _anonymous(objects)
    if to >= Minor(1, 35):
        yield from _ipvs(objects)
    if to >= Minor(1, 36):
        yield from _external_ips(objects)
        yield from _selinux(objects)


def _volumes(objects: Objects, to: Minor) -> Iterator[Finding]:
    for one in objects.of("PersistentVolume"):
        spec = one.get("spec") or {}
        named = f"PersistentVolume {one['metadata']['name']}"
        if to >= Minor(1, 31) and ("cephfs" in spec or "rbd" in spec):
            yield _finding(
                named,
                Severity.BLOCK,
                Minor(1, 31),
                "in-tree volumes cephfs and rbd are not mounted any more",
                "use the CSI driver of Ceph",
            )
        if to >= Minor(1, 26) and "cinder" in spec:
            yield _finding(
                named,
                Severity.WARN,
                Minor(1, 26),
                "the in-tree volume cinder is gone",
                "use the CSI driver of Cinder",
            )
        if "awsElasticBlockStore" in spec and _lacks_ebs_driver(objects):
            yield _no_ebs_driver(named)
    for one in objects.of("StorageClass"):
        named, provisioner = f"StorageClass {one['metadata']['name']}", one.get("provisioner", "")
        if provisioner == _CEPH and to >= Minor(1, 31):
            yield _finding(
                named, Severity.BLOCK, Minor(1, 31), f"{_CEPH} is gone", "use the CSI driver of Ceph"
            )
        if provisioner == _IN_TREE_EBS and _lacks_ebs_driver(objects):
            yield _no_ebs_driver(named)


def _no_ebs_driver(what: str) -> Finding:
    why = f"{_IN_TREE_EBS} is served by the EBS CSI driver alone, which is not there"
    return _finding(what, Severity.BLOCK, None, why, "install the add-on aws-ebs-csi-driver")


def _default_class(objects: Objects) -> Iterator[Finding]:
    classes = objects.of("StorageClass")
    if classes and not any(
        (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true" for one in classes
    ):
        yield _finding(
            "StorageClasses",
            Severity.WARN,
            _NO_DEFAULT_CLASS,
            "none is the default, and EKS marks none any more: claims without a class wait for ever",
            f'annotate one: {_DEFAULT_CLASS}: "true"',
        )


def _limit_plugins(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("ConfigMap"):
        text = "\n".join((one.get("data") or {}).values())
        named = [plugin for plugin in _LIMIT_PLUGINS if plugin in text]
        if named and "KubeSchedulerConfiguration" in text:
            yield _finding(
                _named("ConfigMap", one),
                Severity.WARN,
                Minor(1, 31),
                f"it names {', '.join(named)}, which the scheduler does not have any more",
                "take them out: NodeVolumeLimits counts volumes of CSI drivers",
            )


def _lacks_ebs_driver(objects: Objects) -> bool:
    """Where workloads could not be listed nobody can say so."""
    return not _DRIVERS.intersection(objects.unread) and not any(
        "ebs" in one.metadata.name and "csi" in one.metadata.name
        for kind in _DRIVERS
        for one in objects.workloads.get(kind, ())
    )


def _anonymous(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("ClusterRoleBinding"):
        who = sorted({subject.get("name", "") for subject in one.get("subjects") or ()} & _ANONYMOUS)
        if who and one["metadata"]["name"] not in _KUBERNETES_OWN:
            yield _finding(
                f"ClusterRoleBinding {one['metadata']['name']}",
                Severity.WARN,
                Minor(1, 32),
                f"it lets {', '.join(who)} in, and from 1.32 on whoever is not signed in gets /healthz, /livez and /readyz alone",
                "let whoever uses it sign in",
            )


def _ipvs(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("ConfigMap"):
        if one["metadata"]["name"] in ("kube-proxy", "kube-proxy-config") and any(
            "mode: ipvs" in text or 'mode: "ipvs"' in text for text in (one.get("data") or {}).values()
        ):
            yield _finding(
                f"ConfigMap kube-system/{one['metadata']['name']}",
                Severity.WARN,
                Minor(1, 35),
                "kube-proxy runs in mode ipvs, which is deprecated (off by default in 1.40, gone in 1.43)",
                "nftables is what stays",
            )


def _external_ips(objects: Objects) -> Iterator[Finding]:
    for one in objects.of("Service"):
        if (one.get("spec") or {}).get("externalIPs"):
            yield _finding(
                _named("Service", one),
                Severity.WARN,
                Minor(1, 36),
                "externalIPs are deprecated (gone in 1.43)",
                "use a load balancer or a gateway",
            )


def _selinux(objects: Objects) -> Iterator[Finding]:
    """A volume is mounted with one label, so whoever shares it with another label does not start any more."""
    labels: dict[tuple[str, str], set[str]] = {}
    for pod in objects.pods:
        if pod.status.phase not in ("Pending", "Running"):
            continue
        context = pod.spec.security_context
        if context.get("seLinuxChangePolicy") == "Recursive":
            continue
        options = context.get("seLinuxOptions") or {}
        label = ":".join(str(options.get(part, "")) for part in ("user", "role", "type", "level"))
        for volume in pod.spec.volumes:
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                labels.setdefault((pod.metadata.namespace, claim), set()).add(label)
    for (namespace, claim), found in sorted(labels.items()):
        if len(found) > 1:
            yield _finding(
                f"PersistentVolumeClaim {namespace}/{claim}",
                Severity.WARN,
                Minor(1, 36),
                "pods of different SELinux labels share it: on nodes that enforce SELinux (Bottlerocket) the volume is mounted with one label, and the others do not start",
                "give them one label, or seLinuxChangePolicy: Recursive",
            )


def _finding(what: str, severity: Severity, minor: Minor | None, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix, minor=minor)


def _named(kind: str, one: Mapping[str, Any]) -> str:
    meta = one["metadata"]
    return f"{kind} {meta.get('namespace', '')}/{meta['name']}"
