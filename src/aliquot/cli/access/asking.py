"""`aliquot access simulate`, `request`, `list`, `show`, `approve`, `deny`, `withdraw`, `activate`: from asking to being let in."""

import secrets
import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from aliquot.cli.access import showing
from aliquot.cli.access.calling import Server, code_option, proof, server_options
from aliquot.cli.output import Format, emit, output_option, wide_output_option
from aliquot.cli.parameters import Duration, Names

_LOOK_EVERY_S = 0.2
_WAITS_S = 30.0


_STAGES = (
    "pending",
    "denied",
    "withdrawn",
    "lapsed",
    "approved",
    "scheduled",
    "activating",
    "active",
    "ending",
    "ended",
)


def _what(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is asked for: all but why."""
    for option in (
        click.option(
            "--emergency",
            is_flag=True,
            help="Begin at once with nobody's consent; it is reviewed afterwards.",
        ),
        click.option("--ticket", default="", help="Like CHG0031234 or OPS-17."),
        click.option(
            "--start", help="Begin then, by itself: 2026-11-29T22:00:00Z.  [default: when you activate it]"
        ),
        click.option(
            "--for",
            "duration_s",
            type=Duration(least_s=1),
            help="Like 30m.  [default: as the template has it]",
        ),
        click.option(
            "-p",
            "--parameter",
            "parameters",
            multiple=True,
            metavar="NAME=VALUE",
            help="What the template leaves open.",
        ),
        click.option(
            "-n", "--namespace", default="", help="Leave it out for a template of all of a cluster."
        ),
        click.option("--cluster", required=True, help="As the server calls it."),
        click.argument("template"),
    ):
        command = option(command)
    return command


@click.command()
@_what
@click.option("-m", "--because", "justification", required=True, help="Why, for whoever agrees to it.")
@code_option
@output_option
@server_options
def request(
    server: Server,
    template: str,
    cluster: str,
    namespace: str,
    parameters: tuple[str, ...],
    duration_s: float | None,
    start: str | None,
    justification: str,
    ticket: str,
    emergency: bool,
    code: str,
    output: Format,
) -> None:
    """Ask for what TEMPLATE gives."""
    body: dict[str, Any] = {
        "template": template,
        "cluster": cluster,
        "namespace": namespace,
        "parameters": _pairs(parameters),
        "justification": justification,
        "ticket": ticket,
        "emergency": emergency,
    }
    if duration_s is not None:
        body["durationSeconds"] = int(duration_s)
    if start is not None:
        body["start"] = start
    key = secrets.token_hex(16)
    showing.tell(server.post("/v1/requests", body, Idempotency_Key=key, **proof(code)), output)


@click.command()
@_what
@output_option
@server_options
@click.pass_context
def simulate(
    context: click.Context,
    server: Server,
    template: str,
    cluster: str,
    namespace: str,
    parameters: tuple[str, ...],
    duration_s: float | None,
    start: str | None,
    ticket: str,
    emergency: bool,
    output: Format,
) -> None:
    """What asking for TEMPLATE would come to: rules, who has to agree, the latest end, and what is missing.

    Nothing is asked for. Exit code: 1 if something is missing.
    """
    from urllib.parse import urlencode

    asked = {"template": template, "cluster": cluster}
    asked |= {f"parameter.{name}": value for name, value in _pairs(parameters).items()}
    given = {
        "namespace": namespace,
        "durationSeconds": "" if duration_s is None else str(int(duration_s)),
        "start": start or "",
        "ticket": ticket,
        "emergency": "true" if emergency else "",
    }
    asked |= {name: value for name, value in given.items() if value}
    found = server.get(f"/v1/simulate?{urlencode(asked)}")
    if output is Format.TABLE:
        click.echo(showing.foreseen(template, (cluster, namespace), found))
    else:
        emit(output, lambda: found, columns=(), rows=())
    if found["missing"]:
        context.exit(1)


@click.command("list")
@click.option(
    "--stage", "stages", type=Names(_STAGES), default=(), help="Like pending,active.  [default: all]"
)
@click.option("--mine", is_flag=True, help="Only what you asked for.")
@click.option("--review-open", is_flag=True, help="Only what is still to be reviewed.")
@wide_output_option
@server_options
def list_(server: Server, stages: tuple[str, ...], mine: bool, review_open: bool, output: Format) -> None:
    """Requests and grants that you may see, the latest first."""
    from urllib.parse import urlencode

    asked = {"limit": "100"}
    if stages:
        asked["stage"] = ",".join(stages)
    if mine:
        asked["mine"] = "true"
    if review_open:
        asked["reviewOpen"] = "true"
    items: list[dict[str, Any]] = []
    while True:
        page = server.get(f"/v1/requests?{urlencode(asked)}")
        items += page["items"]
        if "next" not in page:
            break
        asked["before"] = page["next"]
    wide = output is Format.WIDE
    columns = showing.WIDE_COLUMNS if wide else showing.COLUMNS
    emit(output, lambda: items, columns=columns, rows=showing.rows(items, wide=wide))


@click.command()
@click.argument("request_id", metavar="ID")
@output_option
@server_options
def show(server: Server, request_id: str, output: Format) -> None:
    """What was asked for, by whom, why, and what has become of it."""
    showing.tell(server.get(_path(request_id)), output)


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("--digest", help="Of the request as you have seen it: agree without being asked.")
@code_option
@output_option
@server_options
def approve(server: Server, request_id: str, digest: str | None, code: str, output: Format) -> None:
    """Agree to a request. What you agree to is shown first: it is that, and nothing that it may become."""
    found = server.get(_path(request_id))
    click.echo(showing.described(found), err=output is not Format.TABLE)
    if digest is None:
        confirm("Agree to exactly this?", f"--digest {found['digest']}", output)
        digest = found["digest"]
    after = server.post(_path(request_id, "approve"), {"digest": digest}, **proof(code))
    showing.tell_stage(after, output)


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("-m", "--because", "why", required=True, help="For whoever asked.")
@output_option
@server_options
def deny(server: Server, request_id: str, why: str, output: Format) -> None:
    """Say no to a request, for all who could agree."""
    found = server.get(_path(request_id))
    after = server.post(_path(request_id, "deny"), {"digest": found["digest"], "why": why})
    showing.tell_stage(after, output)


@click.command()
@click.argument("request_id", metavar="ID")
@output_option
@server_options
def withdraw(server: Server, request_id: str, output: Format) -> None:
    """Take back what you asked for, before it begins."""
    showing.tell_stage(server.post(_path(request_id, "withdraw")), output)


@click.command()
@click.argument("request_id", metavar="ID")
@output_option
@server_options
def activate(server: Server, request_id: str, output: Format) -> None:
    """Begin: the time runs from now. Waits until the cluster has it."""
    found = server.post(_path(request_id, "activate"))
    waiting = threading.Event()
    for _ in range(int(_WAITS_S / _LOOK_EVERY_S)):
        if found["stage"] != "activating":
            break
        waiting.wait(_LOOK_EVERY_S)
        found = server.get(_path(request_id))
    if found["stage"] != "active":
        raise click.ClickException(showing.stage(found))
    if output is Format.TABLE:
        click.echo(f"{found['id']}: active until {found['end']}")
    else:
        showing.tell(found, output)


def confirm(question: str, otherwise: str, output: Format) -> None:
    """Raises ClickException: nobody says yes. `otherwise`: the option that says it."""
    try:
        agreed = click.confirm(question, err=output is not Format.TABLE)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=output is not Format.TABLE)
        raise click.ClickException(f"there is nobody to ask: say it with {otherwise}") from None
    if not agreed:
        raise click.ClickException("nothing was done")


def _path(request_id: str, action: str = "") -> str:
    from urllib.parse import quote

    return f"/v1/requests/{quote(request_id, safe='')}" + (f":{action}" if action else "")


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not (name and separator):
            raise click.BadParameter(f"'{one}' is no NAME=VALUE", param_hint="--parameter")
        if name in found:
            raise click.BadParameter(f"'{name}' is given twice", param_hint="--parameter")
        found[name] = value
    return found
