"""The command against an API in memory."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.cli.partition import history
from aliquot.clock import SystemClock
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.partition.history_file import parse
from aliquot.partition.training import Stay
from tests.partition.boards import states
from tests.scheduler.fake_api import FakeApi, Json, World, simulate

H100 = [profile.name for profile in states().profiles]


def pod(name: str, resource: str, **status: Any) -> Json:
    containers = [{"name": "main", "resources": {"limits": {resource: "1"}}}]
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"containers": containers},
        "status": status,
    }


def gpu_node(name: str, board: str) -> Json:
    gpu = {
        "uuid": f"{name}-0",
        "index": 0,
        "product": "A GPU",
        "board": board,
        "memoryMib": 1,
        "migMode": "Enabled",
    }
    return {"metadata": {"name": name}, "status": {"gpus": [gpu]}}


ENDED = {
    "phase": "Succeeded",
    "startTime": "2026-01-01T00:00:00Z",
    "containerStatuses": [
        {"name": "main", "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:01:00Z"}}}
    ],
}


def run(
    monkeypatch: pytest.MonkeyPatch, into: Path, boards: tuple[str, ...], *arguments: str
) -> tuple[int, str]:
    @asynccontextmanager
    async def connect(*_: object) -> AsyncIterator[Client]:
        api = FakeApi()
        for number, board in enumerate(boards):
            api.put("gpunodes", gpu_node(f"n{number}", board))
        api.put("pods", pod("done", "nvidia.com/mig-2g.20gb", **ENDED))
        api.put("pods", pod("waits", "nvidia.com/mig-7g.80gb", phase="Pending"))
        api.put("pods", pod("whole", "nvidia.com/gpu", phase="Pending"))
        yield Client(
            AsgiTransport(api, "system:serviceaccount:notes"), clock=SystemClock(), rng=random.Random(1)
        )

    monkeypatch.setattr(history, "connect", connect)
    result = CliRunner().invoke(cli, ["partition", "history", "--into", str(into), *arguments])
    return result.exit_code, result.output.replace(f"{into.parent}/", "")


def test_what_is_there_is_noted_beside_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "history.json"
    into.write_text("history: [{profile: 1g.10gb, stayed: 5, uid: before, ended: false}]")
    code, text = run(monkeypatch, into, ("h100-80gb", "h100-80gb"))
    told = "history.json: 3 slices that pods asked for: 1 ended, 1 wait, 1 gone, unseen"
    assert (code, text.splitlines()[0]) == (0, told)
    assert "not seen: pods that were deleted before" in text
    expected = [Stay(0, 5, ended=False), Stay(2, 60), Stay(5, 0, ended=False)]
    assert parse(into.read_text(), H100, source="f") == expected
    first = into.read_bytes()
    assert run(monkeypatch, into, (), "--board", "h100-80gb")[0] == 0
    assert into.read_bytes() == first


@pytest.mark.parametrize(
    ("boards", "arguments", "message"),
    [
        ((), (), "no GPUNode names a board: say with --board whose slices are meant"),
        (("h100-80gb", "a30-24gb"), (), "the GPUs are a30-24gb, h100-80gb: say with --board"),
        (("l4",), (), "board 'l4' has no MIG placements"),
        ((), ("--board", "h100"), "unknown board 'h100'; did you mean"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    boards: tuple[str, ...],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    code, text = run(monkeypatch, tmp_path / "history.json", boards, *arguments)
    assert code == 1 and message in text and len(text.splitlines()) == 1
    assert not (tmp_path / "history.json").exists()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "history.json"
    into.write_text("{}")
    code, text = run(monkeypatch, into, ("h100-80gb",))
    assert code == 1 and "history.json:1" in text and into.read_text() == "{}"


def test_who_follows_sees_pods_end_that_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "history.json"

    async def scenario(world: World) -> None:
        @asynccontextmanager
        async def connect(*_: object) -> AsyncIterator[Client]:
            yield world.client()

        monkeypatch.setattr(history, "connect", connect)
        runs = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
        world.api.put("pods", pod("first", "nvidia.com/mig-1g.10gb", **runs))
        following = asyncio.create_task(history._note(into, "h100-80gb", True, None, None))
        await asyncio.sleep(1)
        assert [stay.ended for stay in parse(into.read_text(), H100, source="f")] == [False]
        world.api.delete("pods", "default/first")
        await asyncio.sleep(10)
        assert [stay.ended for stay in parse(into.read_text(), H100, source="f")] == [True]
        # What came just before it is stopped is written too.
        world.api.put("pods", pod("second", "nvidia.com/mig-7g.80gb", phase="Pending"))
        await asyncio.sleep(1)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        ended = [(stay.profile, stay.ended) for stay in parse(into.read_text(), H100, source="f")]
        assert ended == [(0, True), (5, False)]

    simulate(scenario)
