"""NVIDIA's program, in whose place a script stands."""

from pathlib import Path

import pytest

from aliquot.node.mps.control import ControlError, NvidiaControl, environment

ABOUT = environment("GPU-1", Path("/run/mps/GPU-1/pipe"), Path("/run/mps/GPU-1/log"))


def program(folder: Path, script: str) -> NvidiaControl:
    path = folder / "nvidia-cuda-mps-control"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return NvidiaControl()


async def test_a_daemon_is_started_for_its_device_and_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = program(
        tmp_path,
        f'echo "$1 $CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_LOG_DIRECTORY" > {tmp_path}/said',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    await control.start(ABOUT)
    assert (tmp_path / "said").read_text() == "-d GPU-1 /run/mps/GPU-1/pipe /run/mps/GPU-1/log\n"


async def test_a_question_goes_in_and_its_answer_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = program(tmp_path, 'read command; echo "$command"; echo 12')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert await control.ask(ABOUT, "get_server_list") == "get_server_list\n12"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'Cannot find MPS control daemon process'; exit 1", "Cannot find MPS control daemon process"),
        ("echo one >&2; echo two >&2; exit 2", "one"),
        ("exit 3", "nvidia-cuda-mps-control ended with 3"),
    ],
)
async def test_what_it_complains_of_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    control = program(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ControlError) as refused:
        await control.ask(ABOUT, "quit")
    assert str(refused.value) == message


async def test_without_the_program_there_is_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ControlError, match="nvidia-cuda-mps-control: No such file"):
        await NvidiaControl().start(ABOUT)


async def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aliquot.node.mps.control._ANSWER_S", 0.2)
    control = program(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ControlError, match="does not answer within"):
        await control.ask(ABOUT, "quit")
