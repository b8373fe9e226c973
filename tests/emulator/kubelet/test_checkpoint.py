"""Documents that survive a restart."""

from pathlib import Path

import pytest

from aliquot.emulator.kubelet.checkpoint import (
    CheckpointDirectory,
    CheckpointError,
    CheckpointStore,
    MemoryCheckpoints,
)


@pytest.fixture(params=["directory", "memory"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    return CheckpointDirectory(tmp_path / "node") if request.param == "directory" else MemoryCheckpoints()


def test_what_was_never_saved_is_none(checkpoints: CheckpointStore) -> None:
    assert checkpoints.load("devices") is None


def test_the_last_save_counts(checkpoints: CheckpointStore) -> None:
    checkpoints.save("devices", {"held": [1]})
    checkpoints.save("devices", {"held": [1, 2]})
    checkpoints.save("containers", {})
    assert checkpoints.load("devices") == {"held": [1, 2]}


def test_what_was_loaded_is_a_copy(checkpoints: CheckpointStore) -> None:
    checkpoints.save("devices", {"held": []})
    loaded = checkpoints.load("devices")
    assert loaded is not None
    loaded["held"].append("mine")
    assert checkpoints.load("devices") == {"held": []}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"checksum":1,"data":{"held":[]}}', "checksum does not match, the file is damaged"),
        (b'{"checksum":', "not a checkpoint"),
        (b"", "not a checkpoint"),
        (b'{"data":{}}', "not a checkpoint"),
    ],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "devices.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint) as caught:
        CheckpointDirectory(tmp_path).load("devices")
    assert str(tmp_path / "devices.json") in str(caught.value)


def test_a_save_that_fails_leaves_the_old_document(tmp_path: Path) -> None:
    checkpoints = CheckpointDirectory(tmp_path)
    checkpoints.save("devices", {"held": [1]})
    # A directory in the way of the new file stands for a full disk.
    (tmp_path / ".devices.tmp").mkdir()
    with pytest.raises(CheckpointError):
        checkpoints.save("devices", {"held": [2]})
    assert checkpoints.load("devices") == {"held": [1]}
