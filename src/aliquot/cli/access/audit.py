"""`aliquot access audit` and `aliquot access used`: what clusters' audit logs say, how it comes, and what came of it."""

import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from aliquot.cli.access.calling import Server, server_options, server_url
from aliquot.cli.access.showing import rule_text
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.parameters import GivenName, GivenPath

_MOST_AT_ONCE = 500
_MOST_BYTES = 4 << 20
_LOOK_EVERY_S = 1.0
_AGAIN_S = 5.0


@click.group()
def audit() -> None:
    """What clusters' audit logs say of grants, and of access that no grant gave."""


@audit.command("policy")
def policy() -> None:
    """Print the audit policy that an API server is to have (--audit-policy-file): who did what, without any bodies."""
    from aliquot.access.audit.cluster_side import audit_policy

    _print(audit_policy())


@audit.command("webhook-config")
@click.option(
    "--server", "url", required=True, callback=server_url, help="Where `aliquot access serve` answers."
)
@click.option("--cluster", required=True, type=GivenName(), help="As the server calls it.")
@click.option(
    "--token-file",
    default="/etc/kubernetes/aliquot-audit.token",
    show_default=True,
    metavar="PATH",
    help="Where the API server finds the token that the server's configuration has as audit.tokenFile.",
)
@click.option(
    "--ca-file",
    default="",
    metavar="PATH",
    help="Where it finds whom to trust for the server.  [default: whom its machine trusts]",
)
def webhook_config(url: str, cluster: str, token_file: str, ca_file: str) -> None:
    """Print the kubeconfig by which an API server delivers its audit log (--audit-webhook-config-file)."""
    from aliquot.access.audit import cluster_side

    if not url.startswith("https://"):
        # Kubernetes' clients leave it out; the server would refuse all that comes.
        raise click.UsageError("an API server shows its token over https:// alone")
    made = cluster_side.webhook_config(
        url, quote(cluster, safe=""), token_file=token_file, authority_file=ca_file
    )
    _print(made)


@audit.command("read")
@click.argument("file", type=GivenPath(allow_dash=True, dir_okay=False))
@click.option("--cluster", required=True, type=GivenName(), help="Whose log it is.")
@click.option(
    "--follow", is_flag=True, help="Go on with what is added to it, and with the file that takes its place."
)
@server_options
def read(server: Server, file: str, cluster: str, follow: bool) -> None:
    """Send an audit log's FILE (one event on each line; - is standard input) to the server, with the cluster's token in --token-file.

    Bodies, commands and whatever else may be secret are left out before anything is sent. To read a file twice changes nothing.
    """
    from aliquot.access.audit.files import followed, lines

    if follow and file == "-":
        raise click.UsageError("standard input is read to its end anyway: leave --follow out")
    sending = _Sending(server, cluster, patient=follow)
    try:
        if follow:
            sending.take(file, followed(Path(file), lambda: threading.Event().wait(_LOOK_EVERY_S)))
        elif file == "-":
            sending.take("-", lines(sys.stdin.buffer))
        else:
            with Path(file).open("rb") as stream:
                sending.take(file, lines(stream))
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from error
    click.echo(
        f"{sending.events} events, {sending.uses} requests of grants that were not known yet, {sending.findings} findings"
    )
    if sending.unread:
        raise click.ClickException(f"{sending.unread} lines could not be read")


