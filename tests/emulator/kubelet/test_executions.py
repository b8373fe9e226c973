"""Commands beside a container's own, as real processes."""

import asyncio
import os
from pathlib import Path

import pytest

from aliquot.emulator.kubelet.runtimes.executions import Executed, execute
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.kubelet.runtimes.shim import resolve
from aliquot.emulator.streaming.session import CannotExecute, Execution, Output, Session
from tests.emulator.kubelet.test_process_runtime import at_work, make, shell


def run(directory: Path, script: str, *, stdin: bool = False, tty: bool = False) -> Executed:
    env = {"PATH": os.environ["PATH"], "WORD": "secret"}
    return execute(resolve(("sh", "-c", script), env, directory), stdin=stdin, tty=tty)


async def all_of(session: Session) -> tuple[dict[Output, bytes], int]:
    """(what it printed, exit code)"""
    printed: dict[Output, bytes] = {}
    async for kind, data in session.output():
        printed[kind] = printed.get(kind, b"") + data
    code = await session.ended()
    await session.leave()
    return printed, code


@pytest.mark.parametrize(
    ("script", "printed", "code"),
    [
        ("echo $WORD; pwd", {Output.STDOUT: "secret\n{}\n"}, 0),
        ("echo out; echo err >&2; exit 3", {Output.STDOUT: "out\n", Output.STDERR: "err\n"}, 3),
        ("kill -9 $$", {}, 137),
        ("cat", {}, 0),
    ],
)
async def test_a_command_with_pipes(
    tmp_path: Path, script: str, printed: dict[Output, str], code: int
) -> None:
    expected = {kind: text.format(tmp_path).encode() for kind, text in printed.items()}
    assert await all_of(run(tmp_path, script)) == (expected, code)


async def test_more_than_a_pipe_holds_goes_through_it(tmp_path: Path) -> None:
    session = run(tmp_path, "cat", stdin=True)
    sent = b"0123456789" * 100_000

    async def type_all() -> None:
        await session.write(sent)
        session.close_input()

    typing = asyncio.create_task(type_all())
    assert await all_of(session) == ({Output.STDOUT: sent}, 0)
    await typing


async def test_a_terminal_has_a_size_and_answers_the_keys(tmp_path: Path) -> None:
    session = run(tmp_path, "read -r word; stty size; echo $TERM $word; tty -s", tty=True)
    session.resize(100, 30)
    await session.write(b"hi\n")
    printed, code = await all_of(session)
    # What is typed is echoed; lines end as a terminal ends them.
    assert (printed[Output.STDOUT], code) == (b"hi\r\n30 100\r\nxterm hi\r\n", 0)


async def test_ctrl_c_interrupts_what_runs_on_a_terminal(tmp_path: Path) -> None:
    session = run(tmp_path, "echo ready; exec sleep 1000", tty=True)
    output = session.output()
    assert await anext(output) == (Output.STDOUT, b"ready\r\n")
    await session.write(b"\x03")
    assert [data async for _, data in output] == [b"^C"]
    assert await session.ended() == 130
    await session.leave()


@pytest.mark.parametrize("tty", [False, True])
async def test_who_leaves_leaves_nothing_running(tmp_path: Path, tty: bool) -> None:
    session = run(tmp_path, "echo ready; exec sleep 1000", tty=tty)
    await anext(session.output())
    await session.leave()
    assert await session.ended() == 137


async def started(runtime: ProcessRuntime, container: str, *command: str) -> Session:
    return await runtime.exec(container, Execution(command))()


async def test_a_command_has_its_containers_environment_and_directory(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("exec sleep 1000", env={"WORD": "of the container"}))
        printed, code = await all_of(await started(runtime, record.id, "sh", "-c", "echo $WORD; pwd"))
        word, directory = printed[Output.STDOUT].decode().splitlines()
        assert (word, Path(directory).name, code) == ("of the container", "work", 0)


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("exec sleep 1000"))
        with pytest.raises(CannotExecute, match=r'exec: "nonsense": executable file not found in \$PATH'):
            await started(runtime, record.id, "nonsense")


async def test_the_end_of_a_container_is_that_of_the_commands_beside_it(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("exec sleep 1000"))
        session = await started(runtime, record.id, "sleep", "1000")
        runtime.stop(record.id, 0)
        assert await all_of(session) == ({}, 137)
