"""Whatever happens in whatever order: nothing in use is destroyed, no device is advertised twice, every preference is
one that kubelet can take, and no pod fails at Allocate."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.gpu.layout import Geometry
from aliquot.kube.api.assignment import AssignedDevice
from tests.node.fake_api import pod, wanted
from tests.node.machines import machine
from tests.node.site import Site, run_site

_DRIVER = machine("a100-40gb:1:mig")
_GPU = _DRIVER.gpus()[0]
_PROFILES = {profile.profile_id: profile for profile in _DRIVER.instance_profiles(_GPU.uuid)}
_LAYOUTS = list(Geometry(_PROFILES.values()).states())

_PAUSES_S = (0.0, 0.0, 0.03, 0.5, 3.0, 12.0, 45.0)
_WEIGHTS = {
    "want": 6,
    "mig": 1,
    "bind": 8,
    "admit": 8,
    "end": 3,
    "process": 1,
    "restart agent": 1,
    "restart kubelet": 1,
    "deaf": 2,
    "drop": 1,
}


def script(rng: random.Random, length: int) -> list[tuple[str, float]]:
    """What happens, and how long nothing happens after it."""
    kinds = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=length)
    return [("want", 12.0), ("want", 12.0), *((kind, rng.choice(_PAUSES_S)) for kind in kinds)]


@dataclass
class World:
    site: Site
    rng: random.Random
    bound: dict[str, AssignedDevice | None] = field(default_factory=dict)
    """Pod -> its assignment, from binding to admission."""
    resources: dict[str, str] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    wanted: dict[int, Any] = field(default_factory=dict)
    count: int = 0

    def watch_destruction(self) -> None:
        """Every destroying call of the driver first answers to this."""
        driver = self.site.driver
        destroy = driver.destroy_compute_instance
        set_mode, reset = driver.set_mig_mode, driver.reset_gpu

        def destroy_checked(gpu_uuid: str, gi_id: int, ci_id: int) -> None:
            for instance in driver.instances(gpu_uuid):
                for compute in instance.compute_instances:
                    if (instance.gi_id, compute.ci_id) == (gi_id, ci_id):
                        self.must_be_free(compute.uuid, gpu_uuid, instance.placement.start)
            destroy(gpu_uuid, gi_id, ci_id)

        def set_checked(gpu_uuid: str, enabled: bool) -> Any:
            self.must_be_free(gpu_uuid, gpu_uuid, None)
            return set_mode(gpu_uuid, enabled)

        def reset_checked(gpu_uuid: str) -> None:
            self.must_be_free(gpu_uuid, gpu_uuid, None)
            assert not driver.instances(gpu_uuid)
            reset(gpu_uuid)

        driver.destroy_compute_instance = destroy_checked  # type: ignore[method-assign]
        driver.set_mig_mode = set_checked  # type: ignore[method-assign]
        driver.reset_gpu = reset_checked  # type: ignore[method-assign]

    def must_be_free(self, device_id: str, gpu_uuid: str, start: int | None) -> None:
        kubelet = self.site.kubelet
        assert all(device_id not in ids for ids in kubelet.held.values()), "a pod holds it"
        for assigned in self.bound.values():
            if assigned is not None:
                assert (assigned.gpu, assigned.start) != (gpu_uuid, start), "a pod is bound for it"
        for resource, devices in kubelet.offered.items():
            assert not devices.get(device_id), f"kubelet would hand it out as {resource}"

    async def play(self, kind: str) -> None:
        site, rng = self.site, self.rng
        match kind:
            case "want":
                index = rng.randrange(2)
                slices = [(_PROFILES[s.profile_id].name, s.start) for s in rng.choice(_LAYOUTS)]
                self.wanted[index] = wanted(site.gpus[index], *slices, mig=True)
                site.api.want(*self.wanted.values())
            case "mig":
                index = rng.randrange(2)
                self.wanted[index] = wanted(site.gpus[index], mig=False)
                site.api.want(*self.wanted.values())
            case "bind":
                self.bind()
            case "admit":
                await self.admit()
            case "end":
                self.end()
            case "process":
                self.process()
            case "restart agent":
                await site.stop_agent()
                await site.start_agent()
            case "restart kubelet":
                await site.kubelet.restart()
            case "deaf":
                rng.choice([site.kubelet.deaf.clear, site.kubelet.deaf.set])()
            case "drop":
                site.plugin_sockets.drop(f"aliquot-{rng.choice(['gpu', 'mig-1g.5gb', 'mig-3g.20gb'])}.sock")
                await asyncio.sleep(0.001)  # kubelet notices

    def bind(self) -> None:
        """As a scheduler would: a device that is ready, stays wanted, and is promised to nobody."""
        ready = []
        for gpu in self.site.api.gpu_node.status.gpus:
            spec = self.wanted.get(gpu.index)
            if gpu.ready and not gpu.pods and not (spec and spec.mig):
                ready.append(AssignedDevice(container="main", resource=gpu.resource, gpu=gpu.uuid))
            for i in gpu.instances:
                kept = spec is None or any(
                    (w.profile, w.start) == (i.profile, i.start) for w in spec.instances
                )
                if i.ready and not i.pods and kept:
                    ready.append(
                        AssignedDevice(
                            container="main",
                            resource=i.resource,
                            gpu=gpu.uuid,
                            profile=i.profile,
                            start=i.start,
                        )
                    )
        for_unassigned = {self.resources[name] for name, device in self.bound.items() if device is None}
        free = [
            d
            for d in ready
            if d not in self.bound.values()
            and d.resource not in for_unassigned
            and len(self.site.kubelet.free(d.resource))
            > sum(self.resources[n] == d.resource for n in self.bound)
        ]
        if not free:
            return
        device = self.rng.choice(free)
        self.count += 1
        name = f"pod-{self.count}"
        with_assignment = self.rng.random() < 0.7
        self.bound[name] = device if with_assignment else None
        self.resources[name] = device.resource
        assigned = [device] if with_assignment else []
        self.site.api.pods.put(pod(name, device.resource, assigned=assigned, bound_at=self.site.clock.now()))

    async def admit(self) -> None:
        if not self.bound:
            return
        name = self.rng.choice(list(self.bound))
        resource = self.resources[name]
        if not self.site.kubelet.free(resource):
            return  # the agent is away, or has just come back
        await self.site.kubelet.admit(name, resource)
        del self.bound[name]
        self.running.append(name)
        self.site.api.pods.put(pod(name, resource, phase="Running"))

    def end(self) -> None:
        if self.running:
            name = self.running.pop(self.rng.randrange(len(self.running)))
            self.site.kubelet.release(name)
            self.site.api.pods.remove(f"default/{name}")

    def process(self) -> None:
        """A process in a slice that nobody holds: someone on the machine itself."""
        uuids = [
            compute.uuid
            for gpu in self.site.gpus
            for instance in self.site.driver.instances(gpu.uuid)
            for compute in instance.compute_instances
        ]
        if uuids:
            self.count += 1
            self.site.driver.start_process(self.rng.choice(uuids), pid=self.count)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_nothing_in_use_is_destroyed_and_nothing_is_offered_twice(seed: int) -> None:
    async def scenario(site: Site) -> None:
        world = World(site, random.Random(seed))
        world.watch_destruction()
        site.kubelet.listed_after_s = 0.4
        for kind, pause_s in script(world.rng, 40):
            await world.play(kind)
            await asyncio.sleep(pause_s)
        # Left alone, it comes to rest as wanted, or says what is in the way.
        site.kubelet.deaf.set()
        await asyncio.sleep(330)
        state, reason, _ = site.api.condition("MIGConfigured")
        assert state == "True" or reason == "InUse", reason
        assert site.api.condition("Ready")[0] == "True"

    run_site("a100-40gb:1:mig,a100-40gb:1", scenario)
