"""Whatever happens to pods, owners, groups and the API: who listens ends up knowing what one who asks anew is told."""

import asyncio
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.kube.api.core import Pod
from aliquot.kube.resources import CRONJOBS, JOBS, PODGROUPS, key
from aliquot.scheduler.grouping.membership import Membership
from aliquot.scheduler.groups import Groups
from tests.kube.fake_api import Json, client_of
from tests.scheduler.groups_world import RARELY_S, SETTLED_S, World, reference, simulate


class Listener:
    """One who asks when a pod changes and when it hears, and never else."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.known: dict[str, Membership | None] = {}
        world.groups.subscribe(self._heard)
        world.pods.subscribe(self._pod_changed)

    def _heard(self, names: tuple[str, ...]) -> None:
        for name in names:
            pod = self._world.pods.get(name)
            if pod is not None:
                self.known[name] = self._world.groups.membership(pod)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None:
            self.known[key(new)] = self._world.groups.membership(new)
        elif old is not None:
            self.known.pop(key(old), None)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["pod", "group", "job", "cron", "close", "open", "down", "wait"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES)
def test_whoever_listens_ends_up_knowing_what_is(changes: list[tuple[str, int, int]]) -> None:
    async def scenario(world: World) -> None:
        listener = Listener(world)
        crons = [world.put(CRONJOBS, f"c{n}") for n in range(3)]
        for what, which, how in changes:
            await change(world, crons, what, which, how)
        world.is_down = False
        # A deleted owner is remembered by those who saw it; a newcomer did not.
        for number in range(3):
            world.pod(f"p{number}", labels={"aliquot.dev/pod-group": f"g{number}"})
        await asyncio.sleep(2 * RARELY_S)
        anew = Groups(client_of(world.api), rng=random.Random(2), pods=world.pods)
        task = asyncio.create_task(anew.run())
        await asyncio.sleep(SETTLED_S)
        for pod in world.pods.values():
            anew.membership(pod)
        await asyncio.sleep(SETTLED_S)
        fresh = {key(pod): anew.membership(pod) for pod in world.pods.values()}
        task.cancel()
        assert None not in fresh.values()
        assert listener.known == fresh

    async def change(world: World, crons: list[Json], what: str, which: int, how: int) -> None:
        match what:
            case "pod":
                owner = world.api.objects(JOBS).get(f"a/j{how}")
                world.pod(f"p{which}", owner, {"aliquot.dev/pod-group": f"g{how}"}, priority=how)
                world.pod(f"q{which}", owner, priority=how)
            case "group" if how:
                world.put(PODGROUPS, f"g{which}", spec={"minMember": how})
            case "group" if f"a/g{which}" in world.api.objects(PODGROUPS):
                world.api.remove(PODGROUPS, f"a/g{which}")
            case "job":
                metadata = {"ownerReferences": [reference(crons[how])]}
                world.put(JOBS, f"j{which}", metadata=metadata, spec={"activeDeadlineSeconds": how + 1})
            case "close":
                world.served.discard(PODGROUPS)
                world.api.end_watches()
            case "open":
                world.served.add(PODGROUPS)
            case "down":
                world.is_down = which == 0
                world.api.end_watches()
            case "wait":
                await asyncio.sleep([0.0, 1.0, RARELY_S][which])

    simulate(scenario)
