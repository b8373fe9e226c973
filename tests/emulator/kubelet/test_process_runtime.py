"""Containers as real processes."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import SystemClock, parse_rfc3339
from aliquot.emulator.kubelet.checkpoint import CONTAINERS, CheckpointDirectory
from aliquot.emulator.kubelet.runtimes.base import (
    ContainerConfig,
    ContainerRecord,
    DeviceNode,
    LogOptions,
    RunOptions,
    StartRefused,
)
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime

DEADLINE_S = 30.0


def make(directory: Path, seed: int = 1, **options: Any) -> ProcessRuntime:
    return ProcessRuntime(
        directory / "pods",
        CheckpointDirectory(directory),
        clock=SystemClock(),
        rng=random.Random(seed),
        **options,
    )


@asynccontextmanager
async def at_work(runtime: ProcessRuntime, *, leave: bool = False) -> AsyncIterator[asyncio.Event]:
    """Yields an event set at each exit. Ends all processes at the end, unless they are to be left."""
    told = asyncio.Event()
    task = asyncio.create_task(runtime.run(lambda uid: told.set()))
    await asyncio.sleep(0)
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not leave:
            await runtime.shutdown()


def shell(script: str, **options: Any) -> ContainerConfig:
    return config(("sh", "-c", script), **options)


def config(command: tuple[str, ...], *, attempt: int = 0, **options: Any) -> ContainerConfig:
    return ContainerConfig(
        pod_uid="uid-p",
        pod_namespace="ns",
        pod_name="p",
        name="main",
        attempt=attempt,
        image="image:1",
        command=command,
        **options,
    )


async def ended(runtime: ProcessRuntime, container_id: str, told: asyncio.Event) -> ContainerRecord:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            told.clear()
            record = next(r for r in runtime.containers("uid-p") if r.id == container_id)
            if not record.running:
                return record
            await told.wait()


async def outcome(runtime: ProcessRuntime, wanted: ContainerConfig) -> tuple[ContainerRecord, str]:
    """How it ended, and what it printed."""
    async with at_work(runtime) as told:
        record = await ended(runtime, (await runtime.start(wanted)).id, told)
    return record, await text(runtime, record.id)


async def text(runtime: ProcessRuntime, container_id: str, **options: Any) -> str:
    return b"".join([chunk async for chunk in runtime.logs(container_id, LogOptions(**options))]).decode()


async def printed(runtime: ProcessRuntime, container_id: str, words: str) -> None:
    """Wait until the log has `words`."""
    async with asyncio.timeout(DEADLINE_S):
        while words not in await text(runtime, container_id):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def shim_pid(directory: Path) -> int:
    """Of the one container that was started below `directory`."""
    (file,) = (directory / "pods").rglob("*.pid")
    return int(file.read_text())


async def gone(pid: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while alive(pid):  # noqa: ASYNC110 - nor does somebody else's child
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "code", "reason", "output"),
    [
        ("echo hello", 0, "Completed", "hello\n"),
        ("echo out; echo err >&2; exit 3", 3, "Error", "out\nerr\n"),
        ("kill -KILL $$", 137, "Error", ""),
        ("printf no-newline", 0, "Completed", "no-newline\n"),
    ],
)
async def test_exit_codes_and_logs_are_real(
    tmp_path: Path, script: str, code: int, reason: str, output: str
) -> None:
    record, log = await outcome(make(tmp_path), shell(script))
    assert (record.exit_code, record.reason, log) == (code, reason, output)
    assert record.finished_at is not None
    assert record.finished_at >= record.started_at


async def test_arguments_arrive_as_they_are(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; print(sys.argv[1:])")
    _, log = await outcome(make(tmp_path), config(command, args=("a b", "$HOME", "'", "--")))
    assert log == "['a b', '$HOME', \"'\", '--']\n"


async def test_a_shell_s_word_is_not_a_command(tmp_path: Path) -> None:
    record, _ = await outcome(make(tmp_path), config(("exit", "3")))
    assert (record.exit_code, record.reason) == (128, "StartError")
    assert record.message == 'exec: "exit": executable file not found in $PATH'


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (config(("no-such-command",)), 'exec: "no-such-command": executable file not found in $PATH'),
        (config(("/no/such/file",)), 'exec: "/no/such/file": executable file not found in $PATH'),
        (shell("true", working_dir="/no/such"), 'chdir to cwd ("/no/such") failed: no such directory'),
        (
            shell("true", options=RunOptions(devices=(DeviceNode("/dev/absent", "/dev/x", "rw"),))),
            'error gathering device information while adding custom device "/dev/absent": no such file or directory',
        ),
    ],
)
async def test_what_cannot_be_run_has_ended_at_once(
    tmp_path: Path, wanted: ContainerConfig, message: str
) -> None:
    record = await make(tmp_path).start(wanted)
    assert (record.running, record.exit_code, record.reason, record.message) == (
        False,
        128,
        "StartError",
        message,
    )


async def test_a_container_without_a_command_is_refused(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    with pytest.raises(StartRefused, match="runs commands, not images: give container main a command"):
        await runtime.start(config(()))
    assert runtime.pods() == ()


async def test_the_environment_is_the_pod_s_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBELETS_SECRET", "do not show")
    monkeypatch.setenv("OLDPWD", "/elsewhere")
    wanted = config(("env",), env={"IT": "works", "LANG": "C"})
    _, log = await outcome(make(tmp_path, base_env={"CLUSTER": "test"}), wanted)
    assert dict(line.split("=", 1) for line in log.splitlines()) == {
        "CLUSTER": "test",
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": str(tmp_path / "pods" / "uid-p" / "work"),
        "HOSTNAME": "p",
        "IT": "works",
        "LANG": "C",
        "PATH": os.environ["PATH"],
    }


@pytest.mark.parametrize(
    ("options", "env", "visible"),
    [
        (RunOptions(), {}, ""),
        (RunOptions(env={"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}), {}, "GPU-1,GPU-2"),
        (
            RunOptions(env={"NVIDIA_VISIBLE_DEVICES": "void"}, cdi_devices=("nvidia.com/gpu=GPU-3",)),
            {},
            "GPU-3",
        ),
        (RunOptions(env={"NVIDIA_VISIBLE_DEVICES": "MIG-1"}), {"CUDA_VISIBLE_DEVICES": "own"}, "own"),
    ],
    ids=["none given", "given", "given by CDI", "the pod knows better"],
)
async def test_a_process_sees_the_devices_it_was_given(
    tmp_path: Path, options: RunOptions, env: dict[str, str], visible: str
) -> None:
    wanted = shell('echo "[$CUDA_VISIBLE_DEVICES]"', options=options, env=env)
    _, log = await outcome(make(tmp_path), wanted)
    assert log == f"[{visible}]\n"


async def test_each_pod_works_in_a_directory_of_its_own(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    _, log = await outcome(runtime, shell("pwd; touch file"))
    work = tmp_path / "pods" / "uid-p" / "work"
    assert log == f"{work}\n"
    assert (work / "file").exists()


async def test_a_working_directory_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "run.sh").chmod(0o755)
    _, log = await outcome(make(tmp_path), config(("./run.sh",), working_dir=str(tmp_path)))
    assert log == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("script", "grace_s", "code", "last_words"),
    [
        ("echo up; exec sleep 600", 60.0, 143, ""),
        ("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done", 60.0, 7, "bye\n"),
        ("trap '' TERM; echo up; while :; do sleep 0.05; done", 0.2, 137, ""),
    ],
    ids=["ends by SIGTERM", "takes its leave", "ignores it and is killed"],
)
async def test_stopping(tmp_path: Path, script: str, grace_s: float, code: int, last_words: str) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime) as told:
        record = await runtime.start(shell(script))
        await printed(runtime, record.id, "up")
        runtime.stop(record.id, grace_s)
        assert (await ended(runtime, record.id, told)).exit_code == code
    assert (await text(runtime, record.id)).removeprefix("up\n") == last_words


async def test_a_shorter_grace_period_counts(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime) as told:
        record = await runtime.start(shell("trap '' TERM; echo up; while :; do sleep 0.05; done"))
        await printed(runtime, record.id, "up")
        runtime.stop(record.id, 3600.0)
        runtime.stop(record.id, 0.0)
        assert (await ended(runtime, record.id, told)).exit_code == 137


LEAVES_ITS_SESSION = "setsid sh -c 'sleep 600 & echo $!; wait' &"
IS_AN_ORPHAN_TOO = f"(({LEAVES_ITS_SESSION}) &) ; sleep 0.1"


@pytest.mark.parametrize(
    "script", ["sleep 600 & echo $!", LEAVES_ITS_SESSION + " sleep 0.2", IS_AN_ORPHAN_TOO]
)
async def test_what_a_container_leaves_running_ends_with_it(tmp_path: Path, script: str) -> None:
    runtime = make(tmp_path)
    os.mkfifo(tmp_path / "go")
    async with at_work(runtime) as told:
        record = await runtime.start(shell(f"{script}; read word < {tmp_path}/go"))
        await printed(runtime, record.id, "\n")
        pid = int(await text(runtime, record.id))
        assert alive(pid)
        runtime.stop(record.id, 0.0)
        assert (await ended(runtime, record.id, told)).exit_code in (137, 143)
        # No waiting: when the container has ended, so has everything.
        assert not alive(pid)


async def test_a_command_goes_when_its_shim_is_killed(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime) as told:
        record = await runtime.start(shell("echo $$; exec sleep 600"))
        await printed(runtime, record.id, "\n")
        os.kill(shim_pid(tmp_path), signal.SIGKILL)
        assert (await ended(runtime, record.id, told)).exit_code == 137
        await gone(int(await text(runtime, record.id)))


async def test_a_file_that_cannot_be_executed_was_never_started(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    # Known when `start` returns, so that nobody announces a start.
    record = await make(tmp_path).start(config((str(script),)))
    assert not record.running
    assert (record.exit_code, record.reason) == (128, "StartError")
    assert record.message == f'exec: "{script}": no such file or directory'


async def test_what_kubelet_must_know_of_a_container_is_for_its_owner_s_eyes(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    await outcome(runtime, shell("true", env={"PASSWORD": "secret"}))
    files = [file for file in (tmp_path / "pods").rglob("*") if file.is_file()]
    telling = [file for file in files if b"secret" in file.read_bytes()]
    assert [oct(file.stat().st_mode & 0o777) for file in telling] == ["0o600"]


# Logs.


async def test_a_log_is_followed_to_the_end(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("echo one; sleep 0.3; echo two; sleep 0.3; echo three"))
        async with asyncio.timeout(DEADLINE_S):
            assert await text(runtime, record.id, follow=True) == "one\ntwo\nthree\n"
            assert await text(runtime, record.id, follow=True, limit_bytes=6) == "one\ntw"
            assert await text(runtime, record.id, follow=True, tail_lines=1) == "three\n"


FIVE_LINES = "for n in 1 2 3 4 5; do echo line $n; sleep 0.01; done"


@pytest.mark.parametrize(
    ("options", "output"),
    [
        ({"tail_lines": 2}, "line 4\nline 5\n"),
        ({"tail_lines": 0}, ""),
        ({"tail_lines": 9}, "line 1\nline 2\nline 3\nline 4\nline 5\n"),
        ({"limit_bytes": 6}, "line 1"),
        ({"tail_lines": 2, "limit_bytes": 8}, "line 4\nl"),
    ],
)
async def test_a_part_of_a_log(tmp_path: Path, options: dict[str, int], output: str) -> None:
    runtime = make(tmp_path)
    record, _ = await outcome(runtime, shell(FIVE_LINES))
    assert await text(runtime, record.id, **options) == output


async def test_each_line_has_its_own_time(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    record, _ = await outcome(runtime, shell(FIVE_LINES))
    stamped = (await text(runtime, record.id, timestamps=True)).splitlines()
    times = [parse_rfc3339(line.partition(" ")[0]) for line in stamped]
    assert [line.partition(" ")[2] for line in stamped] == [f"line {n}" for n in range(1, 6)]
    assert times == sorted(set(times))
    assert await text(runtime, record.id, since=times[3]) == "line 4\nline 5\n"
    assert await text(runtime, record.id, since=times[4] + 1) == ""


async def test_the_tail_of_a_long_log(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    record, _ = await outcome(runtime, shell("seq 1 30000"))
    assert await text(runtime, record.id) == "".join(f"{n}\n" for n in range(1, 30001))
    assert await text(runtime, record.id, tail_lines=20000) == "".join(f"{n}\n" for n in range(10001, 30001))


async def test_a_line_of_any_length_comes_out_whole(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    record, log = await outcome(runtime, shell("printf '%0100000d\\n' 7; printf '%05000d' 8"))
    assert log == f"{7:0100000d}\n{8:05000d}\n"
    stamped = await text(runtime, record.id, timestamps=True)
    assert [len(line) for line in stamped.splitlines()] == [100000 + 31, 5000 + 31]


# Over restarts.


async def leave_behind(tmp_path: Path, script: str) -> ContainerRecord:
    """A container of a runtime that is no more, as its process was killed."""
    runtime = make(tmp_path)
    async with at_work(runtime, leave=True):
        record = await runtime.start(shell(script))
        await printed(runtime, record.id, "up")
    return record


async def test_a_process_is_found_again(tmp_path: Path) -> None:
    left = await leave_behind(tmp_path, "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done")
    runtime = make(tmp_path, seed=2)
    async with at_work(runtime) as told:
        assert runtime.containers("uid-p") == [left]
        runtime.stop(left.id, 60.0)
        assert (await ended(runtime, left.id, told)).exit_code == 9


async def test_an_end_that_nobody_saw_is_known(tmp_path: Path) -> None:
    left = await leave_behind(tmp_path, "echo up; sleep 0.3; exit 5")
    await gone(shim_pid(tmp_path))
    (record,) = make(tmp_path, seed=2).containers("uid-p")
    assert (record.id, record.exit_code, record.running) == (left.id, 5, False)


async def test_a_process_killed_while_nobody_looked(tmp_path: Path) -> None:
    await leave_behind(tmp_path, "echo up; sleep 600")
    pid = shim_pid(tmp_path)
    os.killpg(pid, signal.SIGKILL)
    await gone(pid)
    (record,) = make(tmp_path, seed=2).containers("uid-p")
    assert (record.exit_code, record.reason) == (137, "Error")


async def test_another_process_of_the_same_pid_is_not_ours(tmp_path: Path) -> None:
    await leave_behind(tmp_path, "echo up; sleep 600")
    file = next((tmp_path / "pods").rglob("*.pid"))
    os.killpg(int(file.read_text()), signal.SIGKILL)
    with subprocess.Popen(["sleep", "600"]) as bystander:  # noqa: ASYNC220
        file.write_text(str(bystander.pid))
        runtime = make(tmp_path, seed=2)
        assert not runtime.containers("uid-p")[0].running
        async with at_work(runtime):
            pass
        assert bystander.poll() is None
        bystander.kill()


async def test_processes_survive_the_kubelet_that_is_killed(tmp_path: Path) -> None:
    """The whole of it: another Python process starts the container, and is killed."""
    program = (
        "import asyncio, random, sys; from pathlib import Path\n"
        "from tests.emulator.kubelet.test_process_runtime import at_work, make, printed, shell\n"
        "async def main():\n"
        "    runtime = make(Path(sys.argv[1]))\n"
        "    async with at_work(runtime, leave=True):\n"
        "        record = await runtime.start(shell('echo up; sleep 0.5; echo still here; exit 4'))\n"
        "        await printed(runtime, record.id, 'up'); print('started', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as kubelet:  # noqa: ASYNC220
        assert kubelet.stdout is not None
        assert kubelet.stdout.readline() == b"started\n"
        kubelet.kill()
    runtime = make(tmp_path, seed=2)
    async with at_work(runtime) as told:
        (found,) = runtime.containers("uid-p")
        record = await ended(runtime, found.id, told)
    assert record.exit_code == 4
    assert await text(runtime, record.id) == "up\nstill here\n"


async def test_a_reboot_kills_and_says_so(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("echo $$; exec sleep 600"))
        await printed(runtime, record.id, "\n")
        pid = int(await text(runtime, record.id))
        before = runtime.boot_id
        runtime.reboot()
        (found,) = runtime.containers("uid-p")
        assert (found.exit_code, found.reason, found.boot_id) == (255, "Unknown", before)
        assert runtime.boot_id != before
        await gone(pid)


async def test_the_machine_s_own_reboot_is_noticed(tmp_path: Path) -> None:
    await leave_behind(tmp_path, "echo up; sleep 600")
    os.killpg(shim_pid(tmp_path), signal.SIGKILL)
    checkpoints = CheckpointDirectory(tmp_path)
    memory = checkpoints.load(CONTAINERS)
    assert memory is not None
    checkpoints.save(CONTAINERS, memory | {"machineBootId": "an earlier one"})
    runtime = make(tmp_path, seed=2)
    (record,) = runtime.containers("uid-p")
    assert (record.exit_code, record.reason) == (255, "Unknown")
    assert record.boot_id != runtime.boot_id


async def test_shutting_down_leaves_no_process(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    async with at_work(runtime):
        record = await runtime.start(shell("echo $$; exec sleep 600"))
        await printed(runtime, record.id, "\n")
    await gone(int(await text(runtime, record.id)))


async def test_a_removed_pod_leaves_nothing(tmp_path: Path) -> None:
    runtime = make(tmp_path)
    first, _ = await outcome(runtime, shell("true"))
    second, _ = await outcome(runtime, shell("true", attempt=1))
    runtime.remove(first.id)
    assert [record.attempt for record in runtime.containers("uid-p")] == [1]
    runtime.remove(second.id)
    assert list((tmp_path / "pods").iterdir()) == []
    assert make(tmp_path, seed=2).pods() == ()
