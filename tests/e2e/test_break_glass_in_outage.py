"""Break glass while its database is gone: `access serve` with a grant that is used, a disk that is full, a file that is away, a process
that is killed meanwhile; and the log of it afterwards."""

import json
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import Kubectl, aliquot, eventually
from tests.e2e.test_break_glass import Installation, active

pytestmark = pytest.mark.e2e

BOUND_S = 15
"""After a revocation, as published."""
LEEWAY_S = 30
"""Of a machine that does much else: the bound itself is held on virtual time, in tests/access/cluster."""


@pytest.fixture(scope="module")
def installation(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    admin = Kubectl(cluster)
    found = Installation(admin, tmp_path_factory.mktemp("outage"))
    # Those of another module's installation may still be going.
    _delete_namespaces(admin)
    found.install()
    template = found.folder / "shop-logs.yaml"
    template.write_text(template.read_text() + "mostPerPerson: 2\n")
    found.start()
    try:
        yield found
    finally:
        found.stop()
        _delete_namespaces(admin)


def _delete_namespaces(admin: Kubectl) -> None:
    for name in ("shop", "people"):
        admin("delete", "namespace", name, "--ignore-not-found", "--timeout=60s")


@contextmanager
def full_disk(installation: Installation) -> Iterator[None]:
    """For what the server writes: no file may have more than 4 KiB."""
    pid = installation.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def user_of(installation: Installation, grant: str) -> Any:
    """What a holder with a credential in their hands may do: whether pods are listed."""
    made = json.loads(installation.by("dora", "credential", grant))
    config = json.loads(installation.by("dora", "kubeconfig", grant))
    config["users"] = []
    config["contexts"][0]["context"].pop("user")
    bare = installation.folder / f"{grant}.kubeconfig"
    bare.write_text(json.dumps(config))
    arguments = ("get", "pods", "-n", "shop", f"--token={made['status']['token']}", "--kubeconfig", str(bare))
    return lambda: installation.admin.run(*arguments).code == 0


def ended(installation: Installation, grant: str) -> Any:
    eventually(lambda: installation.show("dora", grant)["stage"] == "ended")
    return installation.show("dora", grant)


def refused_within_bound(may: Any, since: float) -> None:
    eventually(lambda: not may())
    assert time.monotonic() - since < BOUND_S + LEEWAY_S


def test_on_a_full_disk_a_revocation_goes_on_and_is_in_the_log_afterwards(installation: Installation) -> None:
    grant = active(installation)
    may = user_of(installation, grant)
    assert may()
    with full_disk(installation):
        said = installation.refused("dora", "credential", grant)
        assert "the database is out of reach: nothing was done" in said
        since = time.monotonic()
        said = installation.by("sam", "revoke", grant, "-m", "checkout is up")
        assert f"{grant}: revoked; it is gone from cluster demo; the database is out of reach" in said
        assert "it is in this server's journal" in said
        refused_within_bound(may, since)
        assert installation.show("dora", grant)["stage"] == "active", "it can be read, and nobody could write"
    shown = ended(installation, grant)
    assert (shown["endReason"], shown["endedBy"]["subject"]) == (
        "revoked",
        "system:serviceaccount:people:sam",
    )
    assert shown["why"] == "checkout is up"


def test_one_that_is_killed_and_started_without_its_database_still_ends_grants(
    installation: Installation,
) -> None:
    one, two = active(installation), active(installation)
    may_one, may_two = user_of(installation, one), user_of(installation, two)
    installation.stop(signal.SIGKILL)
    database = installation.folder / "access.db"
    files = [database, *(installation.folder / f"access.db-{name}" for name in ("wal", "shm"))]
    for file in files:
        if file.exists():
            file.rename(file.with_name(f"away-{file.name}"))
    # Where it would be made anew there is a directory: it can neither be read nor written.
    database.mkdir()
    installation.start(has_database=False)
    since = time.monotonic()
    said = installation.by("sam", "revoke", one, "-m", "enough")
    assert "it is in this server's journal" in said
    refused_within_bound(may_one, since)
    assert may_two()
    installation.stop(signal.SIGKILL)
    installation.start(has_database=False)
    since = time.monotonic()
    said = installation.by("sam", "kill", "-m", "a breach")
    assert "the kill switch is pulled, and nobody is let in" in said
    refused_within_bound(may_two, since)
    database.rmdir()
    for file in files:
        away = file.with_name(f"away-{file.name}")
        if away.exists():
            away.rename(file)
    eventually(lambda: installation.run("list", "--token-file", "dora.token").code == 0)
    for grant, reason in ((one, "revoked"), (two, "killed")):
        assert ended(installation, grant)["endReason"] == reason
    assert "kill switch is pulled" in installation.refused(
        *("dora", "request", "shop-logs", "--cluster", "demo", "-n", "shop", "-m", "checkout is down")
    )


def test_the_log_of_it_holds_and_says_what_was_journaled(installation: Installation) -> None:
    public = json.loads((installation.folder / "serve.log").read_text().splitlines()[0])["log"]
    dump = installation.run("log", "dump", "--database", "sqlite:///access.db", "--key", "log.key")
    assert dump.code == 0, dump.err
    (installation.folder / "dump.jsonl").write_text(dump.out)
    checked = aliquot("access", "log", "verify", installation.folder / "dump.jsonl", "--key", public)
    assert checked.code == 0, checked.out
    lines = [json.loads(line) for line in dump.out.splitlines()]
    merged = [one for one in lines if one.get("action") == "journal.merged"]
    assert [one["details"]["act"] for one in merged] == ["revoked", "revoked", "pulled"]
    assert {one["details"]["outcome"] for one in merged} == {"ended"}
    for one in merged:
        assert one["details"]["journaled"] <= one["details"]["removed"] < one["time"]
