import asyncio
import os
from pathlib import Path

import pytest

from aliquot.emulator.audit import log_file
from aliquot.emulator.audit.log_file import AuditError, LogFile
from tests.emulator.api import FixedClock


async def written(log: LogFile, *events: bytes) -> None:
    """What is taken in one turn of the loop is in the file after the next."""
    for event in events:
        log.take(event)
    await asyncio.sleep(0)


def old_files(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir() if one.name != "audit.log")


async def test_events_are_lines_and_the_file_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = LogFile(path, clock=FixedClock())
    await written(log, b"1", b"2")
    assert path.read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o600
    log.take(b"3")
    await log.close()
    log = LogFile(path, clock=FixedClock())
    log.take(b"4")
    await log.close()
    assert path.read_bytes() == b"1\n2\n3\n4\n"


async def test_a_long_file_is_cut_and_the_oldest_pieces_go(tmp_path: Path) -> None:
    clock, path = FixedClock(), tmp_path / "audit.log"
    log = LogFile(path, clock=clock, largest_bytes=10)
    for number in range(8):
        clock.time += 1
        await written(log, b"12345678", str(number).encode())
    await log.close()
    assert path.read_bytes() == b"12345678\n7\n"
    pieces = old_files(tmp_path)
    assert pieces == [f"audit-2026-01-01T00-00-0{second}.000000Z.log" for second in range(4, 9)]
    assert (tmp_path / pieces[-1]).read_bytes() == b"12345678\n6\n"


def test_a_place_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot be written: No such file or directory; name another file"):
        LogFile(tmp_path / "nowhere" / "audit.log", clock=FixedClock())


async def test_a_full_disk_loses_no_line_it_can_keep_and_counts_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"
    log = LogFile(path, clock=FixedClock())
    await written(log, b"1")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 1:
            return write(descriptor, data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(log_file, "MOST_WAITING", 2)
    await written(log, b"2", b"3", b"4")
    assert path.read_bytes() == b"1\n"
    assert log.dropped == 1
    monkeypatch.setattr(os, "write", write)
    await log.close()
    assert path.read_bytes() == b"1\n2\n3\n"
