"""A fleet that is asked from another process answers as one that is beside the API server."""

import asyncio

import pytest

from aliquot.clock import VirtualClock
from aliquot.emulator.kubelet.remote_fleet import FleetApplication, RemoteFleet
from aliquot.emulator.streaming.session import Execution, Output, SessionRefused
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from aliquot.kube.asgi_transport import AsgiTransport
from tests.emulator.kubelet.conftest import virtual
from tests.emulator.kubelet.test_fleet import Cluster, cluster

POD = "nodeName: a, restartPolicy: Never, containers: [{name: main}]"


def remote(made: Cluster) -> tuple[RemoteFleet, AsgiTransport]:
    transport = AsgiTransport(FleetApplication(made.fleet).app, "apiserver")
    return RemoteFleet(transport), transport


def test_logs_come_through_and_so_do_refusals() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            fleet, transport = remote(made)
            pod = await made.create(POD, "p", annotations={"aliquot.dev/run-for": "3s"})
            await made.until(p="Running")
            options = LogOptions("main", follow=True, since=0.0)
            pieces = [piece async for piece in fleet.logs(pod, options)]
            assert b"".join(pieces).decode() == (
                "simulated container main, image image:1, attempt 0\nended with exit code 0\n"
            )
            for asked, wanted, words in (
                (
                    pod,
                    LogOptions("main", previous=True),
                    'previous terminated container "main" in pod "p" not found',
                ),
                (
                    pod | {"metadata": pod["metadata"] | {"uid": "other"}},
                    options,
                    'does not know pod "p" yet',
                ),
                (pod | {"spec": {"nodeName": "c"}}, options, 'node "c" is not emulated here'),
            ):
                with pytest.raises(LogsUnavailable, match=words):
                    await anext(fleet.logs(asked, wanted))
            await transport.close()

    virtual(scenario())


def test_who_stops_reading_a_log_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            fleet, transport = remote(made)
            pod = await made.create(POD, "p")
            await made.until(p="Running")
            reading = fleet.logs(pod, LogOptions("main", follow=True))
            assert (await anext(reading)).startswith(b"simulated container main")
            before = len(asyncio.all_tasks())
            await reading.aclose()
            await asyncio.sleep(1)
            assert len(asyncio.all_tasks()) < before
            await transport.close()

    virtual(scenario())


def test_sessions_are_watched_and_commands_refused() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            fleet, transport = remote(made)
            pod = await made.create(POD, "p", annotations={"aliquot.dev/run-for": "3s"})
            await made.until(p="Running")
            for container, code, words in (
                ("main", 501, "simulated containers run no commands"),
                ("other", 404, r'container not found \("other"\)'),
            ):
                with pytest.raises(SessionRefused, match=words) as refused:
                    await fleet.exec(pod, container, Execution(("ls",)))
                assert refused.value.code == code
            session = await (await fleet.attach(pod, "main", stdin=False))()
            assert [said async for said in session.output()] == [(Output.STDOUT, b"ended with exit code 0\n")]
            assert await session.ended() == 0
            await session.leave()
            with pytest.raises(SessionRefused, match=r'container not found \("main"\)'):
                await fleet.attach(pod, "main", stdin=False)
            await transport.close()
            with pytest.raises(SessionRefused, match="the nodes cannot be asked"):
                await fleet.attach(pod, "main", stdin=False)

    virtual(scenario())
