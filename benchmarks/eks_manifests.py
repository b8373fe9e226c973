"""A directory of manifests as a company has it: of one document and of several, Lists, JSON, templates of charts, and a few that are large."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

_OLD = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}
"""1.25 does not serve it."""
_TEMPLATE = """\
{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.fullname" . }}
  labels:
    {{- include "app.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
{{- end }}
"""


def write(root: Path, count: int) -> int:
    """So many files below `root`; of 100: 55 have one document, 25 three to seven, 6 are Lists, 8 JSON, 4 templates, and 2 CRDs of a
    thousand lines. Their bytes."""
    size = 0
    for number in range(count):
        directory = root / f"team-{number % 50}" / f"app-{number % 500}"
        directory.mkdir(parents=True, exist_ok=True)
        suffix, text = _file(number)
        path = directory / f"part-{number:05d}.{suffix}"
        path.write_text(text)
        size += len(text)
    return size


def _file(number: int) -> tuple[str, str]:
    place = number % 100
    if place < 55:
        return "yaml", _yaml(_one(number))
    if place < 80:
        return "yaml", "---\n".join(map(_yaml, _some(number, 3 + number % 5)))
    if place < 86:
        return "yaml", _yaml({"apiVersion": "v1", "kind": "List", "items": list(_some(number, 5))})
    if place < 94:
        return "json", json.dumps(_one(number), indent=2)
    if place < 98:
        return "yaml", _TEMPLATE
    return "yaml", _yaml(_crd(number))


def _yaml(value: Json) -> str:
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)
    return text


def _some(number: int, count: int) -> Iterator[Json]:
    return (_one(number + part) for part in range(count))


def _one(number: int) -> Json:
    name = f"app-{number}"
    metadata = {"name": name, "namespace": f"team-{number % 50}", "labels": {"app": name, "team": "vision"}}
    if number % 97 == 0:
        return {**_OLD, "metadata": metadata, "spec": {"maxUnavailable": 1}}
    match number % 4:
        case 0:
            return {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"config": "key: value\n" * 30},
            }
        case 1:
            ports = [{"name": "http", "port": 80, "targetPort": "http"}]
            return {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": {"app": name}, "ports": ports},
            }
        case _:
            return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": _deployment(number)}  # fmt: skip


def _deployment(number: int) -> Json:
    labels = {"app": f"app-{number}"}
    container = {
        "name": "main",
        "image": f"registry.example.com/team/app-{number}:1.{number % 7}.3",
        "args": ["--listen", ":8080"],
        "env": [{"name": f"SETTING_{index}", "value": f"value-{index}"} for index in range(8)],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
        "securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    return {
        "replicas": 3,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def _crd(number: int) -> Json:
    field = {
        "type": "string",
        "description": "What it is for, in a sentence that is about as long as such sentences are.",
    }
    properties = {
        f"part{part}": {"type": "object", "properties": {f"field{index}": field for index in range(10)}}
        for part in range(30)
    }
    schema = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": properties}},
        }
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{number}.example.com"},
        "spec": {"group": "example.com", "versions": [{"name": "v1", "served": True, "schema": schema}]},
    }
