"""A server process is killed (kill -9) again and again while several clients write. After each start:

- what was acknowledged is there, or something later of the same client; what was deleted stays away;
- what was not acknowledged is there as a whole or not at all;
- no resourceVersion goes back, and no two objects ever have the same uid.

ALIQUOT_KILLS=200 makes it long; `python -m tests.emulator.storage.test_kill_loop 200` shows figures.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from tests.emulator.api import PODS, pod
from tests.emulator.http.test_https import Process, session_of

KILLS = int(os.environ.get("ALIQUOT_KILLS", "5"))
CLIENTS = 4
PODS_EACH = 5
MERGE = {"content-type": "application/merge-patch+json"}


@dataclass
class Ledger:
    """What one client knows of its pods. A pod's state is (spec number, status number); None is none at all."""

    acknowledged: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    attempted: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    """The write that was on its way when the server died: it may have happened."""
    revisions: dict[str, int] = field(default_factory=dict)


@dataclass
class Figures:
    writes: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    of_those_done: int = 0
    uids: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    kill_at: int = 0
    """So many acknowledged writes; then `enough` is set."""
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledged(self, verb: str) -> None:
        self.writes[verb] += 1
        if self.writes.total() >= self.kill_at:
            self.enough.set()


class Client:
    def __init__(self, name: str, rng: random.Random, figures: Figures) -> None:
        self.name = name
        self.ledger = Ledger()
        self._rng = rng
        self._figures = figures
        self._number = 0

    async def write_until_cut_off(self, session: aiohttp.ClientSession) -> None:
        while True:
            name = f"{self.name}-{self._rng.randrange(PODS_EACH)}"
            state = self.ledger.acknowledged.get(name)
            self._number += 1
            verb, wanted, request = self._next(name, state)
            self.ledger.attempted = {name: wanted}
            try:
                async with request(session) as response:
                    answer = await response.json()
                    assert response.status in (200, 201), answer
            except (aiohttp.ClientError, ConnectionError):
                self._figures.unanswered += 1
                return
            self._figures.acknowledged(verb)
            self.ledger.acknowledged[name] = wanted
            self.ledger.attempted = {}
            if wanted is not None:
                self.saw(answer)

    def _next(self, name: str, state: tuple[int, int] | None) -> tuple[str, tuple[int, int] | None, Any]:
        number, path = self._number, f"{PODS}/{name}"
        if state is None:
            body = pod(name)
            body["metadata"]["annotations"] = {"number": str(number)}
            return "create", (number, 0), lambda session: session.post(PODS, json=body)
        match self._rng.choice(("update", "patch", "patch", "delete")):
            case "update":
                change: Any = {"metadata": {"annotations": {"number": str(number)}}}
                return (
                    "update",
                    (number, state[1]),
                    lambda session: session.patch(path, json=change, headers=MERGE),
                )
            case "patch":
                status = {"status": {"message": str(number), "reason": str(number)}}
                return (
                    "status",
                    (state[0], number),
                    lambda session: session.patch(f"{path}/status", json=status, headers=MERGE),
                )
            case _:
                return (
                    "delete",
                    None,
                    lambda session: session.delete(path, json={"gracePeriodSeconds": 0}),
                )

    def saw(self, obj: dict[str, Any]) -> None:
        meta = obj["metadata"]
        revision = int(meta["resourceVersion"])
        uid, name = meta["uid"], meta["name"]
        assert self._figures.uids.setdefault(uid, name) == name, f"uid {uid} is of two objects"
        assert revision >= self.ledger.revisions.get(uid, 0), f"{name}: the resourceVersion went back"
        self.ledger.revisions[uid] = revision

    def check(self, found: dict[str, dict[str, Any]]) -> None:
        """`found` is what the server has after its start."""
        for name in {*self.ledger.acknowledged, *self.ledger.attempted}:
            obj = found.get(name)
            state = None if obj is None else _state(obj)
            allowed = [self.ledger.acknowledged.get(name)]
            if name in self.ledger.attempted:
                allowed.append(self.ledger.attempted[name])
                self._figures.of_those_done += state == self.ledger.attempted[name]
            assert state in allowed, f"{name}: {state} is stored, and not one of {allowed}"
            if obj is not None:
                self.saw(obj)
            self.ledger.acknowledged[name] = state
        self.ledger.attempted = {}


def _state(obj: dict[str, Any]) -> tuple[int, int]:
    status = obj["status"]
    assert status.get("message") == status.get("reason"), f"half a write is stored: {status}"
    return int(obj["metadata"]["annotations"]["number"]), int(status.get("message", 0))


async def kill_loop(directory: Path, kills: int, seed: int) -> Figures:
    process, rng, figures = Process(directory), random.Random(seed), Figures()
    clients = [
        Client(f"client{number}", random.Random(f"{seed} {number}"), figures) for number in range(CLIENTS)
    ]
    for life in range(kills + 1):
        await process.start()
        authority = Authority(directory / "pki", clock=SystemClock())
        pair = authority.client("ada", ["system:masters"])
        async with session_of(process.url, authority.certificate, directory, pair) as session:
            async with session.get(PODS) as response:
                listed = await response.json()
            revision = int(listed["metadata"]["resourceVersion"])
            newest = max((max(c.ledger.revisions.values(), default=0) for c in clients), default=0)
            assert revision >= max(newest, figures.revision), "the server's resourceVersion went back"
            figures.revision = revision
            found = {item["metadata"]["name"]: item for item in listed["items"]}
            for client in clients:
                client.check(found)
            unknown = set(found) - {name for client in clients for name in client.ledger.acknowledged}
            assert not unknown, f"nobody made {unknown}"
            if life == kills:
                break
            figures.kill_at = figures.writes.total() + rng.randrange(1, 80)
            figures.enough.clear()
            writers = [asyncio.create_task(client.write_until_cut_off(session)) for client in clients]
            async with asyncio.timeout(60):
                await figures.enough.wait()
            await process.end(signal.SIGKILL)
            await asyncio.gather(*writers)
    assert await process.end(signal.SIGTERM) == 0
    return figures


async def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(tmp_path: Path) -> None:
    figures = await kill_loop(tmp_path, KILLS, seed=1)
    assert {"create", "update", "status", "delete"} <= set(figures.writes)
    assert figures.unanswered >= KILLS


def main(kills: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        figures = asyncio.run(kill_loop(Path(directory), kills, seed=kills))
    print(
        f"{kills} kills: {dict(figures.writes)} acknowledged, all there; {len(figures.uids)} uids, none twice;"
    )
    print(
        f"{figures.unanswered} writes unanswered, of which {figures.of_those_done} were done; "
        f"last resourceVersion {figures.revision}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
