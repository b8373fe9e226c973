"""`aliquot admission`: what is done to pods at the door."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.connect import serve as run_until_stopped
from aliquot.cli.parameters import GivenName

if TYPE_CHECKING:
    import socket

    from aliquot.admission.server import Certificates
    from aliquot.kube.client import Client

_scheduler_option = click.option(
    "--scheduler-name",
    type=GivenName(),
    default="aliquot",
    show_default=True,
    help="The scheduler of pods that ask for a GPUClass and name none but the default one.",
)


_certificates_option = click.option(
    "--certificates",
    type=click.Choice(["auto", "self", "cert-manager"]),
    default="auto",
    show_default=True,
    help="Who makes the webhook's certificate. self: the webhook; auto: cert-manager where it is there (of `serve`: where "
    "`install` has asked it), else the webhook.",
)


@click.group()
def admission() -> None:
    """What is done to pods at the door: one that names a GPUClass asks for its resource, and is our scheduler's."""


@admission.command()
@_scheduler_option
@_certificates_option
@click.option("--dry-run", is_flag=True, help="Let the cluster judge it, and change nothing.")
@cluster_options
def install(
    scheduler_name: str, certificates: str, dry_run: bool, kubeconfig: str | None, context: str | None
) -> None:
    """Give the cluster the policies by which it changes the pods itself; where it serves none, what `aliquot admission
    serve` stands on. Safe to repeat."""
    for line in run(lambda: _install(scheduler_name, certificates, dry_run, kubeconfig, context)):
        click.echo(line)


async def _install(
    scheduler: str, certificates: str, dry_run: bool, kubeconfig: str | None, context: str | None
) -> list[str]:
    from aliquot.admission import cert_manager, installation
    from aliquot.kube.roles import NAMESPACE

    async with connect(kubeconfig, context) as client:
        version = await installation.served_version(client)
        if version:
            objects = installation.policies(version, scheduler=scheduler)
        else:
            is_there = await cert_manager.is_served(client)
            if certificates == "cert-manager" and not is_there:
                raise click.ClickException(
                    "the cluster serves no Certificate of cert-manager.io/v1: install cert-manager, or give --certificates self"
                )
            by_it = is_there and certificates != "self"
            objects = installation.webhook(by_cert_manager=by_it)
            if is_there and not by_it and not dry_run:
                await cert_manager.forget(client, NAMESPACE)
        # Of what is in a namespace that is not there yet, a dry run could only say that.
        judged = [one for one in objects if not (dry_run and "namespace" in one["metadata"])]
        await installation.apply(client, judged, dry_run=dry_run)
        if version and not dry_run:
            await installation.forget_webhook(client)
    done = "would be applied" if dry_run else "applied"
    lines = [f"{one['kind']} {one['metadata']['name']} ({one['apiVersion']}): {done}" for one in objects]
    if not version:
        lines.append("the cluster serves no MutatingAdmissionPolicy: run `aliquot admission serve` in it")
    return lines


@admission.command()
@_scheduler_option
@_certificates_option
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="0: a free one.")
@click.option(
    "--service",
    type=GivenName(),
    default="aliquot-admission",
    show_default=True,
    help="By which the API server reaches it; in --namespace.",
)
@click.option(
    "--namespace",
    type=GivenName(),
    default="aliquot-system",
    show_default=True,
    help="Of Service and Secret.",
)
@click.option(
    "--url",
    help="How the API server reaches it outside of the cluster, instead of by a Service: https://HOST[:PORT]; without "
    "a port, the one that it listens on.",
)
@cluster_options
def serve(
    scheduler_name: str,
    certificates: str,
    host: str,
    port: int,
    service: str,
    namespace: str,
    url: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """The webhook, for clusters that serve no MutatingAdmissionPolicy. Makes and renews its certificate, or takes
    cert-manager's, and registers itself. Runs until stopped; several may run beside each other."""
    from aliquot.admission.server import CannotListen, listen

    if url is not None and certificates == "cert-manager":
        raise click.UsageError(
            "cert-manager's certificate is the Service's: with --url, give --certificates self"
        )
    try:
        listening = listen(host, port)
    except CannotListen as error:
        raise click.ClickException(str(error)) from error
    with listening:
        where = _where(url, service, namespace, listening.getsockname()[1])
        own = certificates == "self" or url is not None
        by = "self" if own else certificates
        run_until_stopped(
            lambda: _serve(scheduler_name, by, listening, namespace, where, kubeconfig, context)
        )


@dataclass(frozen=True, slots=True)
class _Where:
    """How the API server finds the webhook, and by what name it is to be known there."""

    client_config: dict[str, Any]
    host: str


def _where(url: str | None, service: str, namespace: str, port: int) -> _Where:
    from urllib.parse import urlsplit

    from aliquot.admission.registration import PATH

    if url is None:
        reference = {"name": service, "namespace": namespace, "path": PATH, "port": 443}
        return _Where({"service": reference}, f"{service}.{namespace}.svc")
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise click.ClickException(f"--url '{url}' is not https://HOST[:PORT]")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return _Where({"url": f"https://{host}:{parts.port or port}{PATH}"}, parts.hostname)


async def _serve(
    scheduler: str,
    certificates: str,
    listening: "socket.socket",
    namespace: str,
    where: _Where,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.admission.server import WebhookServer

    async with connect(kubeconfig, context) as client:
        source = await _certificates(client, certificates, namespace, where)
        await WebhookServer(source, listening, scheduler=scheduler).run()


async def _certificates(client: "Client", by: str, namespace: str, where: _Where) -> "Certificates":
    """`by`: `self`, `cert-manager`, or `auto`: as whoever installed it decided."""
    from aliquot.admission import cert_manager
    from aliquot.admission.registration import Registration

    if by == "cert-manager" or (by == "auto" and await cert_manager.is_asked(client, namespace)):
        return cert_manager.ManagedCertificate(client, namespace=namespace, client_config=where.client_config)
    return Registration(
        client, clock=client.clock, namespace=namespace, client_config=where.client_config, host=where.host
    )
