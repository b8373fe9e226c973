"""`aliquot access users`: accounts, at the server's database. Whoever can run this can read the database anyway; each use is in the log."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aliquot.cli.output import Format, emit, output_option
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.core.people import Person
    from aliquot.access.core.refusals import Refused
    from aliquot.access.identity.records import Account
    from aliquot.access.serving.configuration import Configuration
    from aliquot.access.store.transaction import Transaction

T = TypeVar("T")

_config = click.option(
    "--config",
    "path",
    type=GivenPath(dir_okay=False),
    required=True,
    envvar="ALIQUOT_ACCESS_CONFIG",
    show_envvar=True,
    help="The server's configuration.",
)
_issuer = click.option("--issuer", default="", help="Whose user it is; without it one of the server's own.")


@click.group()
def users() -> None:
    """Users of the server's own, and who has passkeys or codes at it."""


@users.command()
@click.argument("name")
@_issuer
@click.option("--group", "groups", multiple=True, help="Of a user of the server's own; may be given again.")
@click.option("--display-name", default="", help="For people to read.")
@click.option("--email", default="", help="For people to read.")
@_config
def add(name: str, issuer: str, groups: tuple[str, ...], display_name: str, email: str, path: str) -> None:
    """Add NAME, and print an invitation: for one passkey or app, within a day."""
    from aliquot.access.identity.local import accounts

    configuration = _read(path)
    local = _local(configuration, path)
    person = _person(name, issuer, local)
    click.echo(
        _done(
            configuration,
            "account.added",
            person,
            lambda tx: accounts.add(
                tx, person, local_issuer=local, name=display_name, email=email, groups=groups
            ),
        )
    )


@users.command()
@click.argument("name")
@_issuer
@_config
def invite(name: str, issuer: str, path: str) -> None:
    """Print another invitation for NAME: for one more passkey, or another app."""
    from aliquot.access.identity.local import accounts

    configuration = _read(path)
    person = _person(name, issuer, _local(configuration, path))
    click.echo(_done(configuration, "account.invited", person, lambda tx: accounts.invite(tx, person)))


@users.command()
@click.argument("name")
@_issuer
@_config
def off(name: str, issuer: str, path: str) -> None:
    """Switch NAME off: signed out, and not known any more, whoever their issuer is."""
    _switch(name, issuer, path, is_off=True)


@users.command()
@click.argument("name")
@_issuer
@_config
def on(name: str, issuer: str, path: str) -> None:
    """Switch NAME on again."""
    _switch(name, issuer, path, is_off=False)


@users.command()
@click.argument("name")
@_issuer
@_config
def forget(name: str, issuer: str, path: str) -> None:
    """NAME has lost something: no passkey and no code of theirs counts any more."""
    from aliquot.access.identity.local import accounts

    configuration = _read(path)
    person = _person(name, issuer, _local(configuration, path))
    _done(configuration, "account.forgot", person, lambda tx: accounts.forget_factors(tx, person))


@users.command("list")
@_config
@output_option
def list_(path: str, output: Format) -> None:
    """Who has an account, and what they have registered."""
    from aliquot.access.identity import records

    found = [_described(one) for one in _in_database(_read(path), records.accounts)]
    rows = [
        [
            one["subject"],
            "off" if one["isOff"] else ", ".join(one["has"]) or "nothing",
            ", ".join(one["groups"]) or "-",
            one["issuer"],
        ]
        for one in found
    ]
    emit(output, lambda: found, columns=("NAME", "HAS", "GROUPS", "ISSUER"), rows=rows)


def _switch(name: str, issuer: str, path: str, *, is_off: bool) -> None:
    from aliquot.access.identity.local import accounts

    configuration = _read(path)
    person = _person(name, issuer, _local(configuration, path))
    action = "account.off" if is_off else "account.on"
    _done(configuration, action, person, lambda tx: accounts.switch(tx, person, is_off=is_off))


def _described(account: "Account") -> dict[str, Any]:
    has = [f"{len(account.passkeys)} passkeys"] if account.passkeys else []
    has += ["codes"] if account.codes is not None else []
    has += ["invited"] if account.invitation is not None else []
    return {
        "subject": account.person.subject,
        "issuer": account.person.issuer,
        "isOff": account.is_off,
        "has": has,
        "groups": list(account.groups),
    }


def _read(path: str) -> "Configuration":
    from aliquot.access.serving.configuration import load
    from aliquot.document import DocumentError

    try:
        return load(Path(path))
    except DocumentError as error:
        raise click.ClickException(str(error)) from error


def _local(configuration: "Configuration", path: str) -> str:
    local = configuration.identity.local
    if local is None:
        raise click.ClickException(f"{path}: there is no identity.local, so nobody signs in here: add it")
    return local.issuer


def _person(name: str, issuer: str, local: str) -> "Person":
    from aliquot.access.core.people import Person

    return Person(issuer or local, name)


def _done(
    configuration: "Configuration",
    action: str,
    person: "Person",
    work: "Callable[[Transaction], T | Refused]",
) -> T:
    from aliquot.access.core.refusals import Refused
    from aliquot.access.log.entries import Actor, Draft

    def logged(tx: "Transaction") -> T | Refused:
        found = work(tx)
        if not isinstance(found, Refused):
            draft = Draft(
                time_s=tx.now_s,
                actor=Actor("aliquot", "operator"),
                action=action,
                details={"of": {"issuer": person.issuer, "subject": person.subject}},
            )
            tx.append([draft])
        return found

    found = _in_database(configuration, logged)
    if isinstance(found, Refused):
        raise click.ClickException(found.reason)
    return found


def _in_database(configuration: "Configuration", work: Callable[[Any], T]) -> T:
    from aliquot.access.store.database import Database
    from aliquot.access.store.store import Store
    from aliquot.clock import SystemClock
    from aliquot.sql.failures import Unreachable, Unusable

    try:
        database = Database(configuration.database)
        try:
            database.prepare()
            store = Store(database, clock=SystemClock(), threads=False)
            return asyncio.run(store.write(work))
        finally:
            database.close()
    except (Unreachable, Unusable) as error:
        raise click.ClickException(str(error)) from error
