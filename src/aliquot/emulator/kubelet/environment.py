"""A container's environment and command line, expanded as kubelet expands them. Pure.

Order of precedence: what Allocate answered is laid down first, over it what `envFrom` brings, each source over the one
before, and the pod's own `env` over all of it: a pod may override what it was allocated, as on a real node.
"""

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from aliquot.emulator.kubelet.pod_details import EnvFrom
from aliquot.kube import quantity
from aliquot.kube.api.core import Container, Pod

_REFERENCE = re.compile(r"\$(\$|\([^)]*\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


class ConfigError(Exception):
    """The container's configuration names something that is not there; the text says what."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object that a container is made with."""

    kind: str
    """For environments `ConfigMap` or `Secret`."""
    name: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pod may ask about itself beyond its own object."""

    pod_ip: str = ""
    host_ip: str = ""
    allocatable: Mapping[str, int] = field(default_factory=dict)
    """Of the node, CPU in thousandths: stands in for a limit that the container does not have."""
    sources: Mapping[Source, Mapping[str, str] | None] = field(default_factory=dict)
    """Contents by source; None for one that does not exist."""


def sources(container: Container, env_from: Iterable[EnvFrom] = ()) -> tuple[Source, ...]:
    """What has to be read before `environment` can be made."""
    found = [_whole_source(one)[0] for one in env_from]
    found += [_source(variable.value_from)[0] for variable in container.env or ()]
    return tuple(dict.fromkeys(source for source in found if source is not None))


def contents(source: Source, found: Mapping[str, Any]) -> dict[str, str]:
    """What a ConfigMap or Secret object holds, as texts of an environment: bytes that are none are kept as `os.fsdecode`
    keeps them."""
    data = found.get("data") or {}
    if source.kind == "ConfigMap":
        return dict(data)
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}


def environment(
    pod: Pod,
    container: Container,
    allocated: Mapping[str, str],
    around: Surroundings,
    env_from: Iterable[EnvFrom] = (),
) -> dict[str, str]:
    """Raises ConfigError."""
    own: dict[str, str] = {}
    for one in env_from:
        source, optional = _whole_source(one)
        if source is not None:
            found = _contents(source, around, optional=optional) or {}
            own |= {f"{one.prefix}{key}": value for key, value in found.items()}
    for variable in container.env or ():
        if variable.value_from:
            value = _value_from(pod, container, variable.value_from, around)
            if value is not None:
                own[variable.name] = value
        else:
            own[variable.name] = expand(variable.value, own)
    return dict(allocated) | own


def command_line(container: Container, env: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Command and args, expanded."""
    return _expanded(container.command, env), _expanded(container.args, env)


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, or stays when there is none; `$$` becomes `$`."""

    def replace(match: re.Match[str]) -> str:
        inner = match[1]
        return "$" if inner == "$" else env.get(inner[1:-1], match[0])

    return _REFERENCE.sub(replace, text)


def _expanded(words: Sequence[str] | None, env: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(word, env) for word in words or ())


def _source(value_from: Mapping[str, Any] | None) -> tuple[Source | None, str, bool]:
    """Source, key and whether both may be missing."""
    for kind, name in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        reference = (value_from or {}).get(name)
        if reference:
            return (
                Source(kind, reference.get("name", "")),
                reference.get("key", ""),
                bool(reference.get("optional")),
            )
    return None, "", False


def _whole_source(env_from: EnvFrom) -> tuple[Source | None, bool]:
    """Source and whether it may be missing."""
    for kind, reference in (("ConfigMap", env_from.config_map_ref), ("Secret", env_from.secret_ref)):
        if reference is not None:
            return Source(kind, reference.name), reference.optional
    return None, False


def _contents(source: Source, around: Surroundings, *, optional: bool) -> Mapping[str, str] | None:
    """None for what may be missing and is."""
    contents = around.sources.get(source)
    if contents is None and not optional:
        raise ConfigError(f'{source.kind.lower()} "{source.name}" not found')
    return contents


def _value_from(
    pod: Pod, container: Container, value_from: Mapping[str, Any], around: Surroundings
) -> str | None:
    if "fieldRef" in value_from:
        return _field(pod, str(value_from["fieldRef"].get("fieldPath", "")), around)
    if "resourceFieldRef" in value_from:
        return _resource(pod, container, value_from["resourceFieldRef"], around)
    source, key, optional = _source(value_from)
    if source is None:
        raise ConfigError(f"valueFrom with {', '.join(sorted(value_from)) or 'nothing'} is not supported")
    contents = _contents(source, around, optional=optional)
    if contents is None:
        return None
    if key not in contents and not optional:
        raise ConfigError(f"couldn't find key {key} in {source.kind} {pod.metadata.namespace}/{source.name}")
    return contents.get(key)


def _field(pod: Pod, path: str, around: Surroundings) -> str:
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": around.host_ip,
        "status.hostIPs": around.host_ip,
        "status.podIP": around.pod_ip,
        "status.podIPs": around.pod_ip,
    }
    if path in fields:
        return fields[path]
    if match := _SUBSCRIPT.fullmatch(path):
        texts = pod.metadata.labels if match[1] == "labels" else pod.metadata.annotations
        return (texts or {}).get(match[2], "")
    raise ConfigError(f"unsupported fieldPath: {path}")


def _resource(pod: Pod, container: Container, reference: Mapping[str, Any], around: Surroundings) -> str:
    named = reference.get("containerName") or container.name
    everyone = (*(pod.spec.init_containers or ()), *pod.spec.containers)
    target = next((other for other in everyone if other.name == named), None)
    if target is None:
        raise ConfigError(f"container {named} not found")
    which, _, resource = str(reference.get("resource", "")).partition(".")
    if which not in ("limits", "requests") or resource not in _RESOURCES:
        raise ConfigError(f"unsupported container resource : {reference.get('resource', '')}")
    asked = target.resources.limits if which == "limits" else target.resources.requests
    amount = Fraction(0)
    if resource in (asked or {}):
        amount = quantity.parse((asked or {})[resource])
    elif which == "limits":
        amount = Fraction(around.allocatable.get(resource, 0), 1000 if resource == "cpu" else 1)
    divisor = quantity.parse(reference.get("divisor") or 1) or 1
    return str(math.ceil(amount / divisor))
