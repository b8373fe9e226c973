"""Audit events of a busy cluster: how many a second are read and looked through, beside decoding their JSON and nothing else, and
what is left of them in the database."""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from aliquot.access.audit.events import items_of, read_items
from aliquot.access.audit.intake import Intake
from aliquot.access.audit.joining import ACCOUNTS
from aliquot.access.broker.waking import Waking
from aliquot.access.cluster.naming import object_name
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.people import Person
from aliquot.access.core.requests import Request, digest, new_id
from aliquot.access.store.database import Database
from aliquot.access.store.reading import Given
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.clock import SystemClock, rfc3339_micro
from benchmarks.clusters import machine

EVENTS, BATCH = 100_000, 400
OF_GRANTS = 100
"""One event of so many is of a grant."""
_JTI = "JTI=5a2f4d4e-0d7c-4b2e-9f7e-0f8c5b1d2e3f"


def main(short: bool = False) -> None:
    count = EVENTS // 10 if short else EVENTS
    now_s = time.time()
    grant = new_id(now_s, bytes(10))
    bodies = [
        _body([_event(number, grant, now_s) for number in range(first, first + BATCH)])
        for first in range(0, count, BATCH)
    ]
    size = sum(map(len, bodies)) / count
    print(
        f"{count} events of {size:.0f} bytes, {BATCH} in a delivery, one in {OF_GRANTS} of a grant ({machine()})"
    )
    print(f"  {'':<34}{'events/s':>10}{'cpu us':>8}{'x decoding':>12}")
    decoding_s = _timed(lambda: [msgspec.json.decode(one) for one in bodies])
    reading_s = _timed(lambda: [read_items(items_of(one)) for one in bodies])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "access.db"
        all_s = _timed(lambda: asyncio.run(_taken(path, bodies, grant, now_s)))
        again_s = _timed(lambda: asyncio.run(_taken(path, bodies, grant, now_s)))
        kib = sum(one.stat().st_size for one in Path(directory).iterdir()) / 1024
    for name, spent_s in (
        ("decoding the JSON", decoding_s),
        ("reading", reading_s),
        ("reading, joining, writing: SQLite", all_s),
        ("the same delivered again", again_s),
    ):
        print(
            f"  {name:<34}{count / spent_s:>10.0f}{spent_s / count * 1e6:>8.1f}{spent_s / decoding_s:>12.1f}"
        )
    print(f"  the database has {kib:.0f} KiB then")


def _timed(work: Callable[[], Any]) -> float:
    """Of CPU."""
    begun_s = time.process_time()
    work()
    return time.process_time() - begun_s


async def _taken(path: Path, bodies: list[bytes], grant: str, now_s: float) -> None:
    database = Database(f"sqlite:///{path}")
    database.prepare()
    store = Store(database, clock=SystemClock())

    def begin(tx: Transaction) -> None:
        if tx.life(grant) is None:
            tx.add(_life(grant, now_s))
            tx.give(Given(_JTI, grant, now_s, now_s + 600))

    await store.write(begin)
    intake = Intake(store, Waking())
    for one in bodies:
        events, _ = read_items(items_of(one))
        await intake.take("one", events)
    store.close()


def _life(grant: str, now_s: float) -> Life:
    request = Request(
        id=grant,
        template="shop-logs",
        template_digest="",
        requester=Person("https://login.example.com", "dora"),
        cluster="one",
        namespace="shop",
        rules=(),
        duration_s=3600,
        justification="",
        asked_at_s=now_s - 60,
    )
    return Life(
        request=request,
        digest=digest(request),
        stage=Stage.ACTIVE,
        seen_s=now_s,
        lapses_s=now_s,
        began_at_s=now_s - 60,
        end_s=now_s + 3600,
    )


def _body(events: list[dict[str, Any]]) -> bytes:
    return json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": events}).encode()


def _event(number: int, grant: str, now_s: float) -> dict[str, Any]:
    is_ours = number % OF_GRANTS == 0
    who = ACCOUNTS + object_name(grant) if is_ours else f"system:serviceaccount:team-{number % 7}:controller"
    at = rfc3339_micro(now_s + number / 10_000)
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"00000000-0000-4000-8000-{number:012d}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/shop/pods/web-{number % 20}",
        "verb": "get",
        "user": {
            "username": who,
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{who.split(':')[2]}",
                "system:authenticated",
            ],
            "extra": {
                "authentication.kubernetes.io/credential-id": [_JTI if is_ours else f"JTI={number % 97}"]
            },
        },
        "sourceIPs": ["10.0.0.7"],
        "userAgent": "controller/v1.2 (linux/amd64) kubernetes/abc",
        "objectRef": {
            "resource": "pods",
            "namespace": "shop",
            "name": f"web-{number % 20}",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": 'RBAC: allowed by RoleBinding "web/shop" of Role "web" to ServiceAccount "controller"',
        },
    }


if __name__ == "__main__":
    main()
