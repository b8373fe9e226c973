import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aliquot.cli.state import SIMULATED_GPUS, Running, StateDirectory, StateError
from aliquot.gpu.driver import MigState
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.kubeletapi.sockets import MAX_PATH_BYTES


def test_only_one_process_holds_a_state_directory(tmp_path: Path) -> None:
    first, second = StateDirectory(tmp_path / "s"), StateDirectory(tmp_path / "s")
    assert second.holder() is None
    with first.held():
        assert second.holder() == os.getpid()
        said = rf"in use by process {os.getpid()}; .*aliquot down --state"
        with pytest.raises(StateError, match=said), second.held():
            pass
        assert second.holder() == os.getpid(), "asking and being refused leave the lock where it is"
    assert second.holder() is None
    with second.held():
        pass


def test_a_child_that_inherits_the_lock_goes_on_holding_it(tmp_path: Path) -> None:
    """No moment in between in which a third process could take it."""
    program = (
        "import os, sys; from pathlib import Path; from aliquot.cli.state import StateDirectory\n"
        "with StateDirectory(Path(sys.argv[1])).held(int(sys.argv[2])) as lock:\n"
        "    print(os.get_inheritable(lock), flush=True); sys.stdin.read()"
    )
    state = StateDirectory(tmp_path)
    with state.held() as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[lock],
        )
    assert child.stdout is not None
    assert child.stdout.readline() == "False\n", "what the child starts does not hold it"
    assert state.holder() == child.pid
    child.communicate()
    assert state.holder() is None


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left on device; free some space, or choose another with --state DIR"),
        (errno.EROFS, "Read-only file system; choose another with --state DIR"),
    ],
)
def test_a_directory_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(StateError) as caught, StateDirectory(tmp_path).held():
        pass
    assert str(caught.value.format_message()) == f"{tmp_path}: {said}"


def test_a_holder_without_an_id_is_refused_by_name(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with state.held():
        (tmp_path / "lock").write_text("")
        with pytest.raises(StateError, match=r"lock: held by a process that did not write its id"):
            state.holder()


def test_what_runs_is_told(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    assert state.running() is None
    running = Running(
        pid=1, server="https://127.0.0.1:1", ready=True, nodes=3, joined_by="memory", runtime="simulated"
    )
    state.write_running(running)
    assert state.running() == running


def test_a_broken_status_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(StateError, match=r"cluster\.json: unreadable .*delete it"):
        StateDirectory(tmp_path).running()


def test_the_line_for_a_shell_is_quoted(tmp_path: Path) -> None:
    assert StateDirectory(tmp_path / "a b").export == f"export KUBECONFIG='{tmp_path}/a b/kubeconfig'"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StateError, match=r"choose another with --state"),
        StateDirectory(tmp_path / "file" / "s").held(),
    ):
        pass


@pytest.mark.parametrize("node", ["node-0", "n" * 63])
def test_a_kubelet_directory_has_a_short_private_path(tmp_path: Path, node: str) -> None:
    state = StateDirectory(tmp_path / ("x" * 150))
    path = state.kubelet_directory(node)
    longest = path / "device-plugins" / "aliquot-mig-1g.10gb.me.shared.sock"
    assert len(os.fsencode(longest)) <= MAX_PATH_BYTES
    assert path.parent.stat().st_mode & 0o077 == 0
    assert state.kubelet_directory(node) == path
    state.remove_sockets()
    assert not path.parent.exists()


def test_long_names_that_begin_alike_have_directories_of_their_own(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    assert state.kubelet_directory("n" * 62 + "a") != state.kubelet_directory("n" * 62 + "b")
    state.remove_sockets()


def test_an_agent_from_elsewhere_finds_the_same_gpus(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    link = state.kubelet_directory("a") / SIMULATED_GPUS
    state.gpus("a").parent.mkdir(parents=True)
    theirs = SimulatedDriver(parse_gpus("h100-80gb"), node="a", state_file=link)
    theirs.set_mig_mode(theirs.gpus()[0].uuid, True)
    ours = SimulatedDriver(parse_gpus("h100-80gb"), node="a", state_file=state.gpus("a"))
    assert [gpu.mig for gpu in ours.gpus()] == [MigState.ENABLED]
    state.kubelet_directory("a")
    again = SimulatedDriver(parse_gpus("h100-80gb"), node="a", state_file=link)
    assert [gpu.mig for gpu in again.gpus()] == [MigState.ENABLED]
    state.remove_sockets()
