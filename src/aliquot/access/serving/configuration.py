"""The configuration file of `aliquot access serve`. Paths that are not absolute begin where the file is.

database: sqlite:////var/lib/aliquot/access.db    # or postgresql://USER@HOST/NAME
listen: 0.0.0.0:8443
tls: {certificateFile: tls.crt, keyFile: tls.key} # may be left out where it listens on this machine alone
policyFile: policy.yaml
bindingsFile: who.yaml
templates: [templates]                            # files and directories, beside the shipped ones
logKeyFile: log.key                               # of `aliquot access log new-key`
journal: /var/lib/aliquot/access.journal          # what is ended while the database is gone; else access.journal, beside SQLite's file or this
clusters:
- name: prod-one
  kubeconfig: agent.kubeconfig                    # of the cluster's account aliquot-access-agent; in-cluster without it
  server: https://prod-one.example.com:6443       # as holders reach it; else as the kubeconfig does
  audit: {tokenFile: prod-one.audit}              # what its API server shows with its audit log; without it none is taken
auditKeptDays: 400                                # what came of audit logs; the log itself is kept
identity: {...}                                   # who anybody is: access/identity/configuration.py
tickets: {...}                                    # access/tickets/settings.py
notify: {...}                                     # access/notify/settings.py
witnesses: {...}                                  # access/log/witness/settings.py
checkpoints: {entries: 100, seconds: 10, daily: true}    # the log is signed after so many or so long; sent to security each day
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.access.audit.intake import KEPT_S
from aliquot.access.audit.silence import SILENT_AFTER_S
from aliquot.access.core.templates.resolving import is_name
from aliquot.access.identity.configuration import IdentitySection, check_identity
from aliquot.access.log.witness.settings import WitnessSettings, check_witnesses
from aliquot.access.notify.settings import NotifySettings, check_notify
from aliquot.access.tickets.settings import TicketSettings, check_tickets
from aliquot.document import Document, nearest

_Text = Annotated[str, Meta(min_length=1)]
_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+):([0-9]{1,5})", re.ASCII)


class _Part(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Tls(_Part, frozen=True, kw_only=True):
    certificate_file: _Text
    key_file: _Text


class Audit(_Part, frozen=True, kw_only=True):
    """Of a cluster whose audit log comes here."""

    token_file: _Text
    """What it shows: one line, or two while one takes the place of the other."""
    silent_after_seconds: Annotated[int, Meta(ge=60, le=86_400)] = int(SILENT_AFTER_S)
    """Security is told, where grants let people in and nothing has come for so long."""


class Cluster(_Part, frozen=True, kw_only=True):
    name: _Text
    kubeconfig: str = ""
    context: str = ""
    server: str = ""
    audit: Audit | None = None


class Checkpoints(_Part, frozen=True, kw_only=True):
    entries: Annotated[int, Meta(ge=1, le=10_000)] = 100
    seconds: Annotated[int, Meta(ge=1, le=3600)] = 10
    daily: bool = True


class Configuration(_Part, frozen=True, kw_only=True):
    database: _Text
    listen: _Text = "127.0.0.1:8443"
    tls: Tls | None = None
    policy_file: _Text
    bindings_file: _Text
    templates: tuple[_Text, ...] = ()
    log_key_file: _Text
    journal: str = ""
    """Made by the server itself."""
    clusters: Annotated[tuple[Cluster, ...], Meta(min_length=1)]
    identity: IdentitySection
    tickets: TicketSettings = TicketSettings()
    notify: NotifySettings = NotifySettings()
    witnesses: WitnessSettings = WitnessSettings()
    checkpoints: Checkpoints = Checkpoints()
    audit_kept_days: Annotated[int, Meta(ge=1, le=3650)] = int(KEPT_S // 86_400)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def load(path: Path) -> Configuration:
    """Raises DocumentError."""
    found = document.parse(document.read(path), source=str(path))
    configuration = found.into(Configuration)
    _check(found, configuration)
    check_identity(found, ("identity",), configuration.identity)
    check_tickets(found, ("tickets",), configuration.tickets)
    check_notify(found, ("notify",), configuration.notify)
    check_witnesses(found, ("witnesses",), configuration.witnesses)
    return configuration


def _check(found: Document, configuration: Configuration) -> None:
    listen = configuration.listen
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match[2]) > 65_535:
        raise found.error(("listen",), f"'{listen}' is no address and port: write 0.0.0.0:8443")
    if configuration.tls is None and not _is_here(configuration.address[0]):
        raise found.error(
            ("listen",),
            "others would reach it unencrypted, and every request carries a token: add 'tls', or listen on 127.0.0.1",
        )
    seen: set[str] = set()
    for index, one in enumerate(configuration.clusters):
        where = ("clusters", index, "name")
        if not is_name(one.name):
            raise found.error(where, f"'{one.name}' is no name: lower-case letters, digits, '-' and '.'")
        if one.name in seen:
            raise found.error(where, f"there is another cluster '{one.name}'")
        seen.add(one.name)
        if one.server and not one.server.startswith("https://"):
            raise found.error(("clusters", index, "server"), f"'{one.server}' is no https:// URL")
    for index, issuer in enumerate(configuration.identity.kubernetes):
        if issuer.cluster not in seen:
            raise found.error(
                ("identity", "kubernetes", index, "cluster"),
                f"there is no cluster '{issuer.cluster}' under 'clusters'{nearest(issuer.cluster, seen)}",
            )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
