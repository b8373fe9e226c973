"""`aliquot access login`: from whoever says who you are to the file with your token."""

import asyncio
import secrets
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.access.calling import Server, server_options
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.identity.login.answers import SignedIn
    from aliquot.access.identity.login.client import Ready
    from aliquot.access.identity.login.device import Shown


@click.command()
@click.option("--issuer", default="", help="Your identity provider, like https://login.example.com.")
@click.option("--client-id", default="aliquot-cli", show_default=True, help="As the provider knows us.")
@click.option(
    "--issuer-ca-file", type=GivenPath(exists=True, dir_okay=False), help="PEM of whom to trust for it."
)
@click.option("--device", is_flag=True, help="Type a code in on another machine: there is no browser here.")
@click.option("--user", default="", help="A user of the server's own, with a code of an authenticator app.")
@server_options
def login(
    server: Server, issuer: str, client_id: str, issuer_ca_file: str | None, device: bool, user: str
) -> None:
    """Get a token into --token-file, for you alone: at your identity provider, or as a user of the server's own. What the provider gave
    to go on with lies beside it, so that signing in again is seldom asked of you."""
    from aliquot.access.identity.login import kept
    from aliquot.access.identity.login.answers import NotSignedIn
    from aliquot.access.identity.proof import NotProven
    from aliquot.access.outside.calling import Unreached

    if bool(issuer) == bool(user):
        raise click.UsageError("give --issuer, or --user for a user of the server's own.")
    try:
        if user:
            code = click.prompt("Code", hide_input=True)
            found = server.sign_in("/v1/session:byCode", {"subject": user, "code": code})
            kept.put(server.token_file, str(found["token"]).encode())
            return
        authority = Path(issuer_ca_file).read_text() if issuer_ca_file else ""
        asyncio.run(_at_provider(server.token_file, issuer, client_id, authority, device=device))
    except (NotSignedIn, NotProven, Unreached, kept.Unsafe) as error:
        raise click.ClickException(str(error)) from error


async def _at_provider(path: Path, issuer: str, client_id: str, authority: str, *, device: bool) -> None:
    from aliquot.access.identity.login import kept
    from aliquot.access.identity.login.client import LoginClient, ready
    from aliquot.access.identity.web import Https
    from aliquot.clock import SystemClock

    beside = path.with_name(path.name + ".kept")
    before = kept.read(beside)
    web = Https(authority)
    try:
        here = await ready(LoginClient(issuer=issuer, client_id=client_id), web, clock=SystemClock())
        there = before.get(issuer)
        found = await _gone_on(here, there.refresh if there is not None else "")
        if found is None:
            found = await _anew(here, device=device)
    finally:
        await web.close()
    kept.write(beside, {**before, issuer: found})
    kept.put(path, found.token.encode())


async def _gone_on(here: "Ready", refresh: str) -> "SignedIn | None":
    """None: somebody has to sign in."""
    from aliquot.access.identity.login.answers import NotSignedIn
    from aliquot.access.identity.login.client import refreshed

    try:
        return await refreshed(here, refresh)
    except NotSignedIn:
        return None


async def _anew(here: "Ready", *, device: bool) -> "SignedIn":
    from aliquot.access.identity.login import browser
    from aliquot.access.identity.login import device as by_device

    if device:
        return await by_device.sign_in(here, _show)
    return await browser.sign_in(here, _open, random_bytes=secrets.token_bytes)


def _show(shown: "Shown") -> None:
    click.echo(f"Open {shown.url} and type {shown.code}", err=True)


def _open(url: str) -> None:
    click.echo(f"Sign in at {url}", err=True)
    webbrowser.open(url)
