"""Probes at work on an emulated node. In the simulated runtime a probe fails while an annotation says so."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aliquot.clock import parse_rfc3339
from aliquot.kube.resources import PODS
from tests.emulator.kubelet.conftest import virtual
from tests.emulator.kubelet.site import Site, emulated_node

FAILING = "aliquot.dev/failing-probes"
EXEC = "exec: {command: ['true']}"


def probed(**probes: str) -> str:
    """A container `main` with probes by kind, each with the options given."""
    fields = ", ".join(f"{kind}Probe: {{{EXEC}{options}}}" for kind, options in probes.items())
    return f"containers: [{{name: main, {fields}}}]"


def on_a_node(scenario: Callable[[Site], Awaitable[None]], *, together_s: float = 0.0) -> None:
    async def main() -> None:
        async with asyncio.timeout(7200):
            async with emulated_node(together_s=together_s) as site:
                await scenario(site)

    virtual(main())


async def ready(site: Site, name: str = "p") -> tuple[bool, str]:
    """Of the first container, and the pod's own condition."""
    conditions = {c["type"]: c["status"] for c in (await site.status(name))["conditions"]}
    return bool((await site.container(name))["ready"]), conditions["Ready"]


async def failing(site: Site, kinds: str | None) -> None:
    await site.client.patch(PODS, "p", {"metadata": {"annotations": {FAILING: kinds}}}, "default")


async def messages(site: Site, reason: str) -> list[str]:
    return [message for found, message in await site.events() if found == reason]


def test_a_pod_is_ready_when_its_readiness_probe_passes() -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(readiness=", periodSeconds: 5"), annotations={FAILING: "readiness"})
        await site.until("Running")
        await asyncio.sleep(30)
        assert await ready(site) == (False, "False")
        assert (await site.container())["started"] is True
        assert await messages(site, "Unhealthy") == [f"Readiness probe failed: annotation {FAILING} says so"]
        await failing(site, None)
        await asyncio.sleep(6)
        assert await ready(site) == (True, "True")
        await failing(site, "Liveness, Readiness")
        await asyncio.sleep(6)
        assert await ready(site) == (True, "True")
        await asyncio.sleep(10)
        assert await ready(site) == (False, "False")
        assert (await site.container())["restartCount"] == 0

    on_a_node(scenario)


def test_a_readiness_probe_that_passes_is_asked_at_once() -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(readiness=", periodSeconds: 60"))
        await site.until("Running")
        await asyncio.sleep(0.5)
        assert await ready(site) == (True, "True")

    on_a_node(scenario)


def test_a_readiness_probe_keeps_its_initial_delay() -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(readiness=", initialDelaySeconds: 15, periodSeconds: 5"))
        await site.until("Running")
        await asyncio.sleep(14)
        assert await ready(site) == (False, "False")
        await asyncio.sleep(2)
        assert await ready(site) == (True, "True")

    on_a_node(scenario)


@pytest.mark.parametrize(("kind", "name"), [("liveness", "Liveness"), ("startup", "Startup")])
def test_a_container_whose_probe_fails_is_started_again(kind: str, name: str) -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(**{kind: ", periodSeconds: 10"}), annotations={FAILING: kind})
        await site.until("Running")
        started = parse_rfc3339((await site.container())["state"]["running"]["startedAt"])
        await asyncio.sleep(19)
        assert (await site.container())["restartCount"] == 0
        await asyncio.sleep(2)
        container = await site.container()
        assert container["restartCount"] == 1
        assert parse_rfc3339(container["lastState"]["terminated"]["finishedAt"]) - started == 20
        assert f"Container main failed {kind} probe, will be restarted" in await messages(site, "Killing")
        assert f"{name} probe failed: annotation {FAILING} says so" in await messages(site, "Unhealthy")
        # The next time it has to wait.
        await asyncio.sleep(25)
        assert (await site.container())["state"]["waiting"]["reason"] == "CrashLoopBackOff"

    on_a_node(scenario)


@pytest.mark.parametrize(
    ("policy", "phase", "text"),
    [
        ("Never", "Failed", "Container main failed liveness probe"),
        ("OnFailure", "Running", "Container main failed liveness probe, will be restarted"),
    ],
)
def test_the_restart_policy_counts(policy: str, phase: str, text: str) -> None:
    async def scenario(site: Site) -> None:
        spec = f"{probed(liveness=', failureThreshold: 1')}, restartPolicy: {policy}"
        await site.create(spec, annotations={FAILING: "liveness"})
        await asyncio.sleep(5)
        assert await site.phase() == phase
        assert text in await messages(site, "Killing")

    on_a_node(scenario)


