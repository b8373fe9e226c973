"""The audit log of `aliquot up`: from its options to the part that keeps it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
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
from aliquot.kube import kubeconfig


@dataclass(frozen=True, slots=True)
class Webhook:
    url: str
    authority: bytes = b""
    """PEM of whom to trust; empty for those whom the machine trusts."""
    token: Callable[[], str] | None = field(default=None, repr=False, compare=False)


class AuditOptionError(Exception):
    """One line: what is wrong with the options, and the fix."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    policy: Policy
    log: Path | None
    webhook: Webhook | None


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
    there = _webhook(webhook) if webhook else None
    try:
        return AuditOptions(policies.load(policy), log, there)
    except DocumentError as error:
        raise AuditOptionError(f"--audit-policy: {error}") from error


def _webhook(text: str) -> Webhook:
    """A URL, or a kubeconfig as kube-apiserver takes it (--audit-webhook-config-file)."""
    if "://" in text or not Path(text).is_file():
        _check_url(text)
        return Webhook(text)
    try:
        found = kubeconfig.load(text)
    except kubeconfig.KubeconfigError as error:
        raise AuditOptionError(f"--audit-webhook: {error}") from error
    _check_url(found.server)
    token: Callable[[], str] | None = None
    if found.token_file is not None:
        token = partial(_token_in, found.token_file)
    elif found.token:
        token = partial(str, found.token)
    if token is not None and not found.server.startswith("https:"):
        # The real one leaves it out, and nobody learns why nothing is taken.
        raise AuditOptionError(f"--audit-webhook: {text}: a token is shown over https:// alone")
    return Webhook(found.server, found.ca or b"", token)


def _token_in(path: Path) -> str:
    """As it is now. Raises OSError."""
    return path.read_text().strip()


def _check_url(text: str) -> None:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as error:
        raise AuditOptionError(f"--audit-webhook: {text}: {error}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise AuditOptionError(
            f"--audit-webhook: {text}: https://HOST[:PORT]/PATH or a kubeconfig is expected"
        )


def auditor(options: AuditOptions, network: Network, *, clock: Clock, rng: Random) -> Auditor:
    """Raises AuditError where the log cannot be written."""
    backends: list[Backend] = []
    if options.log is not None:
        backends.append(LogFile(options.log, clock=clock))
    if (there := options.webhook) is not None:
        collector = Collector(there.url, network, rng=rng, authority=there.authority, token=there.token)
        backends.append(collector)
    return Auditor(options.policy, backends, clock=clock, rng=rng)
