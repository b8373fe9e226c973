"""Pods and pod templates: what runs, but not as it reads (kubernetes/pkg/api/pod/warnings.go)."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from aliquot.emulator.schema.sound import Sound
from aliquot.emulator.schema.warnings import node_labels
from aliquot.emulator.schema.warnings.addresses import odd_address
from aliquot.emulator.schema.warnings.mounted_paths import overlapping_paths

Obj = Mapping[str, Any]

_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR_CONTAINER = "container.apparmor.security.beta.kubernetes.io/"
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_TELLING = (*_ANNOTATIONS, _SECCOMP_POD, _SECCOMP_CONTAINER, _APPARMOR_CONTAINER)
"""What the annotations that are looked at begin with."""
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SPELLED = {"storageos": "storageOS"}
_IN_BYTES = ("memory", "ephemeral-storage")
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_sound_pods = Sound()


def pod(pod: Obj, at: str = "") -> list[str]:
    """`at` is where a template stands (`spec.template.`)."""
    spec = pod.get("spec") or {}
    annotations: Mapping[str, str] = (pod.get("metadata") or {}).get("annotations") or {}
    telling = {key: value for key, value in annotations.items() if key.startswith(_TELLING)}
    return _sound_pods.findings(spec, tuple(telling.items()), lambda: list(_pod(spec, telling, at)))


def _pod(spec: Obj, annotations: Mapping[str, str], at: str) -> Iterator[str]:
    path = f"{at}spec"
    containers = list(_containers(spec, path))
    yield from node_labels.selector(spec.get("nodeSelector"), f"{path}.nodeSelector")
    affinity = spec.get("affinity") or {}
    yield from _node_affinity(affinity.get("nodeAffinity") or {}, f"{path}.affinity.nodeAffinity")
    for index, one in enumerate(spec.get("topologySpreadConstraints") or ()):
        where = f"{path}.topologySpreadConstraints[{index}]"
        if (key := one.get("topologyKey")) in node_labels.GIVEN_UP:
            yield f"{where}.topologyKey: {key} is {node_labels.GIVEN_UP[key]}"
        if one.get("labelSelector") is None:
            yield f"{where}.labelSelector: {_NO_SELECTOR}"
    for key, why in _ANNOTATIONS.items() if annotations else ():
        if key in annotations:
            yield f"{at}metadata.annotations[{key}]: {why}"
    yield from _volumes(spec.get("volumes") or (), f"{path}.volumes")
    yield from _again(spec.get("hostAliases") or (), "ip", f"{path}.hostAliases")
    secrets = spec.get("imagePullSecrets") or ()
    yield from _again(secrets, "name", f"{path}.imagePullSecrets")
    for index, one in enumerate(secrets):
        if not one.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    yield from fractions(spec.get("overhead"), f"{path}.overhead")
    if annotations:
        yield from _security_annotations(spec, annotations, containers, at)
    for where, container in containers:
        resources = container.get("resources") or {}
        yield from fractions(resources.get("limits"), f"{where}.resources.limits", _IN_BYTES[:1])
        yield from fractions(resources.get("requests"), f"{where}.resources.requests", _IN_BYTES[:1])
        yield from fractions(resources.get("limits"), f"{where}.resources.limits", _IN_BYTES[1:])
        yield from fractions(resources.get("requests"), f"{where}.resources.requests", _IN_BYTES[1:])
        yield from _hidden_variables(container.get("env") or (), where)
    yield from _ports(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    for name in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(affinity.get(name) or {}, f"{path}.affinity.{name}")
    servers = (spec.get("dnsConfig") or {}).get("nameservers") or ()
    for index, server in enumerate(servers):
        yield from odd_address(f"{path}.dnsConfig.nameservers[{index}]", server)
    for index, one in enumerate(spec.get("hostAliases") or ()):
        yield from odd_address(f"{path}.hostAliases[{index}].ip", one.get("ip", ""))


def fractions(
    amounts: Mapping[str, str] | None, path: str, resources: tuple[str, ...] = _IN_BYTES
) -> Iterator[str]:
    """Parts of bytes."""
    for resource in resources:
        amount = (amounts or {}).get(resource, "")
        # In the spelling that is stored, whole numbers have no smaller unit and no negative exponent.
        if amount and (amount[-1] in "mun" or "e-" in amount):
            yield f'{path}[{resource}]: fractional byte value "{amount}" is invalid, must be an integer'


def _containers(spec: Obj, path: str) -> Iterator[tuple[str, Obj]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            yield f"{path}.{kind}[{index}]", container


def _node_affinity(affinity: Obj, path: str) -> Iterator[str]:
    where = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    wanted = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for index, term in enumerate(wanted.get("nodeSelectorTerms") or ()):
        yield from node_labels.selector_term(term, f"{where}[{index}]")
    where = f"{path}.preferredDuringSchedulingIgnoredDuringExecution"
    for index, one in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        term = one.get("preference") or {}
        yield from node_labels.selector_term(term, f"{where}[{index}].preference", preferred=True)


def _pod_affinity(affinity: Obj, path: str) -> Iterator[str]:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for index, term in enumerate(required):
        if term.get("labelSelector") is None:
            where = f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
            yield f"{where}.labelSelector: {_NO_SELECTOR}"
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    for index, one in enumerate(preferred):
        if (one.get("podAffinityTerm") or {}).get("labelSelector") is None:
            where = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
            yield f"{where}.podAffinityTerm.labelSelector: {_NO_SELECTOR}"


def _volumes(volumes: Any, path: str) -> Iterator[str]:
    for index, volume in enumerate(volumes):
        for kind in volume:
            if kind in _VOLUMES:
                yield f"{path}[{index}].{_SPELLED.get(kind, kind)}: {_VOLUMES[kind]}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
        where = f"{path}[{index}].ephemeral.volumeClaimTemplate.spec"
        yield from claim_spec(template.get("spec") or {}, where)
    yield from chain.from_iterable(map(overlapping_paths, volumes))


def claim_spec(spec: Obj, path: str) -> Iterator[str]:
    resources = spec.get("resources") or {}
    for part in ("requests", "limits"):
        yield from fractions(resources.get(part), f"{path}.resources.{part}", ("storage",))


def _again(items: Any, key: str, path: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(items):
        value = item.get(key, "")
        if value in seen:
            yield f'{path}[{index}].{key}: duplicate {key} "{value}"'
        seen.add(value)


def _security_annotations(
    spec: Obj, annotations: Mapping[str, str], containers: list[tuple[str, Obj]], at: str
) -> Iterator[str]:
    """Annotations that were fields' forerunners."""
    context = spec.get("securityContext") or {}
    if _SECCOMP_POD in annotations and not context.get("seccompProfile"):
        yield _use_seccomp_profile(at, _SECCOMP_POD)
    for _, container in containers:
        own = container.get("securityContext") or {}
        name = container["name"]
        if _SECCOMP_CONTAINER + name in annotations and not own.get("seccompProfile"):
            yield _use_seccomp_profile(at, _SECCOMP_CONTAINER + name)
        key = _APPARMOR_CONTAINER + name
        if key in annotations and not own.get("appArmorProfile"):
            profile = context.get("appArmorProfile")
            if profile is None or profile != _apparmor_profile(annotations[key]):
                yield (
                    f'{at}metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
                )


