from pathlib import Path

import pytest

from aliquot.cli.state import Running, StateDirectory, StateError


def test_only_one_process_holds_a_state_directory(tmp_path: Path) -> None:
    first, second = StateDirectory(tmp_path / "s"), StateDirectory(tmp_path / "s")
    with first.held():
        assert second.is_held()
        with pytest.raises(StateError, match=r"in use by .*aliquot down --state"), second.held():
            pass
    assert not second.is_held()
    with second.held():
        pass


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


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StateError, match=r"choose another with --state"),
        StateDirectory(tmp_path / "file" / "s").held(),
    ):
        pass


def test_sockets_have_short_private_paths(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / ("x" * 150))
    path = state.sockets("node-0")
    assert len(str(path)) < 70
    assert path.parent.stat().st_mode & 0o077 == 0
    state.remove_sockets()
    assert not path.parent.exists()
