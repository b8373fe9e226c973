"""The commands of an auditor and of a witness, on files."""

import asyncio
import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.access.log import verify as verifier
from aliquot.access.log.checkpoints import with_cosignatures
from aliquot.access.log.evidence import prove
from aliquot.access.log.verify import lines_of, parse_key
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.cli.access.log import log
from aliquot.clock import SystemClock
from tests.access.log.logs import LOG, draft, lines
from tests.access.log.logs import log as made_log

SIZE = 5


def run(*arguments: object) -> Result:
    return CliRunner().invoke(log, [str(one) for one in arguments])


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.jsonl"
    path.write_bytes(b"".join(lines(made_log([draft(number) for number in range(SIZE)], [SIZE]))))
    return path


@pytest.fixture
def witness_key(tmp_path: Path) -> Path:
    """Its public part lies beside it."""
    path = tmp_path / "witness.key"
    made = run("new-key", "witness.example.org/w1", "--witness", "--out", path)
    path.with_suffix(".pub").write_text(made.output)
    return path


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Of a server that is gone, and that had signed nothing."""
    database = Database(f"sqlite:///{tmp_path}/access.db")
    database.prepare()
    store = Store(database, clock=SystemClock(), threads=False)
    asyncio.run(store.write(lambda writing: writing.append([draft(number) for number in range(SIZE)])))
    store.close()
    return f"sqlite:///{tmp_path}/access.db"


def test_dump_of_a_database(database: str, tmp_path: Path) -> None:
    (tmp_path / "log.key").write_text(LOG.text)
    unsigned = run("dump", "--database", database)
    assert (unsigned.exit_code, unsigned.output) == (
        1,
        "Error: nothing of this log is signed yet: give --key\n",
    )
    for arguments in (["--key", tmp_path / "log.key"], [], ["--without-personal"]):
        result = run("dump", "--database", database, *arguments)
        found = verifier.verify(lines_of(BytesIO(result.stdout_bytes)), [LOG.public])
        assert (found.entries, found.signed, found.committed) == (SIZE, SIZE, 2)
        assert found.shown == (0 if "--without-personal" in arguments else 2)


def test_dump_signs_nothing_that_was_tampered_with(database: str, tmp_path: Path) -> None:
    (tmp_path / "log.key").write_text(LOG.text)
    assert run("dump", "--database", database, "--key", tmp_path / "log.key").exit_code == 0
    with sqlite3.connect(tmp_path / "access.db") as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE log_nodes SET hash = zeroblob(32)")
    connection.close()
    store = Store(Database(database), clock=SystemClock(), threads=False)
    asyncio.run(store.write(lambda writing: writing.append([draft(number) for number in range(2)])))
    store.close()
    result = run("dump", "--database", database, "--key", tmp_path / "log.key")
    assert result.exit_code == 1
    assert "does not go on from the checkpoint of 5" in result.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///none.db", "none.db: there is no such database"),
        ("sqlite:///other.db", "other.db"),
        ("nonsense", "no database"),
    ],
)
def test_dump_of_what_is_no_database(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.db").touch()
    result = run("dump", "--database", url)
    assert result.exit_code == 1
    assert re.match(f"Error: .*{said}", result.output), result.output
    assert not (tmp_path / "none.db").exists()


def test_verify(dump: Path) -> None:
    result = run("verify", dump, "--key", LOG.public.text)
    assert (result.exit_code, result.output[:9]) == (0, "5 entries")
    dump.write_bytes(dump.read_bytes().replace(b"production", b"protection", 1))
    result = run("verify", dump, "--key", LOG.public.text)
    assert (result.exit_code, result.output[:12]) == (1, "WRONG: line ")
    assert run("verify", dump).exit_code == 2


def test_verify_says_what_the_file_says() -> None:
    said = run("verify", "--help").output
    assert "usage: " in said
    assert "Exit codes:" in said
    assert "--tolerance SECONDS" in said


def test_verify_entry(tmp_path: Path) -> None:
    store = made_log([draft(number) for number in range(SIZE)], [SIZE])
    [signed] = store.checkpoints(SIZE, SIZE)
    [sealed] = store.entries(2, 3)
    entry, proof = tmp_path / "entry.json", tmp_path / "entry.tlog-proof"
    entry.write_bytes(sealed.body + b"\n")
    proof.write_text(prove(store, 2, signed.note))
    result = run("verify-entry", entry, proof, "--key", LOG.public.text)
    assert result.output == "it is entry 2 of aliquot.example.com/access, by the checkpoint of 5 entries\n"
    entry.write_bytes(sealed.body.replace(b"production", b"protection"))
    result = run("verify-entry", entry, proof, "--key", LOG.public.text)
    assert (result.exit_code, result.output) == (
        1,
        f"Error: {proof}: this is not entry 2 of aliquot.example.com/access\n",
    )
    assert "No such file" in run("verify-entry", tmp_path / "none", proof, "--key", LOG.public.text).output


def test_a_new_key(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    result = run("new-key", "aliquot.example.com/access", "--out", path)
    key = parse_key(result.output.strip())
    assert (key.name, key.kind) == ("aliquot.example.com/access", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    again = run("new-key", "aliquot.example.com/access", "--out", path)
    assert (again.exit_code, again.output) == (
        1,
        f"Error: {path}: it is there, and no key is written over: give another --out\n",
    )
    assert path.read_text() == before
    assert "no name of a key" in run("new-key", "a b", "--out", tmp_path / "other").output
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("form", "member"), [("ocsf", "class_uid"), ("cloudevents", "specversion")])
def test_export_of_events(form: str, member: str, dump: Path) -> None:
    found = run("export", dump, "--format", form).output.splitlines()
    assert [member in json.loads(line) for line in found] == [True] * SIZE


def test_export_of_a_table(dump: Path) -> None:
    assert len(list(csv.reader(run("export", dump, "--format", "csv").output.splitlines()))) == SIZE + 1


def test_export_of_what_is_no_dump(tmp_path: Path) -> None:
    path = tmp_path / "dump.jsonl"
    assert "No such file" in run("export", path, "--format", "csv").output
    path.write_text("nonsense\n")
    result = run("export", path, "--format", "csv")
    assert result.exit_code == 1
    assert re.search(r"Error: .*dump.jsonl: line 1: .*verify", result.output)


def test_a_witness_signs_a_dump(dump: Path, witness_key: Path, tmp_path: Path) -> None:
    arguments = ("--key", witness_key, "--log", LOG.public.text, "--state", tmp_path / "state")
    result = run("witness", "cosign", dump, *arguments)
    assert result.exit_code == 0, result.output
    assert "signed: aliquot.example.com/access, 5 entries" in result.stderr
    [note] = (
        json.loads(line)["checkpoint"]
        for line in dump.read_text().splitlines()
        if line.startswith('{"checkpoint"')
    )
    public = parse_key(witness_key.with_suffix(".pub").read_text().strip())
    assert with_cosignatures(note, result.stdout, [public]) == note + result.stdout
    other = b"".join(lines(made_log([draft(number + 1) for number in range(SIZE)], [SIZE])))
    dump.write_bytes(other)
    forked = run("witness", "cosign", dump, *arguments)
    assert forked.exit_code == 1
    assert "not signed: line" in forked.output
    assert "what was signed here before: the log was forked" in forked.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--key": "none.key"}, "none.key: No such file"),
        ({"--key": "log.key"}, "it is a log's key"),
        ({"--log": "nonsense"}, "--log: 'nonsense' is no key"),
        ({"--state": "witness.key"}, "witness.key: it is no directory"),
    ],
)
def test_what_a_witness_cannot_use(
    change: dict[str, str], said: str, dump: Path, witness_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dump.parent)
    assert run("new-key", "log.example", "--out", "log.key").exit_code == 0
    options = {"--key": witness_key.name, "--log": LOG.public.text, "--state": "state", **change}
    result = run("witness", "cosign", dump, *(one for pair in options.items() for one in pair))
    assert result.exit_code == 1
    assert said in result.output


def test_a_witness_serves_until_it_is_told_to_end(witness_key: Path, tmp_path: Path) -> None:
    code = "import sys; from aliquot.cli.access.log import log; log(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "witness", "serve", "--key", witness_key, "--log", LOG.public.text,
         "--state", tmp_path / "state", "--port", "0"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert re.search(r"answers on http://127\.0\.0\.1:\d+/add-checkpoint", process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    process.stdout.close()
