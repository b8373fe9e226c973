"""Exports, whole or not at all."""

import asyncio
import os
from pathlib import Path

import pytest

from aliquot.eks.upgrade.vault import DirectoryVault


async def test_what_is_put_there_is_read_again_by_its_owner_alone(tmp_path: Path) -> None:
    vault = DirectoryVault(tmp_path / "exports")
    await vault.put("backup/prod/index.json", b"one")
    await vault.put("backup/prod/index.json", b"two")
    assert await vault.get("backup/prod/index.json") == b"two"
    assert await vault.get("backup/prod/other.json") is None
    assert (tmp_path / "exports/backup/prod/index.json").stat().st_mode & 0o077 == 0


def test_a_full_disk_leaves_what_was_there_and_no_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = DirectoryVault(tmp_path)
    asyncio.run(vault.put("index.json", b"one"))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(vault.put("index.json", b"two"))
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]
    assert asyncio.run(vault.get("index.json")) == b"one"


async def test_a_name_that_leads_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        await DirectoryVault(tmp_path).put("../other", b"")
