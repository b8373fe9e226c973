import errno
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aliquot.access.journal.file import ROOM_BYTES, InUse, JournalFile, damaged

KEY = b"k" * 32


def journal(path: Path, key: bytes = KEY) -> JournalFile:
    return JournalFile(path, key)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.journal"


def begun(path: Path, *payloads: bytes) -> JournalFile:
    found = journal(path)
    assert not found.load().problem
    for payload in payloads:
        found.append(payload)
    return found


def test_what_was_appended_is_there_for_the_next_process(path: Path) -> None:
    begun(path, b"one", b"two").close()
    again = journal(path)
    assert again.load().payloads == (b"one", b"two")
    again.append(b"three")
    again.close()
    assert journal(path).load().payloads == (b"one", b"two", b"three")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_room_is_there_before_it_is_needed(path: Path) -> None:
    one = begun(path)
    taken = path.stat().st_blocks * 512
    assert taken >= ROOM_BYTES
    for _ in range(400):
        one.append(b"r" * 600)
    assert path.stat().st_blocks * 512 == taken


def test_emptied_it_takes_others(path: Path) -> None:
    one = begun(path, b"one")
    one.empty()
    one.append(b"two")
    one.close()
    assert journal(path).load().payloads == (b"two",)
    assert list(path.parent.iterdir()) == [path]


def test_two_servers_do_not_share_one(path: Path) -> None:
    one = begun(path, b"one")
    with pytest.raises(InUse, match="another server's"):
        journal(path).load()
    one.close()
    assert journal(path).load().payloads == (b"one",)


def test_what_was_being_written_is_cut_off(path: Path) -> None:
    begun(path, b"one", b"two").close()
    data = path.read_bytes()
    at = data.index(b"two")
    path.write_bytes(data[:at] + b"t" + bytes(len(data) - at - 1))
    again = journal(path)
    assert again.load().payloads == (b"one",)
    again.append(b"2")
    again.close()
    assert journal(path).load().payloads == (b"one", b"2")


def test_one_that_was_edited_is_put_aside_as_it_is(path: Path) -> None:
    begun(path, b"one", b"two", b"three").close()
    edited = path.read_bytes().replace(b"two", b"owt")
    path.write_bytes(edited)
    again = journal(path)
    found = again.load()
    assert found.payloads == (b"one",)
    assert found.damage == f"{path}.damaged-1: record 2 cannot be read, and there are others behind it"
    assert [one.read_bytes() for one in damaged(path)] == [edited]
    again.append(b"four")
    again.close()
    assert journal(path).load().payloads == (b"four",)


def test_nothing_is_written_over_one_that_cannot_be_put_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"this is none of ours, and somebody may want it")

    def no(*_: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", no)
    one = journal(path)
    assert "does not begin as a journal does" in one.load().damage
    with pytest.raises(OSError, match="damaged"):
        one.append(b"one")
    assert path.read_bytes().startswith(b"this is none of ours")


def test_without_a_folder_it_is_told_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "later" / "access.journal"
    one = journal(path)
    assert one.load().problem == f"{path}: No such file or directory"
    with pytest.raises(OSError, match="No such file"):
        one.append(b"one")
    path.parent.mkdir()
    one.append(b"one")
    one.close()
    assert journal(path).load().payloads == (b"one",)


FULL = """
import resource, sys
from pathlib import Path
from aliquot.access.journal.file import JournalFile
one = JournalFile(Path(sys.argv[1]), b"k" * 32)
assert not one.load().problem
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), most))
written = 0
try:
    while True:
        one.append(b"%05d" % written + b"r" * 595)
        written += 1
except OSError:
    print(written)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
one.append(b"at last")
"""


@pytest.mark.parametrize(("room", "at_least"), [(ROOM_BYTES, 400), (10_000, 10)])
def test_a_full_disk_takes_as_many_as_there_was_room_for_and_goes_on_when_there_is_more(
    path: Path, room: int, at_least: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(room)], check=True, capture_output=True, text=True
    )
    written = int(done.stdout)
    assert written >= at_least
    found = journal(path).load()
    assert len(found.payloads) == written + 1
    assert found.payloads[-1] == b"at last"
