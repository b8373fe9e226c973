"""What ingresses and their classes are refused with. Each text was sent by a kube-apiserver for the same object."""

from typing import Any

import pytest

from aliquot.emulator.schema.validation import ingresses, names
from tests.emulator.schema.objects import texts

SERVICE = {"service": {"name": "s", "port": {"number": 80}}}
PATH = "spec.rules[0].http.paths[0]"
[ODD_SUBDOMAIN] = names.dns_subdomain("A_")
[ODD_LABEL] = names.dns_label("A_")
WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used "
    r"for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def default(**backend: Any) -> dict[str, Any]:
    return {"defaultBackend": backend}


def service(**fields: Any) -> dict[str, Any]:
    return default(service=fields)


def path(text: str, kind: str = "Exact", backend: Any = SERVICE) -> dict[str, Any]:
    return {"rules": [{"http": {"paths": [{"path": text, "pathType": kind, "backend": backend}]}}]}


def host(text: str) -> dict[str, Any]:
    return {"rules": [{"host": text}]}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({}, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
        (default(**SERVICE), []),
        (default(), ['spec.defaultBackend: Invalid value: "": resource or service backend is required']),
        (default(**SERVICE, resource={}),
         ['spec.defaultBackend: Invalid value: "": cannot set both resource and service backends']),
        (default(resource={"kind": "", "name": ""}),
         ["spec.defaultBackend.resource.kind: Required value", "spec.defaultBackend.resource.name: Required value"]),
        (default(resource={"apiGroup": "A_", "kind": "a/b", "name": "c/d"}),
         [f'spec.defaultBackend.resource.apiGroup: Invalid value: "A_": {ODD_SUBDOMAIN}',
          "spec.defaultBackend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
          "spec.defaultBackend.resource.name: Invalid value: \"c/d\": may not contain '/'"]),
        (service(port={"number": 1}), ["spec.defaultBackend.service.name: Required value"]),
        (service(name="s"), ["spec.defaultBackend: Required value: port name or number is required"]),
        (service(name="s", port={"name": "a", "number": 1}),
         ['spec.defaultBackend: Invalid value: "": cannot set both port name & port number']),
        (service(name="A_", port={"number": 70000}),
         [f'spec.defaultBackend.service.name: Invalid value: "A_": {ODD_LABEL}',
          "spec.defaultBackend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive"]),
        (path("/", "X"),
         [f'{PATH}.pathType: Unsupported value: "X": supported values: "Exact", "ImplementationSpecific", "Prefix"']),
        (path("/", backend={}), [f'{PATH}.backend: Invalid value: "": resource or service backend is required']),
        ({"rules": [{"http": {"paths": [{"path": "/"}]}}]},
         [f"{PATH}.pathType: Required value: pathType must be specified",
          f'{PATH}.backend: Invalid value: "": resource or service backend is required']),
        (path("a", "Prefix"), [f'{PATH}.path: Invalid value: "a": must be an absolute path']),
        (path(""), [f'{PATH}.path: Invalid value: "": must be an absolute path']),
        (path("/a/../b"), [f"{PATH}.path: Invalid value: \"/a/../b\": must not contain '/../'"]),
        (path("/a//b"), [f"{PATH}.path: Invalid value: \"/a//b\": must not contain '//'"]),
        (path("/a%2fb"), [f"{PATH}.path: Invalid value: \"/a%2fb\": must not contain '%2f'"]),
        (path("/.."), [f"{PATH}.path: Invalid value: \"/..\": cannot end with '/..'"]),
        (path("", "ImplementationSpecific"), []),
        (path("/(a|b", "ImplementationSpecific"), []),
        ({"rules": [{"http": {"paths": []}}]}, ["spec.rules[0].http.paths: Required value"]),
        (host("a.b"), []),
        (host("*.a.b"), []),
        (host("1.2.3.4"), ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address']),
        (host("A_"), [f'spec.rules[0].host: Invalid value: "A_": {ODD_SUBDOMAIN}']),
        (host("a.*.b"), [f'spec.rules[0].host: Invalid value: "a.*.b": {WILDCARD}']),
        ({**default(**SERVICE), "tls": [{"hosts": ["A_", "*.x", "*"], "secretName": "A_"}]},
         [f'spec.tls[0].hosts[0]: Invalid value: "A_": {ODD_SUBDOMAIN}',
          f'spec.tls[0].hosts[2]: Invalid value: "*": {WILDCARD}',
          f'spec.tls[0].secretName: Invalid value: "A_": {ODD_SUBDOMAIN}']),
        ({**default(**SERVICE), "ingressClassName": "A_"},
         [f'spec.ingressClassName: Invalid value: "A_": {ODD_SUBDOMAIN}']),
    ],
)  # fmt: skip
def test_ingresses(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(ingresses.ingress({"spec": spec})) == problems


def parameters(**fields: Any) -> dict[str, Any]:
    return {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", **fields}}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({}, ["spec.controller: Required value"]),
        ({"controller": "a.b/c"}, []),
        ({"controller": "abc"},
         ['spec.controller: Invalid value: "abc": must be a domain-prefixed path (such as "acme.io/foo")']),
        ({"controller": "A_/b"}, [f'spec.controller: Invalid value: "A_": {ODD_SUBDOMAIN}']),
        ({"controller": "a.b/" + "c" * 250}, ["spec.controller: Too long: may not be more than 250 bytes"]),
        (parameters(), []),
        (parameters(scope="Namespace"),
         ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
        (parameters(scope="Namespace", namespace="A_"),
         [f'spec.parameters.namespace: Invalid value: "A_": {ODD_LABEL}']),
        (parameters(scope="Cluster", namespace="x"),
         ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"]),
        (parameters(kind="K/", name="", scope="X", namespace="A_"),
         ["spec.parameters.kind: Invalid value: \"K/\": may not contain '/'",
          "spec.parameters.name: Required value",
          'spec.parameters.scope: Unsupported value: "X": supported values: "Cluster", "Namespace"']),
    ],
)  # fmt: skip
def test_ingress_classes(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(ingresses.ingress_class({"spec": spec})) == problems