def test_other_probes_wait_for_the_startup_probe() -> None:
    async def scenario(site: Site) -> None:
        spec = probed(
            startup=", periodSeconds: 10, failureThreshold: 30",
            liveness=", periodSeconds: 1",
            readiness=", periodSeconds: 100",
        )
        await site.create(spec, annotations={FAILING: "startup,liveness"})
        await site.until("Running")
        await asyncio.sleep(35)
        container = await site.container()
        assert (container["started"], container["ready"], container["restartCount"]) == (False, False, 0)
        await failing(site, None)
        await asyncio.sleep(6)
        # Readiness is asked as soon as it has started up.
        container = await site.container()
        assert (container["started"], container["ready"]) == (True, True)

    on_a_node(scenario)


def test_a_sidecar_lets_the_next_begin_when_it_has_started_up() -> None:
    async def scenario(site: Site) -> None:
        sidecar = f"{{name: side, restartPolicy: Always, startupProbe: {{{EXEC}, failureThreshold: 99}}}}"
        await site.create(
            f"initContainers: [{sidecar}], containers: [{{name: main}}]", annotations={FAILING: "startup"}
        )
        await asyncio.sleep(30)
        assert (await site.container())["state"] == {"waiting": {"reason": "PodInitializing"}}
        await failing(site, None)
        await site.until("Running")

    on_a_node(scenario)


def test_a_ready_pod_stays_ready_when_kubelet_restarts() -> None:
    async def scenario(site: Site) -> None:
        spec = probed(startup=", periodSeconds: 3", readiness=", initialDelaySeconds: 60", liveness="")
        await site.create(spec)
        await asyncio.sleep(90)
        before = await site.pod()
        site.kubelet.restart(down_s=5)
        await asyncio.sleep(60)
        assert await site.pod() == before

    on_a_node(scenario)


def test_a_pod_that_ends_is_not_ended_by_its_probes() -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(liveness=", periodSeconds: 1, failureThreshold: 1"))
        await site.until("Running")
        await failing(site, "liveness")
        await site.client.delete(PODS, "p", "default")
        await site.until("")
        assert await messages(site, "Unhealthy") == []
        assert await messages(site, "Killing") == ["Stopping container main"]

    on_a_node(scenario)


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ("tcpSocket: {port: web}", "port web not found"),
        ("httpGet: {port: web}", "port web not found"),
    ],
)
def test_a_probe_that_cannot_be_made_says_so(action: str, complaint: str) -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"containers: [{{name: main, livenessProbe: {{{action}, periodSeconds: 1}}}}]")
        await asyncio.sleep(10)
        text = f"Liveness probe errored and resulted in unknown state: {complaint}"
        assert await messages(site, "Unhealthy") == [text]
        assert (await site.container())["restartCount"] == 0

    on_a_node(scenario)


def test_no_probe_outlives_its_pod() -> None:
    async def scenario(site: Site) -> None:
        tasks_before = len(asyncio.all_tasks())
        await site.create(probed(readiness="", liveness="", startup=""))
        await site.until("Running")
        await site.client.delete(PODS, "p", "default")
        await site.until("")
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == tasks_before

    on_a_node(scenario)


@pytest.mark.parametrize(("together_s", "writes"), [(0.0, 2), (0.3, 1)])
def test_a_pod_that_is_ready_at_once_is_told_in_one_write(together_s: float, writes: int) -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(readiness=", periodSeconds: 5"))
        await site.until("Running")
        await asyncio.sleep(1)
        assert await ready(site) == (True, "True")
        assert site.faults.writes("pods/p/status") == writes
        await site.client.delete(PODS, "p", "default")
        assert await site.until("") < 40

    on_a_node(scenario, together_s=together_s)


def test_a_look_before_the_write_makes_no_other_status() -> None:
    async def scenario(site: Site) -> None:
        await site.create(probed(readiness=", periodSeconds: 5"))
        began = site.clock.now()
        await asyncio.sleep(2.5)
        await failing(site, "none")
        await site.until("Running")
        await asyncio.sleep(10)
        assert site.faults.writes("pods/p/status") == 1
        times = {
            c["type"]: parse_rfc3339(c["lastTransitionTime"]) for c in (await site.status())["conditions"]
        }
        assert times["Ready"] - began < 1

    on_a_node(scenario, together_s=5)
