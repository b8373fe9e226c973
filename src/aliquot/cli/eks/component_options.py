"""Which tables of ending APIs a preflight goes by: what is shipped, your own beside it, some components alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.eks.versions.minor import Minor
    from aliquot.eks.versions.removals import Removals


def component_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--table",
            "tables",
            multiple=True,
            type=GivenPath(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Also these API versions end; in the form of pluto's versions.yaml.",
        ),
        click.option(
            "--component",
            "components",
            multiple=True,
            metavar="NAME",
            help="Of ending APIs, those of this component alone: kubernetes, cert-manager, one of --table.",
        ),
        click.option(
            "--target",
            "targets",
            multiple=True,
            metavar="NAME=VERSION",
            help="Which version of a component there is, as cert-manager=1.16; else its image says it.",
        ),
    ):
        command = option(command)
    return command


def chosen(
    tables: tuple[Path, ...], components: tuple[str, ...], targets: tuple[str, ...]
) -> "tuple[Removals, dict[str, Minor]]":
    """What ends, and the versions of components that are said. Raises click's exceptions."""
    from aliquot.document import DocumentError, nearest
    from aliquot.eks.versions import removals
    from aliquot.eks.versions.tables import load

    known, said = removals.shipped(), dict[str, "Minor"]()
    for path in tables:
        try:
            table = load(path, known)
        except DocumentError as error:
            raise click.ClickException(str(error)) from None
        known = known.with_rows(table.rows)
        said |= table.targets
    for target in targets:
        name, version = _target(target)
        if name not in known.components:
            raise click.UsageError(
                f"--target {target}: there is no component {name}{nearest(name, known.components)}"
            )
        said[name] = version
    for name in components:
        if name not in known.components:
            raise click.UsageError(
                f"--component {name}: nothing is known of it{nearest(name, known.components)}; there are {', '.join(known.components)}"
            )
    return (known.only(components) if components else known), said


def _target(text: str) -> "tuple[str, Minor]":
    from aliquot.eks.versions.minor import Minor
    from aliquot.eks.versions.removals import KUBERNETES

    name, given, version = text.partition("=")
    if not given or not name:
        raise click.UsageError(f"--target {text}: write it as cert-manager=1.16")
    if name in (KUBERNETES, "k8s"):
        raise click.UsageError(f"--target {text}: where Kubernetes is to go, --to says")
    try:
        return name, Minor.parse(version)
    except ValueError:
        raise click.UsageError(f"--target {text}: {version!r} is no version: write it as 1.16") from None