class _Sending:
    def __init__(self, server: Server, cluster: str, *, patient: bool) -> None:
        self._server = server
        self._path = f"/v1/audit/{quote(cluster, safe='')}"
        self._patient = patient
        self._batch: list[Any] = []
        self._bytes = 0
        self.events = self.uses = self.findings = self.unread = 0

    def take(self, name: str, found: Iterable[bytes | None]) -> None:
        import msgspec

        from aliquot.access.audit.events import stripped

        number = 0
        for line in found:
            if line is None:
                self._send()
                continue
            number += 1
            if not line.strip():
                continue
            try:
                kept = stripped(line)
            except ValueError as error:
                self.unread += 1
                click.echo(f"{name}:{number}: {error}", err=True)
                continue
            if kept is not None:
                self._batch.append(msgspec.Raw(kept))
                self._bytes += len(kept)
            if len(self._batch) >= _MOST_AT_ONCE or self._bytes >= _MOST_BYTES:
                self._send()
        self._send()

    def _send(self) -> None:
        import msgspec

        if not self._batch:
            return
        sent = msgspec.json.encode(
            {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": self._batch}
        )
        while True:
            try:
                taken = self._server.send(self._path, sent)
                break
            except click.ClickException as error:
                if not self._patient:
                    raise
                click.echo(f"{error.message}; tried again", err=True)
                threading.Event().wait(_AGAIN_S)
        self.events += taken["events"]
        self.uses += taken["uses"]
        self.findings += taken["findings"]
        self._batch, self._bytes = [], 0


@audit.command("findings")
@click.option("--cluster", default="", help="Of this one alone.")
@click.option("--grant", default="", help="Of this one alone.")
@click.option("--limit", type=click.IntRange(1, 999), default=100, show_default=True)
@output_option
@server_options
def findings(server: Server, cluster: str, grant: str, limit: int, output: Format) -> None:
    """What was found of access that no grant gave, the latest first; for security and auditors."""
    asked = {"limit": str(limit), "cluster": cluster, "grant": grant}
    items = server.get(f"/v1/audit/findings?{urlencode({k: v for k, v in asked.items() if v})}")["items"]
    rows = [(one["first"], one["cluster"], one["rule"], one["grant"] or "-", one["text"]) for one in items]
    emit(output, lambda: items, columns=("AT", "CLUSTER", "RULE", "GRANT", "WHAT"), rows=rows)


@click.command()
@click.argument("grant", metavar="GRANT")
@output_option
@server_options
def used(server: Server, grant: str, output: Format) -> None:
    """What GRANT was used for, as the cluster's audit log has it, and which of its rights never were."""
    found = server.get(f"/v1/grants/{quote(grant, safe='')}/use")
    if output is not Format.TABLE:
        emit(output, lambda: found, columns=(), rows=())
        return
    click.echo("\n".join(_head(found)))
    rows = list(_rows(found))
    if rows:
        click.echo()
        table(("WHAT", "VERB", "RESOURCE", "NAMESPACE", "NAME", "TIMES", "FIRST", "LAST"), rows)
    if found["unused"]:
        click.echo(f"\nnever used, {found['unusedRights']} of {found['rights']} rights:")
        click.echo("\n".join(f"  {rule_text(one)}" for one in found["unused"]))


_MOST_NAMED = 8
_SORTS = {
    "read": "read",
    "changed": "changed",
    "secrets": "secret",
    "shells": "shell",
    "forwards": "tunnel",
    "denied": "denied",
    "urls": "url",
}


def _head(found: dict[str, Any]) -> Iterator[str]:
    if not found["count"]:
        yield f"{found['grant']}: nothing that was done with it has come"
        return
    yield f"{found['grant']}: {found['count']} requests, {found['first']} to {found['last']}"
    yield f"  from       {_some(found['addresses'])}"
    yield f"  with       {_some(found['agents'])}"
    if found["isCut"]:
        yield "  more requests than are counted: what was done is told, and how often is not"
    if found["isFolded"]:
        yield "  more of a kind than are told apart: * stands for the others"


def _some(found: list[dict[str, Any]]) -> str:
    names = [one["name"] for one in found]
    more = f" and {len(names) - _MOST_NAMED} more: -o json has all" if len(names) > _MOST_NAMED else ""
    return (", ".join(names[:_MOST_NAMED]) or "-") + more


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for sort, word in _SORTS.items():
        for one in found[sort]:
            resource = f"{one['resource']}.{one['group']}" if one["group"] else one["resource"]
            name = f"{one['name']} ({one['container']})" if one["container"] else one["name"]
            what = f"{word}, in vain" if one["failed"] else word
            if one["by"] == "admission":
                what = f"{word} by admission"
            yield (
                *(what, one["verb"], resource or "-", one["namespace"] or "-", name or "-"),
                *(str(one["count"]), one["first"], one["last"]),
            )


def _print(document: Any) -> None:
    import yaml

    click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
