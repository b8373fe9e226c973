"""What a cluster has, or is to have, beside its pods, that newer minors take otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight import ebs_driver, written
from aliquot.eks.preflight.ebs_driver import EbsDriver
from aliquot.eks.preflight.fields import mapping, mappings, texts
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.sighting import Sighting
from aliquot.eks.versions import changes
from aliquot.eks.versions.minor import Minor

CHECK = "cluster-behaviour"
_KINDS = ("PersistentVolume", "StorageClass", "ConfigMap", "ClusterRoleBinding", "Service")
_ANONYMOUS = frozenset({"system:unauthenticated", "system:anonymous"})
_KUBERNETES_OWN = frozenset({"system:public-info-viewer"})
"""Kubernetes binds it to whoever comes; the paths it is for stay open."""
_CEPH = "kubernetes.io/rbd"
_USE_CEPH_CSI = "use the CSI driver of Ceph"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_LIMIT_PLUGINS = ("EBSLimits", "CinderLimits", "AzureDiskLimits", "GCEPDLimits")


class _Hop:
    """From one minor to another: what changes there, by its id in versions/data/changes.yaml."""

    def __init__(self, now: Minor, to: Minor) -> None:
        self._now, self._to = now, to

    def is_beyond(self, id_: str) -> bool:
        return changes.row(id_).minor <= self._to

    def meets(self, id_: str) -> bool:
        return self._now < changes.row(id_).minor <= self._to

    def finding(
        self, id_: str, what: str, why: str, fix: str, *, severity: Severity | None = None
    ) -> Finding:
        row = changes.row(id_)
        return Finding(
            check=CHECK,
            severity=severity or row.severity,
            what=what,
            why=why,
            fix=fix,
            minor=row.minor if row.minor > self._now else None,
        )


def judge(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    hop, driver = _Hop(now, to), ebs_driver.unless_unread(objects)
    for kind in _KINDS:
        for one in objects.of(kind):
            yield from _judged(hop, driver, kind, one)
    if hop.meets("no-default-class"):
        yield from _default_class(hop, objects)
    if hop.is_beyond("selinux-labels"):
        yield from _selinux(hop, objects)


def judge_written(
    sightings: Sequence[Sighting], objects: Objects | None, now: Minor, to: Minor
) -> Iterator[Finding]:
    """`objects`: of the cluster that they go to, if that was looked at. What takes all of a cluster is not judged of files."""
    driver = ebs_driver.of_manifests(sightings, objects)
    yield from written.judged(sightings, _KINDS, partial(_judged, _Hop(now, to), driver))


def _judged(hop: _Hop, driver: EbsDriver, kind: str, one: Mapping[str, Any]) -> Iterator[Finding]:
    meta = mapping(one, "metadata")
    name, namespace = str(meta.get("name", "")), str(meta.get("namespace", ""))
    named = (
        f"{kind} {namespace}/{name}" if namespace and kind in ("ConfigMap", "Service") else f"{kind} {name}"
    )
    match kind:
        case "PersistentVolume":
            yield from _volume(hop, driver, named, mapping(one, "spec"))
        case "StorageClass":
            yield from _storage_class(hop, driver, named, one.get("provisioner"))
        case "ConfigMap":
            values = [text for text in mapping(one, "data").values() if isinstance(text, str)]
            yield from _limit_plugins(hop, named, "\n".join(values))
            if name in ("kube-proxy", "kube-proxy-config"):
                yield from _ipvs(hop, named, values)
        case "ClusterRoleBinding":
            if name not in _KUBERNETES_OWN:
                yield from _anonymous(hop, named, mappings(one.get("subjects")))
        case "Service":
            if texts(mapping(one, "spec").get("externalIPs")) and hop.is_beyond("external-ips"):
                why = "externalIPs are deprecated (gone in 1.43)"
                yield hop.finding("external-ips", named, why, "use a load balancer or a gateway")


def _volume(hop: _Hop, driver: EbsDriver, named: str, spec: Mapping[str, Any]) -> Iterator[Finding]:
    if hop.is_beyond("ceph-in-tree") and ("cephfs" in spec or "rbd" in spec):
        why = "in-tree volumes cephfs and rbd are not mounted any more"
        yield hop.finding("ceph-in-tree", named, why, _USE_CEPH_CSI)
    if hop.is_beyond("cinder-in-tree") and "cinder" in spec:
        why = "the in-tree volume cinder is gone"
        yield hop.finding("cinder-in-tree", named, why, "use the CSI driver of Cinder")
    if "awsElasticBlockStore" in spec:
        yield from _ebs(hop, driver, named)


def _storage_class(hop: _Hop, driver: EbsDriver, named: str, provisioner: object) -> Iterator[Finding]:
    if provisioner == _CEPH and hop.is_beyond("ceph-in-tree"):
        yield hop.finding("ceph-in-tree", named, f"{_CEPH} is gone", _USE_CEPH_CSI)
    if provisioner == ebs_driver.IN_TREE:
        yield from _ebs(hop, driver, named)


def _ebs(hop: _Hop, driver: EbsDriver, named: str) -> Iterator[Finding]:
    if driver is not EbsDriver.THERE and hop.is_beyond("ebs-in-tree"):
        yield hop.finding("ebs-in-tree", named, driver.why, ebs_driver.FIX, severity=driver.severity)


def _default_class(hop: _Hop, objects: Objects) -> Iterator[Finding]:
    classes = objects.of("StorageClass")
    if classes and not any(
        mapping(one, "metadata", "annotations").get(_DEFAULT_CLASS) == "true" for one in classes
    ):
        yield hop.finding(
            "no-default-class",
            "StorageClasses",
            "none is the default, and EKS marks none any more: claims without a class wait for ever",
            f'annotate one: {_DEFAULT_CLASS}: "true"',
        )


def _limit_plugins(hop: _Hop, named: str, text: str) -> Iterator[Finding]:
    found = [plugin for plugin in _LIMIT_PLUGINS if plugin in text]
    if found and "KubeSchedulerConfiguration" in text and hop.is_beyond("volume-limit-plugins"):
        yield hop.finding(
            "volume-limit-plugins",
            named,
            f"it names {', '.join(found)}, which the scheduler does not have any more",
            "take them out: NodeVolumeLimits counts volumes of CSI drivers",
        )


def _anonymous(hop: _Hop, named: str, subjects: list[dict[str, Any]]) -> Iterator[Finding]:
    who = sorted({str(subject.get("name", "")) for subject in subjects} & _ANONYMOUS)
    if who and hop.is_beyond("anonymous-requests"):
        yield hop.finding(
            "anonymous-requests",
            named,
            f"it lets {', '.join(who)} in, and from 1.32 on whoever is not signed in gets /healthz, /livez and /readyz alone",
            "let whoever uses it sign in",
            # Whom it hits it has hit already.
            severity=None if hop.meets("anonymous-requests") else Severity.WARN,
        )


def _ipvs(hop: _Hop, named: str, values: list[str]) -> Iterator[Finding]:
    if hop.is_beyond("ipvs-deprecated") and any(
        "mode: ipvs" in text or 'mode: "ipvs"' in text for text in values
    ):
        yield hop.finding(
            "ipvs-deprecated",
            named,
            "kube-proxy runs in mode ipvs, which is deprecated (off by default in 1.40, gone in 1.43)",
            "nftables is what stays",
        )


def _selinux(hop: _Hop, objects: Objects) -> Iterator[Finding]:
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
            yield hop.finding(
                "selinux-labels",
                f"PersistentVolumeClaim {namespace}/{claim}",
                "pods of different SELinux labels share it: on nodes that enforce SELinux (Bottlerocket) the volume is mounted with one label, and the others do not start",
                "give them one label, or seLinuxChangePolicy: Recursive",
            )
