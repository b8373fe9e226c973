"""The volumes of a pod."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import containers, names
from aliquot.emulator.schema.validation.metadata import template_metadata
from aliquot.kube import quantity

_FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_DOWNWARD_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_SHORTEST_TOKEN_S = 600


def volumes(
    values: Sequence[Mapping[str, Any]], pod_name: str, path: str
) -> tuple[dict[str, Mapping[str, Any]], list[FieldError]]:
    """(the sound volumes by name, problems of the others)."""
    sound: dict[str, Mapping[str, Any]] = {}
    errors: list[FieldError] = []
    for index, volume in enumerate(values):
        where = f"{path}[{index}]"
        name = volume.get("name", "")
        found = _source(volume, pod_name, where)
        if not name:
            found.append(required(f"{where}.name"))
        else:
            found += [invalid(f"{where}.name", name, problem) for problem in names.dns_label(name)]
        if name in sound:
            found.append(duplicate(f"{where}.name", name))
        if found:
            errors += found
        else:
            sound[name] = volume
    return sound, errors


def _source(volume: Mapping[str, Any], pod_name: str, path: str) -> list[FieldError]:
    given = [name for name in volume if name != "name"]
    if not given:
        return [required(path, "must specify a volume type")]
    errors = [forbidden(f"{path}.{name}", "may not specify more than 1 volume type") for name in given[1:]]
    kind = given[0]
    source, where = volume[kind], f"{path}.{kind}"
    match kind:
        case "emptyDir":
            if quantity.parse(source.get("sizeLimit", "0")) < 0:
                text = "SizeLimit field must be a valid resource quantity"
                errors.append(forbidden(f"{where}.sizeLimit", text))
        case "hostPath":
            errors += _host_path(source, where)
        case "secret":
            errors += _needs(source, "secretName", where) + _mode(source, "defaultMode", where)
            errors += _items(source, where)
        case "configMap":
            errors += (
                _needs(source, "name", where) + _mode(source, "defaultMode", where) + _items(source, where)
            )
        case "persistentVolumeClaim":
            errors += _needs(source, "claimName", where)
        case "downwardAPI":
            errors += _mode(source, "defaultMode", where) + _downward(source, where)
        case "projected":
            errors += _mode(source, "defaultMode", where)
            for index, projection in enumerate(source.get("sources") or ()):
                errors += _projection(projection, f"{where}.sources[{index}]", where)
            errors += _same_paths(source, where)
        case "csi":
            errors += _needs(source, "driver", where)
        case "nfs":
            errors += _needs(source, "server", where) + _needs(source, "path", where)
            if not source.get("path", "").startswith("/"):
                errors.append(invalid(f"{where}.path", source.get("path", ""), "must be an absolute path"))
        case "image":
            errors += _needs(source, "reference", where)
            policy, policies = source.get("pullPolicy"), ("Always", "IfNotPresent", "Never")
            if policy not in (None, "", *policies):
                errors.append(not_supported(f"{where}.pullPolicy", policy, policies))
        case "ephemeral":
            if "volumeClaimTemplate" not in source:
                errors.append(required(f"{where}.volumeClaimTemplate"))
            template = source.get("volumeClaimTemplate") or {}
            errors += template_metadata(
                template.get("metadata") or {}, f"{where}.volumeClaimTemplate.metadata"
            )
            claim = f"{pod_name}-{volume.get('name', '')}"
            if pod_name and volume.get("name"):
                for problem in names.dns_subdomain(claim):
                    errors.append(invalid(f"{path}.name", volume["name"], f'PVC name "{claim}": {problem}'))
    return errors


def _needs(source: Mapping[str, Any], name: str, path: str) -> list[FieldError]:
    return [] if source.get(name) else [required(f"{path}.{name}")]


def _mode(source: Mapping[str, Any], name: str, path: str) -> list[FieldError]:
    mode = source.get(name)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(f"{path}.{name}", mode, _FILE_MODE)]


def _host_path(source: Mapping[str, Any], path: str) -> list[FieldError]:
    target = source.get("path", "")
    if not target:
        return [required(f"{path}.path")]
    errors: list[FieldError] = []
    if ".." in target.split("/"):
        errors.append(invalid(f"{path}.path", target, "must not contain '..'"))
    if source.get("type", "") not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES))
    return errors


def _items(source: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(source.get("items", ())):
        where = f"{path}.items[{index}]"
        errors += _needs(item, "key", where) + _needs(item, "path", where)
        errors += _local_path(item.get("path", ""), f"{where}.path") + _mode(item, "mode", where)
    return errors


def _local_path(value: str, path: str) -> list[FieldError]:
    errors = containers.relative_path(value, path)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def _downward(source: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for item in source.get("items", ()):
        errors += _needs(item, "path", path) + _local_path(item.get("path", ""), f"{path}.path")
        if "fieldRef" in item:
            errors += containers.field_ref(item["fieldRef"], _DOWNWARD_FIELDS, f"{path}.fieldRef")
            if "resourceFieldRef" in item:
                text = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(invalid(path, "resource", text))
        elif "resourceFieldRef" in item:
            ref = item["resourceFieldRef"]
            errors += containers.resource_field_ref(ref, f"{path}.resourceFieldRef", in_volume=True)
        else:
            errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
        errors += _mode(item, "mode", path)
    return errors


def _same_paths(source: Mapping[str, Any], path: str) -> list[FieldError]:
    """Files of several sources at one path. Those that the cluster makes may hide others."""
    errors: list[FieldError] = []
    taken = set()
    for projection in source.get("sources") or ():
        for kind in ("secret", "configMap", "downwardAPI"):
            part = projection.get(kind) or {}
            for item in part.get("items", ()):
                if (target := item.get("path")) and target in taken:
                    shown = target if kind == "downwardAPI" else part.get("name", "")
                    errors.append(invalid(path, shown, "conflicting duplicate paths"))
                taken.add(target)
    return errors


def _projection(projection: Mapping[str, Any], path: str, volume_path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for kind in ("secret", "configMap"):
        if kind in projection:
            errors += _needs(projection[kind], "name", f"{path}.{kind}") + _items(
                projection[kind], f"{path}.{kind}"
            )
    if "downwardAPI" in projection:
        errors += _downward(projection["downwardAPI"], f"{path}.downwardAPI")
    if "serviceAccountToken" in projection:
        token, where = projection["serviceAccountToken"], f"{path}.serviceAccountToken.expirationSeconds"
        lifetime_s = token.get("expirationSeconds", _SHORTEST_TOKEN_S)
        if lifetime_s < _SHORTEST_TOKEN_S:
            errors.append(invalid(where, lifetime_s, "may not specify a duration less than 10 minutes"))
        if lifetime_s > 1 << 32:
            errors.append(invalid(where, lifetime_s, "may not specify a duration larger than 2^32 seconds"))
        if not token.get("path"):
            errors.append(required(f"{volume_path}.path"))
    if len(projection) > 1:
        errors.append(forbidden(path, "may not specify more than 1 volume type per source"))
    return errors
