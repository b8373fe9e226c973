"""Labels of Nodes that have been given up, where somebody selects by them."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.schema.validation import names

GIVEN_UP = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def selector(labels: Mapping[str, str] | None, path: str) -> Iterator[str]:
    for label in labels or ():
        if label in GIVEN_UP:
            yield f"{path}[{label}]: {GIVEN_UP[label]}"


def selector_term(term: Mapping[str, Any], path: str, *, preferred: bool = False) -> Iterator[str]:
    """Of a term that is only `preferred`, validation lets any value pass."""
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        at, key = f"{path}.matchExpressions[{index}]", expression["key"]
        if key in GIVEN_UP:
            yield f"{at}.key: {key} is {GIVEN_UP[key]}"
        for place, value in enumerate(expression.get("values") or ()) if preferred else ():
            for problem in names.label_value(value):
                yield f"{at}.values[{place}]: {value} is invalid, {problem}"
