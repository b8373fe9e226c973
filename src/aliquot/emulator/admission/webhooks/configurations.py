"""Webhooks as they are configured: typed once for each change of the configurations."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.admission.matching import Rule, is_exempt, matched_as
from aliquot.emulator.admission.types import Admitted, Look
from aliquot.emulator.objects import metadata
from aliquot.emulator.registry import Registry, Served
from aliquot.kube.selectors import LabelSelector, from_object

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"

_WITHOUT_SIDE_EFFECTS = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True)
class ServiceReference:
    namespace: str
    name: str
    port: int
    path: str

    @property
    def host(self) -> str:
        """What the certificate must say."""
        return f"{self.name}.{self.namespace}.svc"

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}/{self.path.removeprefix('/')}"


@dataclass(frozen=True, slots=True)
class Webhook:
    configuration: str
    name: str
    index: int
    """Among the webhooks of all configurations, in the order of their calls."""
    target: str | ServiceReference
    """A URL, or a Service."""
    authority: bytes
    """PEM of whom to trust; empty for those whom the machine trusts."""
    rules: tuple[Rule, ...]
    fails_open: bool
    matches_equivalents: bool
    namespaces: LabelSelector
    objects: LabelSelector
    conditions: tuple[tuple[str, str], ...]
    """(name, expression)"""
    allows_dry_run: bool
    timeout_s: int
    review_versions: tuple[str, ...]
    reinvoked: bool


class Configurations:
    """All webhooks of one kind of configuration: by the names of these, then as written."""

    def __init__(self, storage: str, registry: Registry) -> None:
        self._storage = storage
        self._registry = registry
        self._seen = -1
        self._webhooks: tuple[Webhook, ...] = ()

    def concerned(self, asked: Admitted) -> Sequence[tuple[Webhook, Served]]:
        """Those whose rules match, each with the version of the resource in which it wants to be told."""
        webhooks = self._current(asked.look)
        if not webhooks or is_exempt(asked):
            return ()
        return [
            (webhook, served) for webhook in webhooks if (served := self._told_as(webhook, asked)) is not None
        ]

    def _told_as(self, webhook: Webhook, asked: Admitted) -> Served | None:
        equivalents = self._registry.equivalents if webhook.matches_equivalents else None
        return matched_as(webhook.rules, asked, equivalents)

    def _current(self, look: Look) -> tuple[Webhook, ...]:
        changed = look.changed(self._storage)
        if changed != self._seen:
            found = sorted(look.all(self._storage), key=lambda one: str(metadata(one)["name"]))
            named = [(metadata(one)["name"], hook) for one in found for hook in one.get("webhooks") or ()]
            self._webhooks = tuple(_read(name, index, hook) for index, (name, hook) in enumerate(named))
            self._seen = changed
        return self._webhooks


def _read(configuration: str, index: int, hook: Mapping[str, Any]) -> Webhook:
    client = hook["clientConfig"]
    service = client.get("service")
    return Webhook(
        configuration=configuration,
        name=hook["name"],
        index=index,
        target=_reference(service) if service is not None else client["url"],
        authority=b64decode(client.get("caBundle") or ""),
        rules=tuple(Rule.of(rule) for rule in hook.get("rules") or ()),
        fails_open=hook["failurePolicy"] == "Ignore",
        matches_equivalents=hook["matchPolicy"] == "Equivalent",
        namespaces=from_object(hook["namespaceSelector"]),
        objects=from_object(hook["objectSelector"]),
        conditions=tuple((one["name"], one["expression"]) for one in hook.get("matchConditions") or ()),
        allows_dry_run=hook["sideEffects"] in _WITHOUT_SIDE_EFFECTS,
        timeout_s=hook["timeoutSeconds"],
        review_versions=tuple(hook["admissionReviewVersions"]),
        reinvoked=hook.get("reinvocationPolicy") == "IfNeeded",
    )


def _reference(service: Mapping[str, Any]) -> ServiceReference:
    return ServiceReference(
        service["namespace"], service["name"], service["port"], service.get("path") or "/"
    )
