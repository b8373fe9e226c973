"""Validating webhooks: all at once, and all must allow it."""

import asyncio
from collections.abc import Awaitable, Sequence

from aliquot.emulator.admission.annotations import annotate
from aliquot.emulator.admission.requests import told
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.admission.webhooks.calling import Caller, WebhookFailed, failed
from aliquot.emulator.admission.webhooks.configurations import VALIDATING, Configurations, Webhook
from aliquot.emulator.objects import Json
from aliquot.emulator.registry import Registry, Served
from aliquot.emulator.statuses import StatusError

_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


class ValidatingWebhooks:
    """A Validator."""

    def __init__(self, caller: Caller, registry: Registry) -> None:
        self._caller = caller
        self._configurations = Configurations(VALIDATING, registry)

    def check(self, asked: Admitted, obj: Json | None) -> Awaitable[None] | None:
        concerned = self._configurations.concerned(asked)
        wanting = [
            (webhook, served)
            for webhook, served in concerned
            if self._caller.wants(webhook, asked, served, obj)
        ]
        return self._ask_all(asked, wanting, obj) if wanting else None

    async def _ask_all(
        self, asked: Admitted, webhooks: Sequence[tuple[Webhook, Served]], obj: Json | None
    ) -> None:
        asking = (self._ask(asked, number, *one, obj) for number, one in enumerate(webhooks))
        for refusal in await asyncio.gather(*asking):
            if refusal is not None:
                raise refusal

    async def _ask(
        self, asked: Admitted, number: int, webhook: Webhook, served: Served, obj: Json | None
    ) -> StatusError | None:
        try:
            await self._caller.call(webhook, asked, served, told(asked, served, obj), mutating=False)
        except StatusError as refusal:
            return refusal
        except WebhookFailed as failure:
            refused = failed(webhook, failure)
            if refused is None:
                annotate(asked.call, f"{_FAILED_OPEN}round_0_index_{number}", webhook.name)
            return refused
        return None
