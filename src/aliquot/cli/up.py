"""`aliquot up`, `down`, `status`: an emulated GPU cluster on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli import detached
from aliquot.cli import state as states
from aliquot.cli.authenticating import authentication_options
from aliquot.cli.boards import complete_gpus
from aliquot.cli.output import Format, counted, emit, output_option, table
from aliquot.cli.parameters import GivenPath, NodeGpus, Seconds
from aliquot.cli.readiness import described
from aliquot.emulator import versions

if TYPE_CHECKING:
    from aliquot.gpu.inventory import InventoryGpus

NOT_ALL_READY = 3
"""Exit code of `up --detach` when the cluster is up and some nodes are not ready."""


def _state_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--state",
        "state_path",
        type=GivenPath(file_okay=False, path_type=Path),
        default=states.default_path,
        show_default="$XDG_STATE_HOME/aliquot/default",
        help="Where the cluster lives.",
    )(command)


@click.command()
@_state_option
@click.option(
    "--nodes", type=click.IntRange(min=0), help="How many equal nodes; 0 is the bare API.  [default: 1]"
)
@click.option(
    "--gpus",
    type=NodeGpus(),
    shell_complete=complete_gpus,
    help="GPUs of each of them, as BOARD:COUNT[,BOARD:COUNT...].  [default: h100-80gb:8]",
)
@click.option(
    "--inventory", type=click.Path(dir_okay=False, path_type=Path), help="Nodes and GPUs from a YAML file."
)
@click.option(
    "--kubernetes-version",
    shell_complete=lambda context, parameter, typed: [v for v in versions.SUPPORTED if v.startswith(typed)],
    metavar="MINOR",
    help=f"Which Kubernetes to be, {versions.SUPPORTED[0]} to {versions.SUPPORTED[-1]}; a state may go to a newer one.  [default: that of the last time, or {versions.DEFAULT}]",
)
@click.option(
    "--runtime-config",
    metavar="API[,API...]",
    help="API versions to turn on that are off by default, as kube-apiserver takes them: scheduling.k8s.io/v1beta1=true. '' for none.  [default: those of the last time]",
)
@click.option(
    "--runtime",
    type=click.Choice(["simulated", "process"]),
    help="simulated: a pod runs as its annotations say; process: containers are local processes.  [default: that of the last time, or simulated]",
)
@click.option(
    "--no-agents",
    is_flag=True,
    help="Start no node agents: run 'aliquot node run' yourself, on the kubelet directories that 'aliquot status' shows.",
)
@click.option(
    "--operator/--no-operator",
    default=None,
    help="Nodes begin without driver, toolkit and agent, and get them by a GPUPolicy.  [default: as the last time, or not]",
)
@click.option(
    "--operator-outside",
    is_flag=True,
    help="With --operator: run no operator here, but 'aliquot operator run' yourself, or 'aliquot install'. Remembered where --operator is.",
)
@click.option(
    "--partitioning",
    type=click.Choice(["static", "onDemand", "budgeted"]),
    help="Of nodes that say none of their own: onDemand cuts and shares GPUs as pods need them, budgeted moves pods for others as well.  [default: that of the last time, or static]",
)
@click.option(
    "--faults",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What is to go wrong for clients of the API, from a YAML file (docs/emulator.md); its changes are taken up at once.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port on 127.0.0.1; 0 keeps the last one or picks one.",
)
@click.option(
    "--audit-policy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record requests to the API as this audit.k8s.io/v1 Policy says; needs --audit-log or --audit-webhook.",
)
@click.option(
    "--audit-log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append audit events to this file, one line of JSON each.",
)
@click.option(
    "--audit-webhook",
    metavar="URL|FILE",
    help="Send audit events to this URL, in batches, or as a kubeconfig says (kube-apiserver's --audit-webhook-config-file).",
)
@authentication_options
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(),
    default=110,
    show_default=True,
    metavar="SECONDS",
    help="How long nodes may take until those that are not ready are named.",
)
@click.option(
    "--detach", is_flag=True, help="Return when the nodes are ready; stop the cluster with 'aliquot down'."
)
@click.option("-v", "--verbose", is_flag=True, help="Log what each part does, and not only what goes wrong.")
@click.option(
    "--lock-descriptor", type=int, hidden=True, help="Of the parent that holds the state directory."
)
def up(
    state_path: Path,
    nodes: int | None,
    gpus: "tuple[InventoryGpus, ...] | None",
    inventory: Path | None,
    kubernetes_version: str | None,
    runtime_config: str | None,
    runtime: str | None,
    no_agents: bool,
    operator: bool | None,
    operator_outside: bool,
    partitioning: str | None,
    faults: Path | None,
    port: int,
    audit_policy: Path | None,
    audit_log: Path | None,
    audit_webhook: str | None,
    wait_s: float,
    detach: bool,
    verbose: bool,
    lock_descriptor: int | None,
    **authentication: Any,
) -> None:
    """Start an emulated GPU cluster, and keep it in the foreground until Ctrl-C.

    State stays in the state directory: the next `up` finds its objects again. Without --nodes, --gpus or
    --inventory the nodes are those of the last time; so are version, runtime, operator, partitioning and port.

    A node that does not become ready holds nobody up: the cluster stays, and says why. Exit code with --detach: 0 all
    nodes are ready; 3 the cluster is up, some nodes are not ready; 1 it is not up.
    """
    state = states.StateDirectory(state_path)
    if inventory is not None and (nodes is not None or gpus is not None):
        raise click.UsageError("--inventory names the nodes itself: leave out --nodes and --gpus")
    if detach:
        _detach(state, sys.argv[1:], wait_s)
        return
    from aliquot.cli import local, logs
    from aliquot.cli.plan import LocalClusterError, plan

    logs.configure(verbose=verbose)

    try:
        with state.held(lock_descriptor) as lock:
            wanted = plan(
                state,
                nodes=nodes,
                gpus=gpus,
                inventory=inventory,
                kubernetes_version=kubernetes_version,
                runtime_config=runtime_config,
                runtime=runtime,
                agents=not no_agents,
                operator=operator,
                operator_outside=operator_outside,
                faults=faults,
                port=port,
                patience_s=wait_s,
                audit_policy=audit_policy,
                audit_log=audit_log,
                audit_webhook=audit_webhook,
                authentication=authentication,
                partitioning=partitioning,
            )
            local.run_in_foreground(wanted, say=logs.say, verbose=verbose, lock=lock)
    except LocalClusterError as error:
        raise click.ClickException(str(error)) from error


def _detach(state: states.StateDirectory, arguments: list[str], wait_s: float) -> None:
    running = detached.start(state, [a for a in arguments if a != "--detach"], wait_s=wait_s)
    # A shell evaluates what is on standard output.
    if running.ready:
        click.echo(f"{counted(running.nodes, 'node')} ready at {running.server}", err=True)
        click.echo(state.export)
        return
    up = f"up at {running.server}, {running.nodes_ready} of {counted(running.nodes, 'node')} ready"
    click.echo(up, err=True)
    click.echo(state.export)
    for line in described(running.not_ready, of=running.nodes - running.nodes_ready):
        click.echo(line, err=True)
    raise click.exceptions.Exit(NOT_ALL_READY)


@click.command()
@_state_option
def down(state_path: Path) -> None:
    """Stop the cluster of a state directory; its state stays."""
    state = states.StateDirectory(state_path)
    if detached.stop(state):
        click.echo(f"stopped; state stays in {state.path}")
    else:
        click.echo(f"{state.path}: not running")


@click.command()
@_state_option
@output_option
def status(state_path: Path, output: Format) -> None:
    """Show the cluster of a state directory. Exit code 1 when it does not run."""
    state = states.StateDirectory(state_path)
    running = _running(state)
    emit(
        output,
        lambda: {"state": str(state.path), "kubeconfig": str(state.kubeconfig), **_fields(running)},
        columns=("FIELD", "VALUE"),
        rows=[
            ("state", str(state.path)),
            ("kubeconfig", str(state.kubeconfig)),
            ("server", running.server),
            (
                "process",
                f"{running.pid}, nodes in {running.nodes_pid}" if running.nodes_pid else str(running.pid),
            ),
            ("Kubernetes", running.kubernetes_version),
            *([("with", ", ".join(running.enabled_apis))] if running.enabled_apis else []),
            ("ready", "yes" if running.ready else f"no: {running.nodes_ready} of {running.nodes}"),
            ("nodes", str(running.nodes)),
            ("kubelets and agents joined by", running.joined_by),
            ("agents", _agents(running)),
            ("runtime", running.runtime),
            ("partitioning", f"{running.partitioning}, of nodes that say none of their own"),
        ],
    )
    if output is not Format.TABLE:
        return
    if running.kubelet_directories:
        click.echo()
        table(("NODE", "KUBELET DIRECTORY"), list(running.kubelet_directories.items()))
    if running.not_ready:
        click.echo()
        for line in described(running.not_ready, of=running.nodes - running.nodes_ready):
            click.echo(line)


def _agents(running: states.Running) -> str:
    if running.operator:
        where = "yours: aliquot operator run, or install" if running.operator_outside else "in this process"
        return f"by GPUPolicies; the operator is {where}"
    return "in this process" if running.agents else "yours: aliquot node run"


def _running(state: states.StateDirectory) -> states.Running:
    """Raises click.ClickException when nothing runs, or nothing that can be shown yet."""
    holder = state.holder()
    if holder is None:
        raise click.ClickException(
            f"{state.path}: not running; start it with 'aliquot up --state {state.path}'"
        )
    running = state.running()
    if running is None or running.pid != holder:
        raise click.ClickException(f"{state.path}: process {holder} is starting it; ask again in a moment")
    return running


def _fields(running: states.Running) -> dict[str, Any]:
    import msgspec

    fields = msgspec.to_builtins(running)
    assert isinstance(fields, dict)
    return fields
