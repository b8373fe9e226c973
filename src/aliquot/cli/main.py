"""`aliquot`: the command line. One module per command group, imported when its command runs.

Exit codes: 0 done; 1 the work failed, one line on stderr says why and what to do; 2 the command line was wrong (of `mig`,
whose codes say more, 1); 3 `up --detach`: the cluster is up, and some of its nodes are not ready; 130 interrupted.
"""

import sys

import click

from aliquot import __version__
from aliquot.cli.lazy import LazyGroup

COMMANDS = {
    "up": ("aliquot.cli.up", "up", "Start an emulated GPU cluster on this machine."),
    "down": ("aliquot.cli.up", "down", "Stop the emulated cluster; its state stays."),
    "status": (
        "aliquot.cli.up",
        "status",
        "Show the emulated cluster: where it is, what runs, how it is joined.",
    ),
    "gpu": ("aliquot.cli.gpu", "gpu", "GPUs of the cluster, and boards of the catalogue."),
    "mig": ("aliquot.cli.mig.group", "mig", "Cut GPUs into MIG slices: plan, apply, verify, put back."),
    "install": (
        "aliquot.cli.installation.install",
        "install",
        "Put Aliquot into a cluster, or print what that would be.",
    ),
    "uninstall": (
        "aliquot.cli.installation.uninstall",
        "uninstall",
        "Take Aliquot out of a cluster; nodes are as they were.",
    ),
    "node": ("aliquot.cli.node.group", "node", "What runs on a GPU node: its agent, discovery, validation."),
    "operator": (
        "aliquot.cli.operator.group",
        "operator",
        "The node software of GPU nodes, as GPUPolicies want it.",
    ),
    "partition": (
        "aliquot.cli.partition.group",
        "partition",
        "Which GPU is cut how: pack a demand, make room for what waits.",
    ),
    "admission": (
        "aliquot.cli.admission",
        "admission",
        "What is done to pods at the door: a GPUClass by annotation.",
    ),
    "access": (
        "aliquot.cli.access.group",
        "access",
        "Break glass: into production for a while, with a trace.",
    ),
    "eks": (
        "aliquot.cli.eks.group",
        "eks",
        "EKS: provision, check, upgrade in place, and come back if it goes wrong.",
    ),
    "explain": (
        "aliquot.cli.explain",
        "explain",
        "Why a pod or a PodGroup waits, when it starts, what would let it run.",
    ),
    "scheduler": ("aliquot.cli.scheduler", "scheduler", "The scheduler."),
    "version": ("aliquot.cli.version", "version", "Versions of Aliquot and of what it stands on."),
    "completion": ("aliquot.cli.completion", "completion", "Print the shell's completion script."),
}


@click.command(cls=LazyGroup, listed=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aliquot")
def cli() -> None:
    """GPUs on Kubernetes, divided with nothing left over."""


def main() -> None:
    """Run the command line; what a command raises as `click.ClickException` ends as one line on stderr."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.Abort:
        code = 130
    except click.UsageError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
