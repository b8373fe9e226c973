"""Mutating webhooks: one after the other, each on what those before it left; some again after a change."""

from collections.abc import Sequence
from typing import Any

import msgspec

from aliquot.emulator import statuses
from aliquot.emulator.admission.annotations import annotate
from aliquot.emulator.admission.requests import is_whole, told, untold
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.admission.webhooks.calling import Caller, WebhookFailed, failed
from aliquot.emulator.admission.webhooks.configurations import MUTATING, Configurations, Webhook
from aliquot.emulator.admission.webhooks.reviews import Verdict
from aliquot.emulator.objects import Json
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.registry import Registry, Served
from aliquot.emulator.schema.kind import DecodeError, Schema

PATCHES = "patch.webhook.admission.k8s.io/"
"""Annotations that say what was changed; they are as secret as the request's body."""
_MUTATIONS = "mutation.webhook.admission.k8s.io/"
_FAILED_OPEN = f"failed-open.{_MUTATIONS}"


class MutatingWebhooks:
    """A Mutator."""

    def __init__(self, caller: Caller, registry: Registry) -> None:
        self._caller = caller
        self._registry = registry
        self._configurations = Configurations(MUTATING, registry)

    def begin(self, asked: Admitted) -> "_Turn | None":
        concerned = self._configurations.concerned(asked)
        return _Turn(self._caller, self._registry, asked, concerned) if concerned else None


class _Turn:
    """In the second round those are called again that wish it (reinvocationPolicy IfNeeded), were called in the first,
    and after which somebody changed the object."""

    def __init__(
        self,
        caller: Caller,
        registry: Registry,
        asked: Admitted,
        concerned: Sequence[tuple[Webhook, Served]],
    ) -> None:
        self._caller = caller
        self._registry = registry
        self._asked = asked
        self._concerned = concerned
        self._called: set[int] = set()
        self._outdated: set[int] = set()
        self._left: Json | None = None

    async def run(self, obj: Json | None, *, again: bool) -> Json | None:
        """Raises StatusError."""
        if again and obj != self._left:
            self._somebody_changed_it()
        for webhook, served in self._concerned:
            if again and webhook.index not in self._outdated:
                continue
            if not self._caller.wants(webhook, self._asked, served, obj):
                continue
            before = obj
            obj = await self._call(webhook, served, obj, again)
            if obj is not before:
                self._somebody_changed_it()
            if webhook.reinvoked:
                self._called.add(webhook.index)
        self._left = obj
        return obj

    def _somebody_changed_it(self) -> None:
        self._outdated |= self._called
        self._called = set()

    async def _call(self, webhook: Webhook, served: Served, obj: Json | None, again: bool) -> Json | None:
        asked = self._asked
        place = f"round_{int(again)}_index_{webhook.index}"
        body = told(asked, served, obj)
        changed = body
        try:
            verdict = await self._caller.call(webhook, asked, served, body, mutating=True)
            changed = self._patched(webhook, served, body, verdict, place)
        except WebhookFailed as failure:
            refusal = failed(webhook, failure)
            if refusal is not None:
                raise refusal from failure
            annotate(asked.call, f"{_FAILED_OPEN}{place}", webhook.name)
        finally:
            annotate(asked.call, f"{_MUTATIONS}{place}", _note(webhook, mutated=changed is not body))
        if changed is body or changed is None:
            return obj
        return untold(asked, served, changed)

    def _patched(
        self, webhook: Webhook, served: Served, body: Json | None, verdict: Verdict, place: str
    ) -> Json | None:
        """The same body where nothing is to change. Raises WebhookFailed, StatusError."""
        if not verdict.patch:
            return body
        try:
            patch = msgspec.json.decode(verdict.patch)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise WebhookFailed(f"received undecodable patch in webhook response: {error}") from error
        if patch == []:
            return body
        if body is None:
            raise statuses.internal(
                f'admission webhook "{webhook.name}" attempted to modify the object, which is not supported for this '
                "operation"
            )
        if verdict.patch_type != "JSONPatch":
            raise WebhookFailed(f'unsupported patch type "{verdict.patch_type}"')
        schema = self._schema(served)
        try:
            patched, _ = schema.decode(apply_json_patch(body, patch))
        except (PatchError, DecodeError) as error:
            raise statuses.internal(str(error)) from error
        for field in ("kind", "apiVersion"):
            if patched.get(field) != body.get(field):
                raise statuses.internal(
                    f'admission webhook "{webhook.name}" changed the {field} of the object'
                )
        annotate(
            self._asked.call, f"{PATCHES}{place}", _note(webhook, patch=patch, patchType=verdict.patch_type)
        )
        filled = schema.default(patched)
        return body if filled == body else filled

    def _schema(self, served: Served) -> Schema:
        return served.schema if is_whole(self._asked) else self._registry.schema(*self._asked.kind)


def _note(webhook: Webhook, **more: Any) -> str:
    note = {"configuration": webhook.configuration, "webhook": webhook.name, **more}
    return msgspec.json.encode(note).decode()
