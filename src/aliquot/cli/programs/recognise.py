"""Which program a container is, by its image and its command."""

from aliquot.cli.programs.agent import Agent
from aliquot.cli.programs.discovery import Discovery
from aliquot.cli.programs.driver import Driver, DriverManager
from aliquot.cli.programs.exporter import Exporter
from aliquot.cli.programs.images import name_of
from aliquot.cli.programs.leaving import Leaving
from aliquot.cli.programs.operator import OperatorProgram
from aliquot.cli.programs.software import NodeSoftware
from aliquot.cli.programs.toolkit import Toolkit, refuse_without_it
from aliquot.cli.programs.validator import Validation
from aliquot.cli.programs.workload import Workload
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig
from aliquot.emulator.kubelet.runtimes.programs import Program
from aliquot.operator.core.rendering.operands import LOADED_AS


def program(software: NodeSoftware, config: ContainerConfig, *, resumed: bool) -> Program | None:
    """Raises StartRefused."""
    if not resumed:
        refuse_without_it(software, config)
    match (*config.command, *config.args):
        case ("driver-manager", *_):
            return DriverManager(software, config.env.get(LOADED_AS, ""))
        case ("nvidia-driver", *_):
            return Driver.of(software, config, resumed=resumed)
        case ("nvidia-toolkit", *_):
            return Toolkit.of(software, config, resumed=resumed)
        case ("aliquot", "node", "run", *_):
            return Agent(software, config)
        case ("aliquot", "node", "discover", *_):
            return Discovery(software)
        case ("aliquot", "node", "validate", *_):
            return Validation(software, config)
        case ("aliquot", "node", "workload", *_):
            return Workload(software, config)
        case ("aliquot", "operator", "run", *_) if not software.is_followed:
            return OperatorProgram(software, config)
        case ("aliquot", "uninstall", "--nodes-only", *_):
            return Leaving(software)
    return Exporter.of(software, config) if name_of(config.image) == "dcgm-exporter" else None
