"""What pods are written with that newer minors take otherwise, or not at all."""

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.pod_templates import PodTemplate
from aliquot.eks.versions.minor import Minor

CHECK = "pod-behaviour"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_DOCKER = ("/var/run/docker.sock", "/run/docker.sock")


class _Rule(Struct, frozen=True, kw_only=True):
    change: str
    """Its id in versions/data/changes.yaml."""
    minor: Minor
    severity: Severity
    hits: Callable[[PodTemplate], bool]
    why: str
    fix: str


def _volume(*kinds: str) -> Callable[[PodTemplate], bool]:
    return lambda pod: any(kind in volume for volume in pod.volumes for kind in kinds)


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
        minor=Minor(1, 24),
        severity=Severity.BLOCK,
        hits=_docker,
        why="it mounts Docker's socket, and nodes have no Docker",
        fix="use containerd's, or do without",
    ),
    _Rule(
        change="apparmor-fields",
        minor=Minor(1, 30),
        severity=Severity.WARN,
        hits=_apparmor_annotation,
        why="AppArmor's annotations are on their way out",
        fix="write securityContext.appArmorProfile",
    ),
    _Rule(
        change="ceph-in-tree",
        minor=Minor(1, 31),
        severity=Severity.BLOCK,
        hits=_volume("cephfs", "rbd"),
        why="in-tree volumes cephfs and rbd are not mounted any more",
        fix="use the CSI driver of Ceph",
    ),
    _Rule(
        change="apparmor-deprecated",
        minor=Minor(1, 34),
        severity=Severity.INFO,
        hits=_apparmor,
        why="AppArmor is deprecated",
        fix="nothing yet; seccomp and user namespaces are what stays",
    ),
    _Rule(
        change="ingress-nginx",
        minor=Minor(1, 35),
        severity=Severity.WARN,
        hits=_ingress_nginx,
        why="Ingress NGINX has had no maintainers since March 2026",
        fix="move to a Gateway API controller, or to another Ingress controller",
    ),
    _Rule(
        change="git-repo-volumes",
        minor=Minor(1, 36),
        severity=Severity.BLOCK,
        hits=_volume("gitRepo"),
        why="kubelet refuses gitRepo volumes, and the API takes them as before: the pod would hang",
        fix="clone in an init container into an emptyDir",
    ),
)


def judge(pods: Iterable[PodTemplate], now: Minor, to: Minor) -> Iterator[Finding]:
    for pod in pods:
        for rule in RULES:
            if rule.minor > to or not rule.hits(pod):
                continue
            if rule.minor <= now and rule.severity is Severity.INFO:
                continue
            yield Finding(
                check=CHECK,
                severity=rule.severity,
                what=pod.what,
                where=pod.where,
                file=pod.file,
                line=pod.line,
                owner=pod.owner,
                why=rule.why,
                fix=rule.fix,
                minor=rule.minor if rule.minor > now else None,
            )
