"""Pod security: a namespace's labels say what its pods may ask for, what is noted, and what is warned of."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aliquot.emulator import statuses
from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.pod_security import Level, Policy, Standard, Violation, policy_of, violations
from aliquot.emulator.pod_security.policy import PREFIX
from aliquot.emulator.registry import NAMESPACES, PODS

Obj = Mapping[str, Any]

_IN_SPEC = ("spec", "template")
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": _IN_SPEC,
    "replicasets.apps": _IN_SPEC,
    "deployments.apps": _IN_SPEC,
    "statefulsets.apps": _IN_SPEC,
    "daemonsets.apps": _IN_SPEC,
    "jobs.batch": _IN_SPEC,
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
"""Where the pods are described that a workload makes: such a one is never refused, only warned of."""

_CHANGING = ("", "ephemeralcontainers", "resize")
_MOST_PODS_CHECKED = 3000


def pod_security(asked: Admitted, obj: Json | None) -> None:
    """A check. Raises StatusError: 403 for a pod, 422 for labels of a namespace that say nothing."""
    if obj is None or asked.operation not in (Operation.CREATE, Operation.UPDATE):
        return
    storage = asked.served.storage
    if storage == PODS and asked.subresource in _CHANGING:
        if asked.old is None or _changes_images(obj, asked.old):
            _judge(asked, metadata(obj), obj.get("spec") or {}, enforced=True)
    elif storage in _TEMPLATES and not asked.subresource:
        template: Any = obj
        for step in _TEMPLATES[storage]:
            template = (template or {}).get(step)
        if template is not None:
            _judge(asked, metadata(template), template.get("spec") or {}, enforced=False)
    elif storage == NAMESPACES and not asked.subresource:
        _check_labels(asked, obj)


def _judge(asked: Admitted, meta: Obj, spec: Obj, *, enforced: bool) -> None:
    namespace = asked.look.get(NAMESPACES, "", asked.namespace)
    labels = metadata(namespace or {}).get("labels") or {}
    if not any(label.startswith(PREFIX) for label in labels):
        return
    policy, _ = policy_of(labels)
    found = _Found(asked, meta, spec)
    annotations = asked.call.annotations
    refusal = ""
    if enforced:
        annotations[f"{PREFIX}enforce-policy"] = str(policy.enforce)
        refusal = found.told(policy.enforce)
    if text := found.told(policy.audit):
        annotations[f"{PREFIX}audit-violations"] = f"would violate {text}"
    if refusal:
        name = str(meta.get("name", ""))
        raise statuses.forbidden(asked.served.resource, name, f"violates {refusal}")
    if text := found.told(policy.warn):
        asked.call.warnings.append(f"would violate {text}")


class _Found:
    """What one pod breaks, looked for once at each standard."""

    def __init__(self, asked: Admitted, meta: Obj, spec: Obj) -> None:
        self._asked = asked
        self._meta = meta
        self._spec = spec
        self._known: dict[Standard, str] = {}

    def told(self, standard: Standard) -> str:
        """Empty when it breaks nothing."""
        if standard not in self._known:
            broken = _violations(self._asked, self._meta, self._spec, standard)
            listed = ", ".join(map(str, broken))
            self._known[standard] = f'PodSecurity "{standard}": {listed}' if broken else ""
        return self._known[standard]


def _violations(asked: Admitted, meta: Obj, spec: Obj, standard: Standard) -> list[Violation]:
    own = asked.served.schema.minor
    minor = own if standard.minor is None else min(standard.minor, own)
    return violations(meta, spec, standard.level, minor)


def _changes_images(obj: Obj, old: Obj) -> bool:
    """All else of a pod that matters here stays as it was made."""
    return any(_images(obj, kind) != _images(old, kind) for kind in ("containers", "initContainers")) or any(
        one not in _images(old, "ephemeralContainers") for one in _images(obj, "ephemeralContainers")
    )


def _images(pod: Obj, kind: str) -> list[tuple[str, str]]:
    listed = (pod.get("spec") or {}).get(kind) or ()
    return [(one.get("name", ""), one.get("image", "")) for one in listed]


# ---- namespaces --------------------------------------------------------------------------------------------


def _check_labels(asked: Admitted, obj: Json) -> None:
    policy, errors = policy_of(metadata(obj).get("labels") or {})
    before, known_errors = policy_of(metadata(asked.old or {}).get("labels") or {})
    if errors and errors != known_errors:
        raise statuses.invalid(asked.served.resource, metadata(obj).get("name", ""), errors)
    if asked.old is not None and _is_stricter(policy, before):
        asked.call.warnings.extend(_existing(asked, metadata(obj)["name"], policy.enforce))


def _is_stricter(policy: Policy, before: Policy) -> bool:
    new, old = policy.enforce, before.enforce
    return (
        new != old and new.level is not Level.PRIVILEGED and (new.minor != old.minor or new.level > old.level)
    )


def _existing(asked: Admitted, namespace: str, standard: Standard) -> list[str]:
    """Pods that are there stay, whatever they ask for; who made the rule is told of them."""
    pods = asked.look.all(PODS, namespace)
    said = []
    if len(pods) > _MOST_PODS_CHECKED:
        text = (
            f"new PodSecurity enforce level only checked against the first {_MOST_PODS_CHECKED} of {len(pods)} "
            "existing pods"
        )
        said.append(text)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for pod in pods[:_MOST_PODS_CHECKED]:
        broken = _violations(asked, metadata(pod), pod.get("spec") or {}, standard)
        if broken:
            by_reason[", ".join(one.reason for one in broken)].append(metadata(pod)["name"])
    if by_reason:
        text = (
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
        )
        said.append(text)
    return said + sorted(f"{_and_others(names)}: {reason}" for reason, names in by_reason.items())


def _and_others(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"
