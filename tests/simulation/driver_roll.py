"""A driver is rolled over a hundred nodes, with two operators of which one leads, and everything going wrong.

The operator is whole, and reaches the API server through the weather; users, controllers and machines do not. What must hold
is looked at with every change of a node: as many under way as the policy lets, and no start that takes more out of use. Limits
that are lowered meanwhile hold for who starts from then on; who is out already may be more.
"""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable
from typing import Any

from aliquot.clock import Clock, VirtualTimeLoop
from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.api.pci_labels import OURS
from aliquot.kube.election import LeaderElection
from aliquot.kube.resources import GPUPOLICIES, NODES, PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from aliquot.kube.roles import LEASES_IN
from aliquot.operator.core.operands import DEPLOY_LABELS, PAUSED, Image, OperandName, shipped
from aliquot.operator.core.upgrade.rules import Share
from aliquot.operator.core.upgrade.states import RETRY, SKIP_LABEL, STATE_LABEL, UNDER_WAY, State, state_of
from aliquot.operator.operator import Operator
from aliquot.operator.upgrading.reading import is_ready
from tests.operator.cluster import Cluster
from tests.operator.machines import GPU, node, operand_of, version_of
from tests.simulation.faults import Weather

OLD, NEW, NEWER = "580.105.08", "595.91.07", "595.99.01"
_IMAGES = shipped(Image("example.com", "aliquot", "1.0"))
_SEEN_WITHIN_S = 60.0
"""By then an operator has heard what others did to a node, or said in a policy, in whatever weather."""
_POLICY = "p"
_MISFORTUNES = (
    *("kill", "kill", "off", "cordon", "uncordon", "edit", "clock", "pod"),
    *("mend", "mend", "skip", "label", "driver", "limits"),
)
_DRIVER_LABEL = DEPLOY_LABELS[OperandName.DRIVER]


class StrayClock:
    """Of a host whose time is set now and then."""

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self.off_s = 0.0

    def now(self) -> float:
        return self._inner.now() + self.off_s


class Limits:
    """Looks at every change of a node, as the API server has it."""

    def __init__(self, most_parallel: int, most_unavailable: int) -> None:
        self.most_parallel = most_parallel
        self.most_unavailable = most_unavailable
        self._earlier: list[tuple[float, int, int]] = []
        """Until when they held, for whoever has not heard yet."""
        self._under_way: set[str] = set()
        self._out_since: dict[str, float] = {}
        """Nodes that are not under way, and out of use, by others' doing."""
        self.by_users: set[str] = set()
        """Nodes that a user has closed."""
        self.broken: list[str] = []
        self.most_seen = 0

    def change(self, most_parallel: int, most_unavailable: int) -> None:
        now = asyncio.get_running_loop().time()
        self._earlier.append((now, self.most_parallel, self.most_unavailable))
        self.most_parallel, self.most_unavailable = most_parallel, most_unavailable

    def look(self, old: Node | None, new: Node | None) -> None:
        some = new or old
        assert some is not None
        name, now = some.metadata.name, asyncio.get_running_loop().time()
        if new is None:
            self._under_way.discard(name)
            self._out_since.pop(name, None)
            return
        is_out = new.spec.unschedulable or not is_ready(new)
        if state_of((new.metadata.labels or {}).get(STATE_LABEL, "")) in UNDER_WAY:
            if name not in self._under_way:
                was_out = self._out_since.pop(name, None) is not None
                self._under_way.add(name)
                self._start(name, now, costs=not was_out)
        else:
            self._under_way.discard(name)
            if is_out:
                self._out_since.setdefault(name, now)
            else:
                self._out_since.pop(name, None)
        if name in self.by_users and not new.spec.unschedulable:
            self.broken.append(f"{now:.1f}: the cordon of a user was taken off {name}")

    def _start(self, name: str, now: float, *, costs: bool) -> None:
        self.most_seen = max(self.most_seen, len(self._under_way))
        heard = [one for one in self._earlier if now - one[0] <= _SEEN_WITHIN_S]
        parallel = max([self.most_parallel, *(one[1] for one in heard)])
        unavailable = max([self.most_unavailable, *(one[2] for one in heard)])
        if len(self._under_way) > parallel:
            self.broken.append(f"{now:.1f}: {name} starts, and {len(self._under_way)} are under way")
        others = sum(now - since > _SEEN_WITHIN_S for since in self._out_since.values())
        out = len(self._under_way) + others
        if costs and out > unavailable:
            self.broken.append(f"{now:.1f}: {name} starts, and {out} are out of use")