def _use_seccomp_profile(at: str, key: str) -> str:
    return (
        f'{at}metadata.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead'
    )


def _apparmor_profile(annotation: str) -> Obj | None:
    """The field that an annotation stands for."""
    match annotation.partition("/"):
        case ("unconfined", "", ""):
            return {"type": "Unconfined"}
        case ("runtime", "/", "default"):
            return {"type": "RuntimeDefault"}
        case ("localhost", "/", profile) if profile:
            return {"type": "Localhost", "localhostProfile": profile}
        case _:
            return None


def _hidden_variables(variables: Any, path: str) -> Iterator[str]:
    seen = set()
    for index, variable in enumerate(variables):
        name = variable["name"]
        if name in seen:
            reference, value = f"$({name})", variable.get("value", "")
            # One that only adds to the earlier value hides nothing.
            if variable.get("valueFrom") or value == reference or reference not in value:
                yield (
                    f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
                )
        seen.add(name)


def _ports(containers: list[tuple[str, Obj]]) -> Iterator[str]:
    """Ports that are there twice, of one container or of several."""
    ports = [
        (f"{where}.ports[{index}]", port)
        for where, container in containers
        for index, port in enumerate(container.get("ports") or ())
    ]
    earlier: dict[tuple[int, str], list[tuple[str, Obj]]] = {}
    for where, port in ports:
        if port.get("hostIP") and not port.get("hostPort"):
            yield f"{where}: hostIP set without hostPort: {_as_go_prints(port)}"
        same = earlier.setdefault((port["containerPort"], port.get("protocol", "TCP")), [])
        for place, other in same:
            if clash := _clash(port, other):
                yield f"{where}: {clash} port definition with {place}"
        same.append((where, port))
    named: dict[str, str] = {}
    for where, port in ports:
        if not (name := port.get("name")):
            continue
        first = named.setdefault(name, where)
        if first != where:
            yield (
                f'{where}: duplicate port name "{name}" with {first}, services and probes that select ports by name '
                f"will use {first}"
            )


def _clash(port: Obj, other: Obj) -> str:
    host, other_host = port.get("hostPort") or 0, other.get("hostPort") or 0
    address, other_address = port.get("hostIP") or "", other.get("hostIP") or ""
    if (address, host) == (other_address, other_host):
        return "duplicate"
    if not host or not other_host:
        return "overlapping"
    if host == other_host and bool(address) != bool(other_address):
        return "dangerously ambiguous"
    return ""


def _as_go_prints(port: Obj) -> str:
    return (
        f"{{Name:{port.get('name', '')} HostPort:{port.get('hostPort') or 0} ContainerPort:{port['containerPort']} "
        f"Protocol:{port.get('protocol', 'TCP')} HostIP:{port.get('hostIP', '')}}}"
    )
