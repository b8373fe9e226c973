"""What pods are written with that newer minors take otherwise, or not at all."""

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight import ebs_driver, pod_templates
from aliquot.eks.preflight.ebs_driver import EbsDriver
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.pod_templates import PodTemplate
from aliquot.eks.sightings.sighting import Sighting
from aliquot.eks.versions import changes
from aliquot.eks.versions.changes import Change
from aliquot.eks.versions.minor import Minor

CHECK = "pod-behaviour"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_DOCKER = ("/var/run/docker.sock", "/run/docker.sock")


class _Rule(Struct, frozen=True, kw_only=True):
    change: str
    """Its id in versions/data/changes.yaml."""
    hits: Callable[[PodTemplate], bool]
    why: str
    fix: str

    @property
    def row(self) -> Change:
        return changes.row(self.change)


def _volume(*kinds: str) -> Callable[[PodTemplate], bool]:
    return lambda pod: any(kind in volume for volume in pod.volumes for kind in kinds)


_EBS = _volume("awsElasticBlockStore")


def _docker(pod: PodTemplate) -> bool:
    paths = [volume["hostPath"] for volume in pod.volumes if isinstance(volume.get("hostPath"), dict)]
    return any(one.get("path") in _DOCKER for one in paths)


def _apparmor_annotation(pod: PodTemplate) -> bool:
    return any(key.startswith(_APPARMOR) for key in pod.annotations)


def _apparmor(pod: PodTemplate) -> bool:
    return any("appArmorProfile" in one for one in pod.security)


def _ingress_nginx(pod: PodTemplate) -> bool:
    return any("ingress-nginx/controller" in image for image in pod.images)


RULES = (
    _Rule(
        change="dockershim",
        hits=_docker,
        why="it mounts Docker's socket, and nodes have no Docker",
        fix="use containerd's, or do without",
    ),
    _Rule(
        change="apparmor-fields",
        hits=_apparmor_annotation,
        why="AppArmor's annotations are on their way out",
        fix="write securityContext.appArmorProfile",
    ),
    _Rule(
        change="cinder-in-tree",
        hits=_volume("cinder"),
        why="the in-tree volume cinder is gone",
        fix="use the CSI driver of Cinder",
    ),
    _Rule(
        change="ceph-in-tree",
        hits=_volume("cephfs", "rbd"),
        why="in-tree volumes cephfs and rbd are not mounted any more",
        fix="use the CSI driver of Ceph",
    ),
    _Rule(
        change="apparmor-deprecated",
        hits=_apparmor,
        why="AppArmor is deprecated",
        fix="nothing yet; seccomp and user namespaces are what stays",
    ),
    _Rule(
        change="ingress-nginx",
        hits=_ingress_nginx,
        why="Ingress NGINX has had no maintainers since March 2026",
        fix="move to a Gateway API controller, or to another Ingress controller",
    ),
    _Rule(
        change="git-repo-volumes",
        hits=_volume("gitRepo"),
        why="kubelet refuses gitRepo volumes, and the API takes them as before: the pod would hang",
        fix="clone in an init container into an emptyDir",
    ),
)


def judge(pods: Iterable[PodTemplate], driver: EbsDriver, now: Minor, to: Minor) -> Iterator[Finding]:
    for pod in pods:
        for rule in RULES:
            row = rule.row
            if row.minor > to or not rule.hits(pod):
                continue
            if row.minor <= now and row.severity is Severity.INFO:
                continue
            yield _finding(pod, row, now, row.severity, rule.why, rule.fix)
        if driver is not EbsDriver.THERE and _EBS(pod):
            row = changes.row("ebs-in-tree")
            yield _finding(pod, row, now, driver.severity, driver.why, ebs_driver.FIX)


def judge_running(objects: Objects, now: Minor, to: Minor) -> Iterator[Finding]:
    yield from judge(pod_templates.running(objects), ebs_driver.unless_unread(objects), now, to)


def judge_written(
    sightings: tuple[Sighting, ...], objects: Objects | None, now: Minor, to: Minor
) -> Iterator[Finding]:
    """`objects`: of the cluster that they go to, if that was looked at."""
    driver = ebs_driver.of_manifests(sightings, objects)
    yield from judge(pod_templates.written(sightings), driver, now, to)


def _finding(pod: PodTemplate, row: Change, now: Minor, severity: Severity, why: str, fix: str) -> Finding:
    return Finding(
        check=CHECK,
        severity=severity,
        what=pod.what,
        where=pod.where,
        file=pod.file,
        line=pod.line,
        owner=pod.owner,
        why=why,
        fix=fix,
        minor=row.minor if row.minor > now else None,
    )