class DriverRoll:
    def __init__(self, seed: int, nodes: int = 100) -> None:
        self.rng = random.Random(f"{seed} roll")
        self.cluster = Cluster(seed, driver_s=self.rng.choice((10.0, 30.0, 60.0)))
        self.weather = Weather(self.cluster.api.app, random.Random(f"{seed} faults"))
        self.names = [f"n{number:03d}" for number in range(nodes)]
        self.diary: list[str] = []
        parallel = self.rng.randint(max(2, nodes // 20), max(3, nodes // 5))
        unavailable: int | str = self.rng.choice(
            (f"{self.rng.randint(8, 30)}%", self.rng.randint(2, max(3, nodes // 4)))
        )
        self.upgrade: dict[str, Any] = {
            "maxParallel": parallel,
            "maxUnavailable": unavailable,
            "canary": {"nodes": self.rng.choice((0, 1, 3)), "soak": "60s"},
            "eviction": {"timeout": "4m", "deleteEmptyDir": True},
            "checkpoint": {"timeout": "30s"},
            "waitForJobs": self.rng.choice((None, {"timeout": "1m"})),
            "drain": self.rng.choice((None, {"timeout": "3m"})),
        }
        share = Share(percent=int(unavailable[:-1])) if isinstance(unavailable, str) else Share(unavailable)
        self.limits = Limits(parallel, share.of(nodes))
        self._at_first = parallel, unavailable, share.of(nodes)
        self.version = OLD
        self.clocks: dict[str, StrayClock] = {}
        self._operators: dict[str, asyncio.Task[None]] = {}
        self._elections: dict[str, LeaderElection] = {}
        self._timers: list[asyncio.Task[None]] = []

    def note(self, what: str) -> None:
        self.diary.append(f"{asyncio.get_running_loop().time():9.3f}  {what}")

    # --- operators ---

    def start_operator(self, name: str) -> None:
        clock = self.clocks.setdefault(name, StrayClock(self.cluster.clock))
        number = len(self.diary)
        client = self.cluster.operator(
            app=self.weather.app,
            dress=lambda inner: self.weather.over(inner, self.cluster.rng(f"weather {name} {number}")),
            clock=clock,
        )
        election = LeaderElection(
            client, namespace=LEASES_IN, name="aliquot-operator", identity=f"{name}-{number}"
        )
        operator = Operator(
            client, clock=clock, rng=self.cluster.rng(f"{name} {number}"), images=_IMAGES, election=election
        )
        self._elections[name] = election
        self._operators[name] = asyncio.create_task(operator.run(), name=f"operator {name}")

    async def kill(self, name: str) -> None:
        task = self._operators.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def leader(self) -> str:
        return next((name for name, one in sorted(self._elections.items()) if one.is_leader()), "")

    # --- what users do ---

    async def say(self, version: str, **upgrade: Any) -> None:
        self.note(f"policy: {version} {upgrade or ''}")
        self.version = version
        spec = {
            "driver": {"version": version},
            "toolkit": {"preinstalled": True},
            "exporter": {"enabled": False},
            "upgrade": {name: one for name, one in {**self.upgrade, **upgrade}.items() if one is not None},
        }
        body = {"metadata": {"name": _POLICY}, "spec": spec}
        await self.cluster.admin.apply(GPUPOLICIES, body, field_manager="user", force=True)

    async def limit(self, parallel: int, unavailable: int | str, comes_to: int) -> None:
        self.note(f"limits: {parallel} under way, {unavailable} out of use")
        self.upgrade |= {"maxParallel": parallel, "maxUnavailable": unavailable}
        await self.say(self.version)
        self.limits.change(parallel, comes_to)

    async def jobs(self) -> None:
        for number in range(len(self.names) // 4):
            is_gang = self.rng.random() < 0.3
            size = self.rng.randint(2, 4)
            labels = {"app": f"job-{number}"} | ({"aliquot.dev/pod-group": f"g{number}"} if is_gang else {})
            pod = {
                "containers": [
                    {"name": "main", "image": "job", "resources": {"limits": {GPU: str(2 if is_gang else 1)}}}
                ]
            }
            metadata = {"name": f"job-{number}", "namespace": "default"}
            body = {
                "metadata": metadata,
                "spec": {
                    "replicas": size,
                    "selector": {"matchLabels": {"app": f"job-{number}"}},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            }
            await self.cluster.admin.create(REPLICASETS, body)
            if self.rng.random() < 0.5:
                budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": f"job-{number}"}}}
                await self.cluster.admin.create(PODDISRUPTIONBUDGETS, {"metadata": metadata, "spec": budget})

    async def close_node(self, name: str) -> None:
        """A user cordons it, unless its upgrade has."""
        found = await self.cluster.admin.get(NODES, name, into=Node)
        if found.spec.unschedulable or _state(found) in UNDER_WAY:
            return
        self.note(f"user cordons {name}")
        patch = {
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "spec": {"unschedulable": True},
        }
        with contextlib.suppress(errors.Conflict):
            await self.cluster.admin.patch(NODES, name, patch)
            self.limits.by_users.add(name)

    async def open_node(self, name: str) -> None:
        self.note(f"user uncordons {name}")
        self.limits.by_users.discard(name)
        await self.cluster.admin.patch(NODES, name, {"spec": {"unschedulable": None}})

    async def mend(self) -> None:
        """What a person does about nodes that failed."""
        for found in self._nodes():
            if _state(found) is State.UPGRADE_FAILED:
                name = found.metadata.name
                self.note(f"user mends {name}, and tries again")
                self.cluster.machines.broken.pop(name, None)
                self.cluster.machines.mute.discard(name)
                await self.cluster.admin.patch(NODES, name, {"metadata": {"annotations": {RETRY: "true"}}})

    # --- what fate does ---

    async def misfortune(self) -> None:
        rng, name = self.rng, self.rng.choice(self.names)
        match rng.choice(_MISFORTUNES):
            case "kill":
                victim = rng.choice((self.leader() or "a", "a", "b"))
                if victim in self._operators:
                    down_s = rng.uniform(1, 30)
                    self.note(f"kill operator {victim}, {down_s:.1f} s")
                    await self.kill(victim)
                    self._later(down_s, lambda: self._start_again(victim))
            case "off" if len(self.cluster.machines.down) < 3:
                down_s = rng.uniform(20, 400)
                self.note(f"{name} is not ready, {down_s:.1f} s")
                await self.cluster.machines.turn_off(name)
                self._later(down_s, lambda: self.cluster.machines.turn_on(name))
            case "cordon" if len(self.limits.by_users) < 4:
                await self.close_node(name)
            case "uncordon" if self.limits.by_users:
                await self.open_node(rng.choice(sorted(self.limits.by_users)))
            case "edit" if rng.random() < 0.4:
                await self.say(rng.choice((NEW, NEWER, NEWER)), auto=rng.random() < 0.85)
            case "limits":
                parallel, _, unavailable = self._at_first
                fewer, less = rng.randint(1, parallel), rng.randint(1, unavailable)
                await self.limit(*rng.choice(((fewer, less, less), (1, 1, 1), self._at_first)))
            case "clock":
                victim = rng.choice(("a", "b"))
                self.clocks[victim].off_s = off_s = rng.choice((0.0, rng.uniform(-600, 600)))
                self.note(f"the clock of {victim} is off by {off_s:.1f} s")
            case "pod":
                found = [one for one in self.cluster.pods.values() if one.spec.node_name == name]
                if found:
                    pod = rng.choice(sorted(found, key=lambda one: one.metadata.name))
                    self.note(f"delete pod {pod.metadata.name}")
                    with contextlib.suppress(errors.NotFound):
                        await self.cluster.admin.delete(PODS, pod.metadata.name, pod.metadata.namespace)
            case "mend":
                await self.mend()
            case "label":
                self.note(f"user takes the state off {name}")
                await self._label(name, STATE_LABEL, None)
            case "driver":
                off_s = rng.uniform(5, 120)
                self.note(f"user turns the driver of {name} off, {off_s:.1f} s")
                await self._label(name, _DRIVER_LABEL, "false")
                self._later(off_s, lambda: self._label(name, _DRIVER_LABEL, None))
            case "skip":
                value = rng.choice(("true", None, None))
                self.note(f"{name} skip: {value}")
                await self._label(name, SKIP_LABEL, value)

    async def _label(self, name: str, label: str, value: str | None) -> None:
        await self.cluster.admin.patch(NODES, name, {"metadata": {"labels": {label: value}}})

    def _later(self, delay_s: float, act: Callable[[], Any]) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            await act()

        self._timers.append(asyncio.create_task(wait()))

    async def _start_again(self, name: str) -> None:
        self.start_operator(name)

    # --- what must hold ---

    def check(self) -> None:
        assert not self.limits.broken, "; ".join(self.limits.broken[:3])
        for name, task in self._operators.items():
            if task.done():
                raise AssertionError(f"operator {name} ended: {task.exception()!r}")

    def unfinished(self) -> list[str]:
        """Nodes that are not as the policy has them, and why."""
        found = []
        drivers = {
            pod.spec.node_name: version_of(pod)
            for pod in self.cluster.pods.values()
            if operand_of(pod) is OperandName.DRIVER and pod.metadata.deletion_timestamp is None
        }
        for one in self._nodes():
            name, labels = one.metadata.name, one.metadata.labels or {}
            wrong = []
            if drivers.get(name) != self.version:
                wrong.append(f"driver {drivers.get(name)}")
            if labels.get(STATE_LABEL) not in (None, "upgrade-done"):
                wrong.append(labels[STATE_LABEL])
            if one.spec.unschedulable != (name in self.limits.by_users):
                wrong.append("cordoned" if one.spec.unschedulable else "open")
            if PAUSED in labels.values():
                wrong.append("paused")
            if wrong:
                found.append(f"{name}: {', '.join(wrong)}")
        return found

    def _nodes(self) -> list[Node]:
        return sorted(self.cluster.nodes.values(), key=lambda one: one.metadata.name)

    async def _until(self, done: Callable[[], bool], *, within_s: float, what: str) -> None:
        end = asyncio.get_running_loop().time() + within_s
        while not done():
            self.check()
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"{what}: not within {within_s:g} s: {self.unfinished()[:5]}")
            await asyncio.sleep(2.0)

    # --- its life ---

    async def live(self, storm_s: float) -> None:
        await self.cluster.start()
        for name in self.names:
            await self.cluster.add_node(node(name, {OURS: "true"}))
        await self.say(OLD)
        self.start_operator("a")
        await self._until(lambda: not self.unfinished(), within_s=600, what="nodes begin")
        await self.jobs()
        await asyncio.sleep(30)
        self.start_operator("b")
        self.cluster.nodes.subscribe(self.limits.look)
        for name in self.rng.sample(self.names, self.rng.randint(0, 3)):
            self.cluster.machines.broken[name] = {NEW}
        for name in self.rng.sample(self.names, self.rng.randint(0, 2)):
            self.cluster.machines.mute.add(name)
        self.weather.storm()
        await self.say(NEW)
        loop = asyncio.get_running_loop()
        end = loop.time() + storm_s
        while loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(1 / 15))
            await self.misfortune()
            self.check()
        self.note("calm")
        self.weather.calm()
        await asyncio.gather(*self._timers)
        for clock in self.clocks.values():
            clock.off_s = 0.0
        await self.limit(*self._at_first)
        # What users keep out of use counts: there has to be room beside it.
        for name in sorted(self.limits.by_users)[: -max(0, self.limits.most_unavailable - 1) or None]:
            await self.open_node(name)
        for found in self._nodes():
            if SKIP_LABEL in (found.metadata.labels or {}):
                await self._label(found.metadata.name, SKIP_LABEL, None)
        await self.say(self.rng.choice((NEW, NEWER)))
        for _ in range(60):
            await self.mend()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(120):
                    await self._until(lambda: not self.unfinished(), within_s=3600, what="the end")
                    break
        assert not self.unfinished(), f"two hours after the storm: {self.unfinished()[:5]}"
        # And so it stays.
        await asyncio.sleep(120)
        self.check()
        assert not self.unfinished(), f"not at rest: {self.unfinished()[:5]}"

    async def close(self) -> None:
        for task in self._timers:
            task.cancel()
        for name in list(self._operators):
            await self.kill(name)
        await self.cluster.close()

    def digest(self) -> str:
        state = hashlib.sha256()
        for resource in sorted(self.cluster.store.resources()):
            for record in self.cluster.store.list(resource).records:
                state.update(f"{record.resource}/{record.namespace}/{record.name}@{record.revision}".encode())
                state.update(record.body)
        return state.hexdigest()


def _state(found: Node) -> State | None:
    return state_of((found.metadata.labels or {}).get(STATE_LABEL, ""))


async def _run(seed: int, storm_s: float, nodes: int) -> str:
    roll = DriverRoll(seed, nodes)
    try:
        await roll.live(storm_s)
        return roll.digest()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}\n" + "\n".join(roll.diary[-60:])) from error
    finally:
        await roll.close()


def simulate(seed: int, *, storm_s: float = 600.0, nodes: int = 100) -> str:
    """Run a seed on a loop of its own; the digest of the final state."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_run(seed, storm_s, nodes))
