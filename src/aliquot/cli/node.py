"""`aliquot node`: the agent of a GPU node, and what it would advertise."""

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, serve
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.plugin_options import follow, plugin_options, read_config, settle
from aliquot.cli.state import SIMULATED_GPUS
from aliquot.kube.roles import PLUGIN_CONFIG_MAP

if TYPE_CHECKING:
    from aliquot.gpu.driver import Driver
    from aliquot.node.configuration import Configuration
    from aliquot.node.health.policy import HealthPolicy
    from aliquot.node.plugin_config.file import Flags
    from aliquot.node.preview import Preview, PreviewedDevice, PreviewedResource

_METRICS_PORT = 9400
"""dcgm-exporter's, so that who scrapes it finds us."""


@click.group()
def node() -> None:
    """The agent of a GPU node."""


def _driver_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--driver",
        "driver_name",
        default="nvml",
        show_default=True,
        metavar="nvml|simulated:INVENTORY",
        help="The real driver, or a simulated one with the GPUs of an inventory.",
    )(command)


def _config_file_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--config-file",
        envvar="CONFIG_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration of NVIDIA's device plugin, version v1.  [env: CONFIG_FILE]",
    )(command)


@node.command("run")
@click.option(
    "--node-name",
    default=lambda: os.environ.get("NODE_NAME"),
    help="Name of the Node.  [default: $NODE_NAME]",
)
@click.option(
    "--kubelet-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/var/lib/kubelet"),
    show_default=True,
    help="Holds device-plugins/ and pod-resources/.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of real GPUs: where `aliquot mig` keeps its locks and journals.  [default: where it does]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Where Prometheus finds /metrics; 0: nowhere.  [default: 9400; of simulated GPUs 0, for many may share a machine]",
)
@click.option(
    "--metrics-address",
    default="",
    help="The address that /metrics and /healthz listen on.  [default: every one of the machine]",
)
@click.option(
    "--cdi-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/var/run/cdi"),
    show_default=True,
    help="Where the runtime looks for CDI specs; written where a device list strategy is one of CDI.",
)
@click.option(
    "--cdi-disable-hooks",
    default="",
    envvar="CDI_DISABLE_HOOKS",
    help="Hooks that CDI specs leave out, with commas; 'all' of them.  [env: CDI_DISABLE_HOOKS]",
)
@_config_file_option
@click.option(
    "--config-map",
    default=PLUGIN_CONFIG_MAP,
    show_default=True,
    envvar="CONFIG_MAP",
    help="ConfigMap of configurations, of which the node's label nvidia.com/device-plugin.config takes one; "
    "where there is no --config-file. Empty: none.  [env: CONFIG_MAP]",
)
@click.option(
    "--config-default",
    default="",
    envvar="DEFAULT_CONFIG",
    help="The one for nodes without the label.  [env: DEFAULT_CONFIG]",
)
@click.option(
    "--config-fallback-strategies",
    default="named,single,empty",
    show_default=True,
    envvar="FALLBACK_STRATEGIES",
    help="For nodes without the label where there is no default: the one called 'default', the only one, none.  "
    "[env: FALLBACK_STRATEGIES]",
)
@click.option(
    "--disable-health-checks",
    default="",
    envvar="DP_DISABLE_HEALTHCHECKS",
    help="Numbers of XIDs that make no device unhealthy, with commas; 'xids': none does, 'memory': no memory error, "
    "'all': neither.  [env: DP_DISABLE_HEALTHCHECKS]",
)
@click.option(
    "--enable-health-checks",
    default="",
    envvar="DP_ENABLE_HEALTHCHECKS",
    help="The same of those that do, whatever is disabled or ignored unasked.  [env: DP_ENABLE_HEALTHCHECKS]",
)
@plugin_options
@_driver_option
@cluster_options
def run_agent(
    node_name: str | None,
    kubelet_dir: Path,
    state: Path | None,
    metrics_port: int | None,
    metrics_address: str,
    cdi_dir: Path,
    cdi_disable_hooks: str,
    config_file: Path | None,
    config_map: str,
    config_default: str,
    config_fallback_strategies: str,
    disable_health_checks: str,
    enable_health_checks: str,
    given: "Flags",
    driver_name: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Serve this node's GPUs to its kubelet, cut them as GPUNode asks, and report. Runs until stopped."""
    if not node_name:
        raise click.UsageError("which node is this? Give --node-name or $NODE_NAME")
    configuration = follow(given, config_file, config_map, config_default, config_fallback_strategies)
    driver = open_driver(
        driver_name,
        node_name,
        state_file=kubelet_dir / SIMULATED_GPUS,
        wait=not configuration.settings.fail_on_init_error,
    )
    hooks = frozenset(word.strip() for word in cdi_disable_hooks.split(",") if word.strip())
    place = _Place(node_name, kubelet_dir, state, cdi_dir, hooks, metrics_address, metrics_port)
    health_policy = _health_policy(disable_health_checks, enable_health_checks)
    serve(lambda: _serve(place, configuration, health_policy, driver, kubeconfig, context))


def _health_policy(disabled: str, enabled: str) -> "HealthPolicy":
    from aliquot.node.health import policy

    found, warning = policy.parse(disabled, enabled)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where on its machine the agent works."""

    node_name: str
    kubelet_dir: Path
    state: Path | None
    cdi_dir: Path
    disabled_cdi_hooks: frozenset[str]
    metrics_address: str
    metrics_port: int | None


async def _serve(
    place: _Place,
    configuration: "Configuration",
    health_policy: "HealthPolicy",
    driver: "Driver",
    kubeconfig: str | None,
    context: str | None,
) -> None:
    import asyncio

    from aliquot.cli.mig.machines import STATE_DIRECTORY
    from aliquot.clock import SystemClock
    from aliquot.gpu.simulated import SimulatedDriver
    from aliquot.kube.kubeletapi.sockets import SocketDirectory
    from aliquot.node.agent import Agent
    from aliquot.node.cdi.writer import CdiFiles
    from aliquot.node.host import Host
    from aliquot.node.labels.machine_type import read_machine_type
    from aliquot.node.mps.control import NvidiaControl
    from aliquot.node.watched import of_one_node

    simulated = isinstance(driver, SimulatedDriver)
    port = place.metrics_port
    if port is None:
        port = 0 if simulated else _METRICS_PORT
    async with connect(kubeconfig, context) as client, AsyncExitStack() as services:
        watched, caches = of_one_node(client, place.node_name, configuration.config_map)
        agent = Agent(
            place.node_name,
            client=client,
            driver=driver,
            plugin_sockets=SocketDirectory(place.kubelet_dir / "device-plugins"),
            pod_resources_sockets=SocketDirectory(place.kubelet_dir / "pod-resources"),
            clock=SystemClock(),
            rng=random.Random(),
            run_blocking=asyncio.to_thread,
            configuration=configuration,
            watched=watched,
            caches=caches,
            health_policy=health_policy,
            host=Host(
                CdiFiles(place.cdi_dir),
                driver_here=not simulated,
                disabled_hooks=place.disabled_cdi_hooks,
            ),
            mps_control=None if simulated else NvidiaControl(),
            mig_directory=None if simulated else (place.state or STATE_DIRECTORY) / "journal",
            read_machine_type=read_machine_type,
        )
        if port:
            await services.enter_async_context(
                _serving_metrics(agent.metrics.text, place.metrics_address, port)
            )
        await agent.run()


@asynccontextmanager
async def _serving_metrics(
    text: Callable[[], Awaitable[str]], address: str, port: int
) -> AsyncIterator[None]:
    """Raises click.ClickException where it cannot listen."""
    from aliquot.node.metrics.server import serving

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving(text, address, port))
        except OSError as error:
            # Names that are not known have numbers of their own, and asyncio's words name the address once more.
            cause = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            where = f"{address or 'every address'}, port {port}"
            fix = "give another --metrics-address or --metrics-port; port 0: no metrics"
            raise click.ClickException(f"metrics cannot be served on {where}: {cause}; {fix}") from error
        yield


@node.command()
@_driver_option
@click.option("--node-name", default="node-0", show_default=True, help="Which node of the inventory.")
@_config_file_option
@click.option(
    "--against",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another configuration: print what --config-file would change of it.",
)
@plugin_options
@output_option
def preview(
    driver_name: str,
    node_name: str,
    config_file: Path | None,
    against: Path | None,
    given: "Flags",
    output: Format,
) -> None:
    """Print what this node would advertise: resources, device ids, what Allocate would answer, and the Node's labels.

    Exit code 1 when something cannot be advertised; stderr says what and why.
    """
    from aliquot.gpu.simulated import SimulatedDriver
    from aliquot.node import preview as previews
    from aliquot.node.host import Host
    from aliquot.node.inventory import observe
    from aliquot.node.labels.machine_type import read_machine_type

    driver = open_driver(driver_name, node_name)
    snapshot = observe(driver)
    host = Host(driver_here=not isinstance(driver, SimulatedDriver))

    def previewed(path: Path | None) -> "Preview":
        settings = settle(given, read_config(path))
        machine_type = read_machine_type(settings.machine_type_file)
        return previews.preview(snapshot, settings, machine_type, host.companions(settings))

    shown = previewed(config_file)
    if against is not None:
        before = previewed(against)
        changes = previews.changes(before, shown)
        told = [(change.what, change.before or "-", change.after or "-") for change in changes]
        emit(output, lambda: changes, columns=("WHAT", "BEFORE", "AFTER"), rows=told)
        _end_preview(shown)
        return
    rows = []
    for resource in shown.resources:
        rows += [_row(resource, device) for device in resource.devices] or [
            (resource.name, "", "none now", "", "")
        ]
    emit(
        output, lambda: shown, columns=("RESOURCE", "GPU", "WHAT", "DEVICE ID", "ALLOCATE ANSWERS"), rows=rows
    )
    if output.is_table and shown.labels:
        click.echo()
        table(("LABEL", "VALUE"), list(shown.labels.items()))
    _end_preview(shown)


def _end_preview(shown: "Preview") -> None:
    for note in shown.notes:
        click.echo(f"note: {note}", err=True)
    if shown.problems:
        raise click.ClickException("\n       ".join(shown.problems))


def _row(resource: "PreviewedResource", device: "PreviewedDevice") -> tuple[str, str, str, str, str]:
    what = f"{device.profile} at slot {device.start}" if device.profile else "whole GPU"
    ids = device.kubelet_ids
    if ids != (device.id,):
        what = f"{what}, {device.sharing} x {len(ids)}"
    answer = device.answer
    said = [f"{key}={value}" for key, value in sorted(answer.environment.items())]
    said += [f"{host}:{inside}" for inside, host in sorted(answer.mounts.items())]
    said += [f"{key}={value}" for key, value in sorted(answer.annotations.items())]
    said += [name for name in answer.cdi_devices if not answer.annotations]
    shown_id = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1].rpartition('::')[2]}"
    return (
        resource.name,
        f"{device.gpu_index} {device.product}",
        what,
        shown_id,
        device.fault or " ".join(said),
    )


def open_driver(name: str, node_name: str, *, state_file: Path | None = None, wait: bool = False) -> "Driver":
    """The driver that `--driver` names; a simulated one keeps its state in `state_file`. `wait`: the real one may come
    later.

    Raises click.ClickException with the fix.
    """
    from aliquot.document import DocumentError
    from aliquot.gpu.driver import DriverError

    kind, _, inventory_path = name.partition(":")
    if kind == "nvml" and not inventory_path:
        from aliquot.gpu.late_driver import late
        from aliquot.gpu.nvml import NvmlDriver

        if wait:
            return late(NvmlDriver)
        try:
            return NvmlDriver()
        except DriverError as error:
            raise click.ClickException(
                f"{error}; without a GPU, try --driver simulated:INVENTORY; to wait for the driver, "
                "--fail-on-init-error=false"
            ) from error
    if kind == "simulated" and inventory_path:
        from aliquot.gpu import inventory
        from aliquot.gpu.simulated import SimulatedDriver

        try:
            machine = inventory.load(Path(inventory_path)).node(node_name)
        except DocumentError as error:
            raise click.ClickException(str(error)) from error
        except KeyError as error:
            raise click.ClickException(f"{inventory_path}: {error.args[0]}") from error
        try:
            return SimulatedDriver(machine.gpus, node=node_name, state_file=state_file)
        except ValueError as error:
            raise click.ClickException(f"{state_file}: {error}; delete the file to begin anew") from error
        except OSError as error:
            raise click.ClickException(
                f"{state_file}: {error.strerror}; is --kubelet-dir one that 'aliquot status' shows?"
            ) from error
    raise click.UsageError(f"--driver {name!r} is neither 'nvml' nor 'simulated:INVENTORY'")
