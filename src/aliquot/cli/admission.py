"""`aliquot admission`: what is done to pods at the door."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.connect import serve as run_until_stopped
from aliquot.cli.parameters import GivenName

if TYPE_CHECKING:
    import socket

_scheduler_option = click.option(
    "--scheduler-name",
    type=GivenName(),
    default="aliquot",
    show_default=True,
    help="The scheduler of pods that ask for a GPUClass and name none but the default one.",
)


@click.group()
def admission() -> None:
    """What is done to pods at the door: one that names a GPUClass asks for its resource, and is our scheduler's."""


@admission.command()
@_scheduler_option
@click.option("--dry-run", is_flag=True, help="Let the cluster judge it, and change nothing.")
@cluster_options
def install(scheduler_name: str, dry_run: bool, kubeconfig: str | None, context: str | None) -> None:
    """Give the cluster the policies by which it changes the pods itself; where it serves none, what `aliquot admission
    serve` stands on. Safe to repeat."""
    for line in run(lambda: _install(scheduler_name, dry_run, kubeconfig, context)):
        click.echo(line)


async def _install(scheduler: str, dry_run: bool, kubeconfig: str | None, context: str | None) -> list[str]:
    from aliquot.admission import installation

    async with connect(kubeconfig, context) as client:
        version = await installation.served_version(client)
        objects = installation.policies(version, scheduler=scheduler) if version else installation.webhook()
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
    host: str,
    port: int,
    service: str,
    namespace: str,
    url: str | None,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """The webhook, for clusters that serve no MutatingAdmissionPolicy. Makes and renews its certificate, and registers
    itself. Runs until stopped; several may run beside each other."""
    from aliquot.admission.server import CannotListen, listen

    try:
        listening = listen(host, port)
    except CannotListen as error:
        raise click.ClickException(str(error)) from error
    with listening:
        where = _where(url, service, namespace, listening.getsockname()[1])
        run_until_stopped(lambda: _serve(scheduler_name, listening, namespace, where, kubeconfig, context))


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
    listening: "socket.socket",
    namespace: str,
    where: _Where,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.admission.registration import Registration
    from aliquot.admission.server import WebhookServer
    from aliquot.clock import SystemClock

    clock = SystemClock()
    async with connect(kubeconfig, context) as client:
        registration = Registration(
            client, clock=clock, namespace=namespace, client_config=where.client_config, host=where.host
        )
        server = WebhookServer(registration, listening, clock=clock, scheduler=scheduler)
        await server.run()
