import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.access.core.people import Person
from aliquot.access.identity import records
from aliquot.access.identity.local import accounts
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.cli.access.group import access
from aliquot.clock import SystemClock

LOCAL = """\
  local:
    issuer: https://access.example.com
    relyingParty: access.example.com
    origins: ["https://access.example.com"]
"""


class Machine:
    def __init__(self, path: Path) -> None:
        self.config = path / "access.yaml"
        self.database = f"sqlite:///{path}/access.db"
        self.write(LOCAL)

    def write(self, identity: str) -> None:
        self.config.write_text(
            f"""\
database: {self.database}
policyFile: policy.yaml
bindingsFile: who.yaml
logKeyFile: log.key
clusters: [{{name: demo}}]
identity:
  keyFile: identity.key
  kubernetes: [{{cluster: demo, issuer: demo}}]
{identity}"""
        )

    def users(self, *said: str) -> Result:
        return CliRunner().invoke(access, ["users", *said, "--config", str(self.config)])

    async def store(self) -> Store:
        return Store(Database(self.database), clock=SystemClock(), threads=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_somebody_is_added_invited_switched_off_and_listed(machine: Machine) -> None:
    added = machine.users("add", "ann", "--group", "leads", "--group", "on-call")
    assert added.exit_code == 0, added.output
    again = machine.users("add", "ann")
    assert again.exit_code == 1 and "invite them again" in again.output
    assert machine.users("invite", "ann").output != added.output
    other = machine.users("add", "zoe", "--issuer", "https://login.example.com")
    assert other.exit_code == 0
    assert machine.users("list").output.splitlines() == [
        "NAME   HAS       GROUPS           ISSUER",
        "ann    invited   leads, on-call   https://access.example.com",
        "zoe    invited   -                https://login.example.com",
    ]
    assert machine.users("off", "ann").exit_code == 0
    assert "ann    off " in machine.users("list").output
    assert machine.users("on", "ann").exit_code == machine.users("forget", "ann").exit_code == 0
    assert "ann    nothing " in machine.users("list").output
    listed = json.loads(machine.users("list", "-o", "json").output)
    assert [(one["subject"], one["isOff"], one["has"]) for one in listed] == [
        ("ann", False, []),
        ("zoe", False, ["invited"]),
    ]
    assert "no account" in machine.users("off", "ben").output


async def test_what_is_printed_is_the_invitation_and_the_log_says_who_was_added(tmp_path: Path) -> None:
    import asyncio

    machine = Machine(tmp_path)
    added = await asyncio.to_thread(machine.users, "add", "ann")
    store = await machine.store()
    ann = Person("https://access.example.com", "ann")
    found = await store.read(lambda tx: accounts.invited(tx, ann, added.output.strip()))
    assert found is not None and found == await store.read(lambda tx: records.account(tx, ann))
    entries = await store.read(lambda tx: tuple(tx.log.entries(0, 1)))
    assert b'"action":"account.added"' in entries[0].body and b'"subject":"ann"' in entries[0].body
    assert added.output.strip().encode() not in entries[0].body
    store.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("add", "Ann B"), "no name of a user"),
        (("add", "ann", "--group", "a#b"), "no name of a group"),
        (("add", "zoe", "--issuer", "https://login.example.com", "--group", "x"), "says"),
        (("invite", "nobody"), "add one first"),
    ],
)
def test_what_is_wrong_is_one_line_and_changes_nothing(
    machine: Machine, said: tuple[str, ...], told: str
) -> None:
    found = machine.users(*said)
    assert found.exit_code == 1 and told in found.output and found.output.count("\n") == 1
    assert machine.users("list", "-o", "json").output == "[]\n"


def test_a_server_without_users_of_its_own_says_what_to_write(machine: Machine) -> None:
    machine.write("")
    found = machine.users("add", "ann")
    assert found.exit_code == 1 and "identity.local" in found.output
