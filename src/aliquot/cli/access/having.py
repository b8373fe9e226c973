"""`aliquot access kubeconfig`, `credential`, `extend`, `return`, `revoke`: what is done with a grant."""

import base64
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from aliquot.cli.access import showing
from aliquot.cli.access.calling import Server, code_option, proof, server_options
from aliquot.cli.output import Format, output_option
from aliquot.cli.parameters import Duration, GivenPath

_OVER = ("denied", "withdrawn", "lapsed", "ending", "ended")
_EXEC_VERSION = "client.authentication.k8s.io/v1"


@click.command()
@click.argument("grant", metavar="GRANT")
@click.option(
    "--out",
    type=GivenPath(dir_okay=False),
    help="A file that is made, for you alone.  [default: standard output]",
)
@server_options
def kubeconfig(server: Server, grant: str, out: str | None) -> None:
    """A kubeconfig with which kubectl has GRANT, for as long as it lasts: it fetches credentials by itself."""
    found = server.get(f"/v1/requests/{quote(grant, safe='')}")
    if found["stage"] in _OVER or found.get("endedInOutage"):
        raise click.ClickException(f"there is nothing to reach any more: {showing.stage(found)}")
    cluster = server.get(f"/v1/clusters/{quote(found['request']['cluster'], safe='')}")
    text = json.dumps(_kubeconfig(server, found, cluster), indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        # What it runs is run as whoever uses it.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error


@click.command()
@click.argument("grant", metavar="GRANT")
@server_options
def credential(server: Server, grant: str) -> None:
    """A credential for GRANT, as kubectl reads it of a plugin. It is good for ten minutes at most."""
    made = server.post(f"/v1/grants/{quote(grant, safe='')}:credential")
    status = {"token": made["token"], "expirationTimestamp": made["expires"]}
    click.echo(json.dumps({"apiVersion": _EXEC_VERSION, "kind": "ExecCredential", "status": status}))


@click.command()
@click.argument("grant", metavar="GRANT")
@click.option(
    "--by", "duration_s", type=Duration(least_s=1), help="Like 30m.  [default: as the template has it]"
)
@click.option("-m", "--because", "justification", required=True, help="Why, for whoever agrees to it.")
@click.option("--ticket", default="", help="Like CHG0031234 or OPS-17.")
@code_option
@output_option
@server_options
def extend(
    server: Server,
    grant: str,
    duration_s: float | None,
    justification: str,
    ticket: str,
    code: str,
    output: Format,
) -> None:
    """Ask for GRANT to last longer: a request of its own."""
    body: dict[str, Any] = {"justification": justification, "ticket": ticket}
    if duration_s is not None:
        body["durationSeconds"] = int(duration_s)
    path = f"/v1/grants/{quote(grant, safe='')}:extend"
    showing.tell(server.post(path, body, Idempotency_Key=secrets.token_hex(16), **proof(code)), output)


@click.command("return")
@click.argument("grant", metavar="GRANT")
@output_option
@server_options
def return_(server: Server, grant: str, output: Format) -> None:
    """Give GRANT back before its time."""
    showing.tell_stage(server.post(f"/v1/grants/{quote(grant, safe='')}:return"), output)


@click.command()
@click.argument("grant", metavar="GRANT")
@click.option("-m", "--because", "why", required=True, help="For its holder, and the log.")
@output_option
@server_options
def revoke(server: Server, grant: str, why: str, output: Format) -> None:
    """End GRANT now. Its credentials are refused within 15 seconds."""
    showing.tell_stage(server.post(f"/v1/grants/{quote(grant, safe='')}:revoke", {"why": why}), output)


def _kubeconfig(server: Server, found: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    name = f"aliquot-bg-{found['id']}"
    reached = {"server": cluster["server"]}
    if cluster["certificateAuthority"]:
        reached["certificate-authority-data"] = base64.b64encode(
            cluster["certificateAuthority"].encode()
        ).decode()
    plugin = {
        "apiVersion": _EXEC_VERSION,
        "command": _ourselves(),
        "args": ["access", "credential", found["id"], *server.options],
        "interactiveMode": "Never",
        "installHint": "aliquot is not on the path: pip install aliquot",
    }
    context = {"cluster": name, "user": name}
    if found["request"]["namespace"]:
        context["namespace"] = found["request"]["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": reached}],
        "users": [{"name": name, "user": {"exec": plugin}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def _ourselves() -> str:
    """By a whole path where there is one: not every shell that runs kubectl has the same $PATH."""
    called = Path(sys.argv[0])
    if called.name == "aliquot" and called.is_file():
        return str(called.resolve())
    return shutil.which("aliquot") or "aliquot"
