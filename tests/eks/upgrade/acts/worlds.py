"""A run of one step at a time, on a fake of EKS and an emulated cluster that share one virtual clock."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.eks.aws.api import Failure
from aliquot.eks.fake.direct import Direct
from aliquot.eks.upgrade.acts.approval import APPROVE
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.journal import Journal
from aliquot.eks.upgrade.runner import Runner
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.eks.versions.minor import Minor
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.windows import Window
from tests.eks.fake.worlds import START_S, Account

T = TypeVar("T")
HOP = Minor(1, 32)


class MemoryVault:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, name: str, content: bytes) -> None:
        self.files[name] = content

    async def get(self, name: str) -> bytes | None:
        return self.files.get(name)


@dataclass
class World:
    account: Account
    clock: VirtualClock
    server: ApiServer
    kube: Client
    doors: Doors
    vault: MemoryVault
    journal: Journal = field(default_factory=lambda: Journal("sqlite://"))
    told: list[str] = field(default_factory=list)
    told_hook: Callable[[str], None] = lambda _line: None
    """Hears each line, too."""
    windows: tuple[Window, ...] = ()
    at_most_s: float = 0.0
    """That each step should take."""
    runs: int = 0

    async def go(self, *acts: Act) -> Hold | None:
        """A run of these acts, as far as it goes."""
        self.runs += 1
        self.run = f"run-{self.runs}"
        self.steps = [
            Step(
                id=f"{number}",
                state=State.NODES,
                hop=HOP,
                what="",
                act=act,
                expected_s=0,
                at_most_s=self.at_most_s,
            )
            for number, act in enumerate(acts)
        ]
        self.journal.begin(
            self.run, f"cluster-{self.runs}", b"", [one.id for one in self.steps], self.clock.now()
        )
        return await self.on()

    async def on(self) -> Hold | None:
        runner = Runner(
            self.doors,
            self.journal,
            self.run,
            self.steps,
            owner="me",
            windows=self.windows,
            tell=self._tell,
        )
        return await runner.go()

    def _tell(self, _step: Step, line: str) -> None:
        self.told.append(line)
        self.told_hook(line)

    async def approved(self, hash_: str) -> Hold | None:
        """On from an Approval that held."""
        said = Decision(kind=APPROVE, step="", by="ada", at_s=self.clock.now(), body={"hash": hash_})
        self.journal.decide(self.run, said)
        return await self.again()

    async def again(self) -> Hold | None:
        self.journal.retry(self.run, self.clock.now())
        return await self.on()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    account, clock = Account(), VirtualClock(START_S)
    account.cluster("1.31")
    ahead_s = account.now_s - START_S
    api = Direct(
        account.service,
        now=lambda: clock.now() + ahead_s,
        failed=Failure,
        subnets=account.subnets,
        others={("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()}},
    )
    store = Store(None)
    server = ApiServer(store, clock=clock, rng=random.Random(1))
    await server.start()
    kube = client(server, clock)
    vault = MemoryVault()
    doors = Doors(api=api, clock=clock, client=kube, vault=vault)
    try:
        yield World(account, clock, server, kube, doors, vault)
    finally:
        server.stop()
        store.close()


def client(server: ApiServer, clock: VirtualClock, user: str = "admin", *groups: str) -> Client:
    return Client(
        AsgiTransport(server.app, user, [*(groups or ("system:masters",))]), clock=clock, rng=random.Random(2)
    )


def on_virtual_time(test: Callable[[World], Awaitable[T]]) -> Callable[[], T]:
    """The test gets a world, and its waits take no time."""

    async def whole() -> T:
        async with world() as one:
            return await test(one)

    def run() -> T:
        loop = VirtualTimeLoop()
        try:
            return loop.run_until_complete(whole())
        finally:
            loop.close()

    run.__name__ = getattr(test, "__name__", "test")
    run.__doc__ = test.__doc__
    return run


def deployment(
    name: str, namespace: str = "default", replicas: int = 1, **annotations: str
) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": f"{name}:1.31.4"}]},
            },
        },
    }
