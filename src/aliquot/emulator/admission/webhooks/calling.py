"""One call of one webhook: is it to be called, what it is asked, what it said."""

import asyncio
import math

import structlog

from aliquot.emulator import statuses
from aliquot.emulator.admission.annotations import annotate
from aliquot.emulator.admission.conditions import ConditionsFailed, MatchConditions
from aliquot.emulator.admission.matching import namespace_matches, object_matches
from aliquot.emulator.admission.requests import request, told
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.admission.webhooks import reviews, services
from aliquot.emulator.admission.webhooks.configurations import Webhook
from aliquot.emulator.admission.webhooks.reviews import InvalidAnswer, UnreadableAnswer, Verdict
from aliquot.emulator.network import CallFailed, Endpoint, Network, Reply
from aliquot.emulator.objects import Json, new_uid
from aliquot.emulator.registry import Served
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.verbs.call import Call

_log = structlog.get_logger(__name__)

DEADLINE_S = 34.0
"""All that one request may wait for webhooks: the real server's bound on a request."""

_LONGEST_TOLD = 2048
_LONGEST_WARNING = 256
_LONGEST_WARNINGS = 4096


class WebhookFailed(Exception):
    """There is no verdict; the text says why."""


class Caller:
    def __init__(self, network: Network, conditions: MatchConditions) -> None:
        self._network = network
        self._conditions = conditions

    def wants(self, webhook: Webhook, asked: Admitted, served: Served, obj: Json | None) -> bool:
        """Whether selectors and conditions match, where the rules do. Raises StatusError."""
        if not object_matches(webhook.objects, asked, obj):
            return False
        if not namespace_matches(webhook.namespaces, asked, obj):
            return False
        if not webhook.conditions:
            return True
        try:
            return self._conditions.hold(
                webhook.conditions,
                asked,
                served,
                told(asked, served, obj),
                told(asked, served, asked.old),
            )
        except ConditionsFailed as failure:
            if webhook.fails_open:
                return False
            raise statuses.forbidden(asked.served.resource, asked.name, str(failure)) from failure

    async def call(
        self, webhook: Webhook, asked: Admitted, served: Served, obj: Json | None, *, mutating: bool
    ) -> Verdict:
        """The verdict of a webhook that allows it; `obj` is in `served`'s version.

        Raises StatusError for a refusal, WebhookFailed when there is no verdict.
        """
        if asked.dry_run and not webhook.allows_dry_run:
            raise statuses.bad_request(f'admission webhook "{webhook.name}" does not support dry run')
        version = reviews.version(webhook.review_versions)
        if version is None:
            raise WebhookFailed("webhook does not accept known AdmissionReview versions (v1, v1beta1)")
        uid = new_uid(asked.rng)
        old = told(asked, served, asked.old)
        body = reviews.question(version, uid, request(asked, served), obj, old)
        try:
            reply = await self._post(webhook, asked, body)
            verdict = reviews.read_answer(_ok(reply), version, uid, mutating=mutating)
        except (CallFailed, UnreadableAnswer) as error:
            raise WebhookFailed(f"failed to call webhook: {error}") from error
        except InvalidAnswer as error:
            raise WebhookFailed(f"received invalid webhook response: {error}") from error
        for key, value in verdict.annotations.items():
            annotate(asked.call, f"{webhook.name}/{key}", value)
        _warn(asked.call, verdict)
        if not verdict.allowed:
            raise StatusError(reviews.denied(webhook.name, verdict.refusal))
        return verdict

    async def _post(self, webhook: Webhook, asked: Admitted, body: bytes) -> Reply:
        """Raises CallFailed; StatusError when the request has waited too long altogether."""
        loop, call = asyncio.get_running_loop(), asked.call
        if call.waits_until is None:
            call.waits_until = loop.time() + DEADLINE_S
        left_s = call.waits_until - loop.time()
        timeout_s = min(float(webhook.timeout_s), left_s)
        if timeout_s <= 0:
            raise _waited_too_long()
        target, address = webhook.target, None
        url = f"{target if isinstance(target, str) else target.url}?timeout={math.ceil(timeout_s)}s"
        if not isinstance(target, str):
            try:
                address = services.resolve(asked.look, target, asked.rng)
            except CallFailed as error:
                raise CallFailed(f'Post "{url}": {error}') from None
        endpoint = Endpoint(url, webhook.authority, address)
        try:
            return await self._network.post(endpoint, body, timeout_s=timeout_s)
        except CallFailed:
            if loop.time() >= call.waits_until:
                raise _waited_too_long() from None
            raise


def failed(webhook: Webhook, error: WebhookFailed) -> StatusError | None:
    """What a call without a verdict comes to: None where the failure policy lets it pass."""
    text = f'failed calling webhook "{webhook.name}": {error}'
    _log.warning("webhook failed", webhook=webhook.name, passes=webhook.fails_open, why=str(error))
    return None if webhook.fails_open else statuses.internal(text)


def _ok(reply: Reply) -> bytes:
    """Raises CallFailed."""
    if 200 <= reply.status < 300:
        return reply.body
    match reply.status:
        case 401:
            why = "the server has asked for the client to provide credentials"
        case 404:
            why = "the server could not find the requested resource"
        case code if code >= 500:
            text = reply.body[:_LONGEST_TOLD].decode("utf-8", "replace").strip() or "unknown"
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            why = f'an error on the server ("{quoted}") has prevented the request from succeeding'
        case code:
            why = f"the server responded with the status code {code} but did not return more information"
    raise CallFailed(why)


def _warn(call: Call, verdict: Verdict) -> None:
    """Without what has no place in a header; when all is too long, each is cut."""
    warnings = ["".join(one if one.isprintable() else " " for one in text) for text in verdict.warnings]
    if sum(map(len, warnings)) > _LONGEST_WARNINGS:
        warnings = [text[:_LONGEST_WARNING] for text in warnings]
    for text in warnings:
        if text not in call.warnings:
            call.warnings.append(text)


def _waited_too_long() -> StatusError:
    message = "Timeout: request did not complete within requested timeout - context deadline exceeded"
    return statuses.failure(504, "Timeout", message)
