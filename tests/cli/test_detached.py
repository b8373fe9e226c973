import shutil
from pathlib import Path

import pytest

from aliquot.cli.detached import _last_words


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("API at x\nerror: port in use\n", "port in use"),
        ('error: port in use\n{"event": "noise"}\n', "port in use"),
        (
            "Traceback (most recent call last):\n  ...\nImportError: no b\n\n",
            "the cluster's process ended with code 7: ImportError: no b; see LOG",
        ),
        (
            "  | Forbidden: no room\n  +------------------------------------\n",
            "the cluster's process ended with code 7: Forbidden: no room; see LOG",
        ),
        ("", "the cluster's process ended with code 7; see LOG"),
    ],
)
def test_why_it_did_not_come_up_is_one_line(tmp_path: Path, log: str, said: str) -> None:
    path = tmp_path / "log"
    path.write_text(log)
    assert _last_words(path, 7) == said.replace("LOG", str(path))


def test_an_empty_log_on_a_full_disk_says_why_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.touch()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    said = f"{path}: the disk is full; free some space, or choose another with --state DIR"
    assert _last_words(path, 7) == said
