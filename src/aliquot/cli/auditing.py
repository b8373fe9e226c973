"""The audit log of `aliquot up`: from its options to the part that keeps it."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from aliquot.clock import Clock
from aliquot.document import DocumentError
from aliquot.emulator.audit import policy as policies
from aliquot.emulator.audit.collector import Collector
from aliquot.emulator.audit.log_file import LogFile
from aliquot.emulator.audit.policy import Policy
from aliquot.emulator.audit.recording import Auditor, Backend
from aliquot.emulator.network import Network


class AuditOptionError(Exception):
    """One line: what is wrong with the options, and the fix."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    policy: Policy
    log: Path | None
    webhook: str
    """A URL; empty for none."""


def read_options(policy: Path | None, log: Path | None, webhook: str | None) -> AuditOptions | None:
    """None when nothing is to be recorded. Raises AuditOptionError."""
    if policy is None and log is None and not webhook:
        return None
    if policy is None:
        option = "--audit-log" if log is not None else "--audit-webhook"
        raise AuditOptionError(
            f"{option} needs --audit-policy FILE, which says what is recorded; '{{apiVersion: audit.k8s.io/v1, kind: "
            "Policy, rules: [{level: Metadata}]}' in it records who did what"
        )
    if log is None and not webhook:
        raise AuditOptionError(
            "--audit-policy needs --audit-log FILE or --audit-webhook URL to keep events in"
        )
    if webhook:
        _check_url(webhook)
    try:
        return AuditOptions(policies.load(policy), log, webhook or "")
    except DocumentError as error:
        raise AuditOptionError(f"--audit-policy: {error}") from error


def _check_url(text: str) -> None:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise AuditOptionError(f"--audit-webhook: {text}: {error}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise AuditOptionError(f"--audit-webhook: {text}: https://HOST[:PORT]/PATH is expected")


def auditor(options: AuditOptions, network: Network, *, clock: Clock, rng: Random) -> Auditor:
    """Raises AuditError where the log cannot be written."""
    backends: list[Backend] = []
    if options.log is not None:
        backends.append(LogFile(options.log, clock=clock))
    if options.webhook:
        backends.append(Collector(options.webhook, network, rng=rng))
    return Auditor(options.policy, backends, clock=clock, rng=rng)
