"""`aliquot node run`: the agent of a GPU node."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, serve
from aliquot.cli.drivers import driver_option, open_driver
from aliquot.cli.metrics import serving_metrics
from aliquot.cli.node.options import node_name_option
from aliquot.cli.plugin_options import config_file_option, follow, plugin_options
from aliquot.cli.state import SIMULATED_GPUS
from aliquot.kube.roles import PLUGIN_CONFIG_MAP

if TYPE_CHECKING:
    from aliquot.gpu.driver import Driver
    from aliquot.node.configuration import Configuration
    from aliquot.node.health.policy import HealthPolicy
    from aliquot.node.plugin_config.file import Flags

_METRICS_PORT = 9400
"""dcgm-exporter's, so that who scrapes it finds us."""


@click.command("run")
@node_name_option
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
@config_file_option
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
@driver_option
@cluster_options
def run_agent(
    node_name: str,
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
    async with connect(kubeconfig, context) as client:
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
        async with serving_metrics(agent.metrics.text, place.metrics_address, port):
            await agent.run()
