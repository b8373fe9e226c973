"""Telling the user what happened, where `kubectl describe` shows it: core/v1 Events, repeated ones counted.

Recording never waits and never fails; sending is a task of its own, a few at a time. An event that repeats within ten
minutes is one object with a count, written at most every few seconds, so that a pod that is refused a thousand times costs
the API server next to nothing. When the server takes them more slowly than they come, the oldest that are not sent yet are
dropped, and how many is logged.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from aliquot.clock import rfc3339
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS, Resource

_log = structlog.get_logger()

_SAME_EVENT_S = 600.0
_REMEMBERED = 4096
_MOST_UNSENT = 20_000
_SENDERS = 8
_MESSAGE_LIMIT = 1024


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the event is about and says; equal ones are counted together."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    severity: Severity
    reason: str
    message: str


@dataclass(slots=True)
class _Record:
    first_at: float
    last_at: float
    count: int = 0
    sent_at: float = float("-inf")
    name: str = ""
    """Of the Event object; empty: not created yet."""


class Recorder:
    """Records under `component` (`aliquot-scheduler`). `run()` sends until cancelled, then what is left."""

    def __init__(
        self, client: Client, component: str, *, instance: str = "", min_interval_s: float = 5.0
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance or component
        self._min_interval_s = min_interval_s
        self._records: OrderedDict[_Subject, _Record] = OrderedDict()
        self._unsent: OrderedDict[_Subject, None] = OrderedDict()
        self._dropped = 0
        """Since it was last told."""
        self._recorded = asyncio.Event()

    def event(self, resource: Resource, obj: Any, severity: Severity, reason: str, message: str) -> None:
        """About `obj` (a dict or a Struct with metadata): a CamelCase `reason` and one sentence."""
        if isinstance(obj, dict):
            metadata = obj["metadata"]
            namespace, name, uid = metadata.get("namespace", ""), metadata["name"], metadata.get("uid", "")
        else:
            namespace, name, uid = obj.metadata.namespace, obj.metadata.name, obj.metadata.uid
        subject = _Subject(
            resource.api_version,
            resource.kind,
            namespace,
            name,
            uid,
            severity,
            reason,
            message[:_MESSAGE_LIMIT],
        )
        now = self._client.clock.now()
        record = self._records.get(subject)
        if record is None or now - record.last_at > _SAME_EVENT_S:
            record = self._records[subject] = _Record(first_at=now, last_at=now)
        record.count += 1
        record.last_at = now
        self._records.move_to_end(subject)
        self._unsent[subject] = None
        if len(self._unsent) > _MOST_UNSENT:
            dropped, _ = self._unsent.popitem(last=False)
            del self._records[dropped]
            self._dropped += 1
        while len(self._records) > _REMEMBERED and (oldest := next(iter(self._records))) not in self._unsent:
            del self._records[oldest]
        self._recorded.set()

    async def run(self) -> None:
        try:
            while True:
                await self._recorded.wait()
                self._recorded.clear()
                held_back_s = await self._send_due(hurry=False)
                if held_back_s is not None:
                    await asyncio.sleep(held_back_s)
                    self._recorded.set()
        finally:
            # Last words matter most; a server that does not answer must not keep the process.
            try:
                async with asyncio.timeout(2.0):
                    await self._send_due(hurry=True)
            except TimeoutError:
                _log.warning("events not sent at exit", component=self._component, events=len(self._unsent))

    async def _send_due(self, *, hurry: bool) -> float | None:
        """Send what is due. Returns the seconds until more is, None when nothing is left."""
        if self._dropped:
            _log.warning("events dropped: too many at once", component=self._component, events=self._dropped)
            self._dropped = 0
        wait_s: float | None = None
        due: list[_Subject] = []
        for subject in self._unsent:
            due_in_s = self._records[subject].sent_at + self._min_interval_s - self._client.clock.now()
            if due_in_s > 0 and not hurry:
                wait_s = due_in_s if wait_s is None else min(wait_s, due_in_s)
            else:
                due.append(subject)
        left = iter(due)
        # All of them end before it begins anew, so that no event is in two hands.
        async with asyncio.TaskGroup() as senders:
            for _ in range(min(_SENDERS, len(due))):
                senders.create_task(self._send_each(left))
        return wait_s

    async def _send_each(self, subjects: Iterator[_Subject]) -> None:
        for subject in subjects:
            record = self._records.get(subject)
            if record is None or subject not in self._unsent:
                continue
            del self._unsent[subject]
            try:
                await self._send(subject, record)
            except errors.ApiError as error:
                # An event is not worth more than the client's own retries.
                _log.warning("event not sent", reason=subject.reason, about=subject.name, error=error.message)

    async def _send(self, subject: _Subject, record: _Record) -> None:
        count, record.sent_at = record.count, self._client.clock.now()
        # Events about cluster-scoped objects live in `default`, where kubectl looks for them.
        namespace = subject.namespace or "default"
        if record.name:
            patch = {"count": count, "lastTimestamp": rfc3339(record.last_at)}
            try:
                await self._client.patch(EVENTS, record.name, patch, namespace)
                return
            except errors.NotFound:
                # The server forgets events after an hour or so.
                record.name = ""
        name = f"{subject.name}.{self._client.rng.getrandbits(64):016x}"
        body = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": subject.api_version,
                "kind": subject.kind,
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
            },
            "type": subject.severity.value,
            "reason": subject.reason,
            "message": subject.message,
            "count": count,
            "firstTimestamp": rfc3339(record.first_at),
            "lastTimestamp": rfc3339(record.last_at),
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }
        await self._client.create(EVENTS, body)
        record.name = name
