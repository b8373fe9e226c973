"""Where runs are recorded: the journal, and the directory for exports."""

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.eks.parameters import gathered, known_region
from aliquot.cli.parameters import GivenPath
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.journal import Journal, Run

_DATA = "aliquot/eks"
_FILE = "journal.db"


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    data: Path | None = None
    journal_url: str | None = None

    @property
    def directory(self) -> Path:
        if self.data is not None:
            return self.data
        state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
        return Path(state) / _DATA

    @property
    def is_there(self) -> bool:
        """Somebody has begun a journal here, or says where one is."""
        return self.journal_url is not None or (self.directory / _FILE).exists()

    @contextmanager
    def journal(self) -> Iterator["Journal"]:
        """What goes wrong with the journal, or is held in it, ends the command in one line."""
        from aliquot.eks.upgrade.journal import Held, Journal
        from aliquot.sql.failures import Unreachable, Unusable

        place = self.directory
        try:
            if self.journal_url is None:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = Journal(self.journal_url or f"sqlite:///{place}/{_FILE}")
            try:
                yield opened
            finally:
                opened.close()
        except (Held, Unreachable, Unusable) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{place}: {error.strerror or error}") from None


def record_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """They reach the command as `records: RecordOptions`."""
    command = gathered(command, "records", RecordOptions)
    for option in (
        click.option(
            "--data",
            type=GivenPath(file_okay=False, path_type=Path),
            envvar="ALIQUOT_EKS_DATA",
            show_envvar=True,
            metavar="DIR",
            help="For backups, and the journal where it is none of --journal.  [default: ~/.local/state/aliquot/eks]",
        ),
        click.option(
            "--journal",
            "journal_url",
            envvar="ALIQUOT_EKS_JOURNAL",
            show_envvar=True,
            metavar="URL",
            help="postgresql://USER@HOST/NAME, where several people work on the same clusters; else a file in --data.",
        ),
    ):
        command = option(command)
    return command


region_option = click.option(
    "--region",
    metavar="REGION",
    callback=known_region,
    help="Of which region CLUSTER is, where the journal knows several of its name.",
)


def cluster_of(kept: "Journal", word: str) -> str:
    """Its name or ARN, also where a run's own id was given."""
    run = next((one for one in kept.runs() if one.id == word), None)
    return word if run is None else run.arn or run.cluster


def take_over(kept: "Journal", run: "Run") -> None:
    kept.take_over(run.id, somebody(), SystemClock().now())


def the_run(kept: "Journal", word: str, region: str | None = None) -> "Run":
    """That goes on, of a cluster by its name or ARN, or by the run's own id. Raises Held, click.ClickException."""
    from aliquot.eks.upgrade import lookup

    found = lookup.going(kept.runs(), word, region)
    if found is None:
        raise click.ClickException(no_run(kept, word, region))
    return found


def no_run(kept: "Journal", word: str, region: str | None = None) -> str:
    """One line: of which cluster of that name one goes on, if of any."""
    from aliquot.eks.upgrade import lookup

    said = f"{word}{f' in {region}' if region else ''} has no run that goes on"
    others = sorted(one.arn for one in lookup.elsewhere(kept.runs(), word))
    if others:
        return f"{said}, {', '.join(others)} has: give its --region, or the ARN"
    return said


def somebody() -> str:
    """Whose word it is, as this machine knows them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # In a container, whose users are numbers.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def plan_of(kept: "Journal", run: str) -> "Plan":
    """Raises click.ClickException."""
    from aliquot.eks.plan import plan as plans

    try:
        return plans.decode(kept.plan(run))
    except plans.BadPlan as error:
        why = str(error).removesuffix(": plan anew")
        raise click.ClickException(
            f"the plan of {run} cannot be read: {why}; go on with the version of aliquot that began it"
        ) from None
