"""`aliquot access request`, `list`, `show`, `approve`, `deny`, `withdraw`, `activate`: from asking to being let in."""

import secrets
import threading
from typing import Any

import click

from aliquot.cli.access.calling import Server, code_option, proof, server_options
from aliquot.cli.output import Format, emit, output_option
from aliquot.cli.parameters import Duration

_LOOK_EVERY_S = 0.2
_WAITS_S = 30.0


@click.command()
@click.argument("template")
@click.option("--cluster", required=True, help="As the server calls it.")
@click.option("-n", "--namespace", default="", help="Leave it out for a template of all of a cluster.")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the template leaves open.",
)
@click.option(
    "--for", "duration_s", type=Duration(least_s=1), help="Like 30m.  [default: as the template has it]"
)
@click.option("--start", help="Begin then, by itself: 2026-11-29T22:00:00Z.  [default: when you activate it]")
@click.option("-m", "--because", "justification", required=True, help="Why, for whoever agrees to it.")
@click.option("--ticket", default="", help="Like CHG0031234 or OPS-17.")
@click.option(
    "--emergency", is_flag=True, help="Begin at once with nobody's consent; it is reviewed afterwards."
)
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
    _tell(server.post("/v1/requests", body, Idempotency_Key=secrets.token_hex(16), **proof(code)), output)


@click.command("list")
@click.option("--stage", default="", help="Like pending,active.  [default: all]")
@click.option("--mine", is_flag=True, help="Only what you asked for.")
@click.option("--review-open", is_flag=True, help="Only what is still to be reviewed.")
@output_option
@server_options
def list_(server: Server, stage: str, mine: bool, review_open: bool, output: Format) -> None:
    """Requests and grants that you may see, the latest first."""
    from urllib.parse import urlencode

    asked = {"limit": "100"}
    if stage:
        asked["stage"] = stage
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
    columns = ("ID", "TEMPLATE", "CLUSTER", "NAMESPACE", "WHO", "STAGE", "END")
    emit(output, lambda: items, columns=columns, rows=[_row(one) for one in items])


@click.command()
@click.argument("request_id", metavar="ID")
@output_option
@server_options
def show(server: Server, request_id: str, output: Format) -> None:
    """What was asked for, by whom, why, and what has become of it."""
    found = server.get(_path(request_id))
    if output is Format.TABLE:
        click.echo(described(found))
    else:
        emit(output, lambda: found, columns=(), rows=())


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("--digest", help="Of the request as you have seen it: agree without being asked.")
@code_option
@server_options
def approve(server: Server, request_id: str, digest: str | None, code: str) -> None:
    """Agree to a request. What you agree to is shown first: it is that, and nothing that it may become."""
    found = server.get(_path(request_id))
    click.echo(described(found))
    if digest is None:
        click.confirm("Agree to exactly this?", abort=True)
        digest = found["digest"]
    after = server.post(_path(request_id, "approve"), {"digest": digest}, **proof(code))
    click.echo(f"{request_id}: {after['stage']}")


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("-m", "--because", "why", required=True, help="For whoever asked.")
@server_options
def deny(server: Server, request_id: str, why: str) -> None:
    """Say no to a request, for all who could agree."""
    found = server.get(_path(request_id))
    after = server.post(_path(request_id, "deny"), {"digest": found["digest"], "why": why})
    click.echo(f"{request_id}: {after['stage']}")


@click.command()
@click.argument("request_id", metavar="ID")
@server_options
def withdraw(server: Server, request_id: str) -> None:
    """Take back what you asked for, before it begins."""
    click.echo(f"{request_id}: {server.post(_path(request_id, 'withdraw'))['stage']}")


@click.command()
@click.argument("request_id", metavar="ID")
@server_options
def activate(server: Server, request_id: str) -> None:
    """Begin: the time runs from now. Waits until the cluster has it."""
    found = server.post(_path(request_id, "activate"))
    waiting = threading.Event()
    for _ in range(int(_WAITS_S / _LOOK_EVERY_S)):
        if found["stage"] != "activating":
            break
        waiting.wait(_LOOK_EVERY_S)
        found = server.get(_path(request_id))
    if found["stage"] != "active":
        raise click.ClickException(f"{request_id}: {found['stage']}{_because(found)}")
    click.echo(f"{request_id}: active until {found['end']}")


def described(found: dict[str, Any]) -> str:
    """All that is agreed to, for people; what somebody wrote is marked, so that it cannot pass for anything else."""
    asked = found["request"]
    where = f"namespace {asked['namespace']}" if asked["namespace"] else "all of the cluster"
    lines = [
        f"{found['id']}: {found['stage']}{_because(found)}",
        f"  digest     {found['digest']}",
        f"  who        {_person(asked['requester'])}",
        f"  template   {asked['template']}",
        f"  where      {where} of {asked['cluster']}",
        f"  for        {asked['durationSeconds']} s{' from ' + asked['start'] if asked['start'] else ''}",
    ]
    if asked["parameters"]:
        pairs = ", ".join(f"{name}={value}" for name, value in sorted(asked["parameters"].items()))
        lines.append(f"  with       {pairs}")
    if asked["ticket"]:
        lines.append(f"  ticket     {asked['ticket']}")
    if asked["emergency"]:
        lines.append("  emergency  agreed to by nobody")
    if asked["extends"]:
        lines.append(f"  extends    {asked['extends']}")
    lines.append("  may")
    lines += [f"    {rule_text(rule)}" for rule in asked["rules"]]
    lines.append("  because")
    lines += [f"    | {line}" for line in asked["justification"].splitlines()]
    if found["approvals"]:
        lines.append("  agreed")
        lines += [f"    {_person(one['person'])} at {one['at']}" for one in found["approvals"]]
    if found["end"]:
        lines.append(f"  ends       {found['end']}")
    if found["reviewState"] != "none":
        lines.append(f"  review     {found['reviewState']}")
    return "\n".join(lines)


def rule_text(rule: dict[str, Any]) -> str:
    groups = [one for one in rule["apiGroups"] if one]
    of = f" of {', '.join(groups)}" if groups else ""
    named = f" named {', '.join(rule['resourceNames'])}" if rule["resourceNames"] else ""
    return f"{', '.join(rule['verbs'])} {', '.join(rule['resources'])}{of}{named}"


def _because(found: dict[str, Any]) -> str:
    why = " ".join((found["why"] or "").split())
    reason = (found["endReason"] or "").replace("_", " ")
    said = "; ".join(one for one in (reason, why) if one)
    return f" ({said})" if said else ""


def _person(person: dict[str, str]) -> str:
    return f"{person['subject']} of {person['issuer']}"


def _row(found: dict[str, Any]) -> list[str]:
    asked = found["request"]
    return [
        found["id"],
        asked["template"],
        asked["cluster"],
        asked["namespace"] or "-",
        asked["requester"]["subject"],
        found["stage"],
        found["end"] or "-",
    ]


def _tell(found: dict[str, Any], output: Format) -> None:
    if output is Format.TABLE:
        click.echo(described(found))
    else:
        emit(output, lambda: found, columns=(), rows=())


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
