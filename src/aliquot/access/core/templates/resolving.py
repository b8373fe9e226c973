"""What a template comes to with the names that somebody asks for: the rules of one grant.

A value takes the place of a whole name and of nothing else, after the template's pattern and Kubernetes' own grammar have let it
through; so nothing that somebody writes can become another rule, another verb, or every name.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from msgspec.structs import replace

from aliquot.access.core.rules import Rule, without
from aliquot.access.core.templates.template import Template, parameter_of
from aliquot.document import nearest
from aliquot.kube.quoted import quoted

_LONGEST_NAME = 253
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_NAMESPACE = re.compile(_LABEL, re.ASCII)
_LONGEST_NAMESPACE = 63


class Refused(Exception):
    """One line: what is asked for that the template does not give, and what it would."""


def resolve(template: Template, parameters: Mapping[str, str], namespace: str) -> tuple[Rule, ...]:
    """The rules of a grant in `namespace`, empty for one that is cluster-wide. Raises Refused."""
    _check_namespace(template, namespace)
    for name in parameters:
        if name not in template.parameters:
            known = ", ".join(sorted(template.parameters)) or "none"
            hint = nearest(name, template.parameters) or f"; it has {known}"
            raise Refused(f"template '{template.name}' has no parameter {quoted(name)}{hint}")
    values = {name: _value(template, name, parameters) for name in template.parameters}
    return tuple(
        replace(rule, resource_names=_names(rule, values))
        for rule in without(template.rules, template.denied)
    )


def is_name(text: str) -> bool:
    """As Kubernetes names almost everything that it has."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    return len(text) <= _LONGEST_NAMESPACE and _NAMESPACE.fullmatch(text) is not None


def allows_cluster(template: Template, cluster: str) -> bool:
    return any(fnmatchcase(cluster, glob) for glob in template.clusters)


def allows_namespace(template: Template, namespace: str) -> bool:
    return any(fnmatchcase(namespace, glob) for glob in template.namespaces) and not any(
        fnmatchcase(namespace, glob) for glob in template.except_namespaces
    )


def _check_namespace(template: Template, namespace: str) -> None:
    if template.cluster_wide:
        if namespace:
            raise Refused(f"template '{template.name}' is for the whole cluster: ask without a namespace")
        return
    if not namespace:
        raise Refused(f"template '{template.name}' is for one namespace: say which")
    if not is_namespace(namespace):
        raise Refused(f"{quoted(namespace)} is not a namespace's name: lower-case letters, digits and '-'")
    if not allows_namespace(template, namespace):
        but = f" but not {', '.join(template.except_namespaces)}" if template.except_namespaces else ""
        raise Refused(
            f"template '{template.name}' is not for namespace '{namespace}': it is for {', '.join(template.namespaces)}{but}"
        )


def _value(template: Template, name: str, parameters: Mapping[str, str]) -> str:
    parameter = template.parameters[name]
    if name not in parameters:
        raise Refused(f"template '{template.name}' asks for parameter '{name}': which {parameter.names}?")
    value = parameters[name]
    if not is_name(value):
        raise Refused(
            f"parameter '{name}': {quoted(value)} is not the name of a {parameter.names}: lower-case letters, digits, '-' and '.'"
        )
    if re.fullmatch(parameter.pattern, value) is None:
        raise Refused(
            f"parameter '{name}': {quoted(value)} is none that template '{template.name}' takes ({parameter.pattern})"
        )
    return value


def _names(rule: Rule, values: Mapping[str, str]) -> tuple[str, ...]:
    # Each once: two parameters may have been given the same name.
    return tuple(
        dict.fromkeys(
            values[parameter] if (parameter := parameter_of(name)) else name for name in rule.resource_names
        )
    )
