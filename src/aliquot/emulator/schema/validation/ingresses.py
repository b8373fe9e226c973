"""Ingresses, and the classes of them."""

import re
from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from aliquot.emulator.schema.validation import names

Obj = Mapping[str, Any]

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_ENDS = ("/..", "/.")
_SCOPES = ("Cluster", "Namespace")
_LONGEST_CONTROLLER = 250
_IPV4 = re.compile(r"\d+(\.\d+){3}", re.ASCII)


def ingress(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec") or {}
    default, rules = spec.get("defaultBackend"), spec.get("rules") or ()
    errors: list[FieldError] = []
    if default is None and not rules:
        errors.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    for index, one in enumerate(spec.get("tls") or ()):
        errors += _tls(one, f"spec.tls[{index}]")
    if default is not None:
        errors += _backend(default, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        errors += _rule(rule, f"spec.rules[{index}]")
    name = spec.get("ingressClassName")
    if name is not None:
        errors += [invalid("spec.ingressClassName", name, text) for text in names.dns_subdomain(name)]
    return errors


def _tls(tls: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, host in enumerate(tls.get("hosts") or ()):
        errors += _host(host, f"{path}.hosts[{index}]")
    name = tls.get("secretName")
    problems = names.dns_subdomain(name) if name else []
    return errors + [invalid(f"{path}.secretName", name, text) for text in problems]


def _host(host: str, path: str) -> list[FieldError]:
    rule = names.wildcard_subdomain if "*" in host else names.dns_subdomain
    return [invalid(path, host, text) for text in rule(host)]


def _rule(rule: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    host = rule.get("host", "")
    if _IPV4.fullmatch(host):
        errors.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
    elif host:
        errors += _host(host, f"{path}.host")
    http = rule.get("http")
    if http is None:
        return errors
    if not http.get("paths"):
        errors.append(required(f"{path}.http.paths"))
    for index, one in enumerate(http.get("paths") or ()):
        errors += _path(one, f"{path}.http.paths[{index}]")
    return errors


def _path(rule: Obj, where: str) -> list[FieldError]:
    kind, path = rule.get("pathType"), rule.get("path", "")
    errors: list[FieldError] = []
    if kind is None:
        errors.append(required(f"{where}.pathType", "pathType must be specified"))
    elif kind not in _PATH_TYPES:
        errors.append(not_supported(f"{where}.pathType", kind, _PATH_TYPES))
    elif kind == "ImplementationSpecific":
        if path and not path.startswith("/"):
            errors.append(invalid(f"{where}.path", path, "must be an absolute path"))
    else:
        if not path.startswith("/"):
            errors.append(invalid(f"{where}.path", path, "must be an absolute path"))
        else:
            wrong = [f"must not contain '{part}'" for part in _NOT_IN_PATHS if part in path]
            wrong += [f"cannot end with '{part}'" for part in _NOT_AT_ENDS if path.endswith(part)]
            errors += [invalid(f"{where}.path", path, text) for text in wrong]
    return errors + _backend(rule.get("backend") or {}, f"{where}.backend")


def _backend(backend: Obj, path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _reference(resource, f"{path}.resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name", ""), service.get("port") or {}
    where = f"{path}.service"
    errors = [invalid(f"{where}.name", name, text) for text in names.dns_label(name)] if name else []
    if not name:
        errors.append(required(f"{where}.name"))
    named, number = port.get("name", ""), port.get("number", 0)
    if named and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif named:
        errors += [invalid(f"{where}.port.name", named, text) for text in names.port_name(named)]
    elif number:
        errors += [invalid(f"{where}.port.number", number, text) for text in names.port_number(number)]
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _reference(reference: Obj, path: str) -> list[FieldError]:
    """To an object by group, kind and name."""
    errors: list[FieldError] = []
    if group := reference.get("apiGroup"):
        errors += [invalid(f"{path}.apiGroup", group, text) for text in names.dns_subdomain(group)]
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if value:
            errors += [invalid(f"{path}.{field}", value, text) for text in names.path_segment(value)]
        else:
            errors.append(required(f"{path}.{field}"))
    return errors


# ---- classes -------------------------------------------------------------------------------------------------------


def ingress_class(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    errors = _controller(spec.get("controller", ""), "spec.controller")
    return errors + (_parameters(parameters, "spec.parameters") if parameters is not None else [])


def _controller(value: str, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    if len(value) > _LONGEST_CONTROLLER:
        return [too_long(path, _LONGEST_CONTROLLER)]
    domain, slash, rest = value.partition("/")
    if not (domain and slash and rest):
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    return [invalid(path, domain, text) for text in names.dns_subdomain(domain)]


def _parameters(value: Obj, path: str) -> list[FieldError]:
    errors = _reference(value, path)
    scope, namespace = value.get("scope", "Cluster"), value.get("namespace")
    where = f"{path}.namespace"
    if scope not in _SCOPES:
        errors.append(not_supported(f"{path}.scope", scope, _SCOPES))
    elif scope == "Namespace" and not namespace:
        errors.append(required(where, "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        errors += [invalid(where, namespace, text) for text in names.dns_label(namespace or "")]
    elif namespace is not None:
        errors.append(forbidden(where, "`parameters.scope` is set to 'Cluster'"))
    return errors
