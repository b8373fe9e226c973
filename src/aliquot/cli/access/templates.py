"""`aliquot access templates`: what may be asked for, and what speaks against a template before anybody is given one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.access.offered import offered
from aliquot.cli.output import Format, counted, emit, output_option, wide_output_option
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.core.templates.bindings import Bindings
    from aliquot.access.core.templates.checking import Finding
    from aliquot.access.core.templates.template import Template
    from aliquot.document import Document

bindings_option = click.option(
    "--bindings",
    type=GivenPath(dir_okay=False),
    metavar="FILE",
    help="Who is who: the words that templates use for people, with the groups of your identity provider.",
)


@click.group()
def templates() -> None:
    """What may be asked for: the templates that are shipped, and checks of your own."""


templates.add_command(offered)


@templates.command("list")
@wide_output_option
def list_templates(output: Format) -> None:
    """The templates that are shipped."""
    from aliquot.access.core.templates.catalogue import shipped, shipped_documents
    from aliquot.kube import duration

    found = shipped({})
    columns = ["NAME", "TIER", "WHERE", "MOST", "APPROVAL", "STEP-UP", "TICKET", "EMERGENCY"]
    rows = [
        [
            one.name,
            one.tier,
            "cluster" if one.cluster_wide else "namespace",
            duration.text(one.max_duration_s),
            _approval(document),
            f"{one.step_up.request}/{one.step_up.approval}",
            one.ticket.need,
            duration.text(one.emergency.duration_s) if one.emergency else "-",
        ]
        for one, document in zip(found, shipped_documents(), strict=True)
    ]
    if output is Format.WIDE:
        columns.append("DESCRIPTION")
        rows = [[*row, one.description] for row, one in zip(rows, found, strict=True)]
    emit(output, lambda: [_described(one) for one in found], columns=columns, rows=rows)


@templates.command("show")
@click.argument("name", shell_complete=lambda _ctx, _param, begun: _names(begun))
@bindings_option
@output_option
def show_template(name: str, bindings: str | None, output: Format) -> None:
    """The file of a template that is shipped, to be copied and changed; as json or yaml, what comes of it, with its digest."""
    from aliquot.access.core.templates.catalogue import shipped, shipped_text
    from aliquot.document import nearest

    found = {one.name: one for one in shipped(read_bindings(bindings) or {})}
    if name not in found:
        hint = nearest(name, found) or "; `aliquot access templates list` lists them"
        raise click.ClickException(f"no template '{name}' is shipped{hint}")
    if output is Format.TABLE:
        click.echo(shipped_text(name), nl=False)
    else:
        emit(output, lambda: _described(found[name]), columns=(), rows=())


@templates.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=GivenPath())
@bindings_option
@output_option
def check_templates(files: tuple[str, ...], bindings: str | None, output: Format) -> None:
    """What speaks against the templates in FILE..., by file and line; a directory stands for the *.yaml in it.

    Exit code 0: nothing; 1: something does, and such a template is not taken.
    """
    from aliquot.access.core.templates.checking import Weight, check, unreadable
    from aliquot.document import DocumentError, parse_all, read

    bound = read_bindings(bindings)
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in _files(files):
        try:
            documents += parse_all(read(path), source=str(path))
        except DocumentError as error:
            findings.append(unreadable(error))
    findings += check(documents, bound)
    errors = [one for one in findings if one.weight is Weight.ERROR]
    if output is not Format.TABLE:
        emit(output, lambda: findings, columns=(), rows=())
    else:
        for one in findings:
            click.echo(str(one))
        if not errors:
            click.echo(
                f"{counted(len(documents), 'template')}: nothing speaks against {'it' if len(documents) == 1 else 'them'}"
            )
    if errors:
        raise click.exceptions.Exit(1)


def documents_in(files: tuple[str, ...]) -> "list[Document]":
    """Of all templates in files and directories. Raises DocumentError, and click.ClickException for an empty directory."""
    from aliquot.document import parse_all, read

    return [one for path in _files(files) for one in parse_all(read(path), source=str(path))]


def _files(given: tuple[str, ...]) -> Iterator[Path]:
    for path in map(Path, given):
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.yaml"))
        if not found:
            raise click.ClickException(f"{path}: no *.yaml in it")
        yield from found


def read_bindings(path: str | None) -> "Bindings | None":
    """Raises click.ClickException with the place and the fix."""
    from aliquot.access.core.templates.bindings import parse_bindings
    from aliquot.document import DocumentError, read

    if path is None:
        return None
    try:
        return parse_bindings(read(Path(path)), source=path)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error


def _described(template: "Template") -> dict[str, Any]:
    import msgspec

    from aliquot.access.core.templates.template import digest, role_name

    found: dict[str, Any] = msgspec.to_builtins(template)
    return {**found, "digest": digest(template), "role": "" if template.has_own_role else role_name(template)}


def _approval(document: "Document") -> str:
    """`leads|platform + security`: one of either, and one of the third."""
    from aliquot.access.core.templates.file import words

    slots: dict[str | int, list[str]] = {}
    for path, word in words(document):
        if path[0] == "approval":
            slots.setdefault(path[2], []).append(word)
    return " + ".join("|".join(slot) for slot in slots.values()) or "beforehand"


def _names(begun: str) -> list[str]:
    from aliquot.access.core.templates.catalogue import shipped

    return [one.name for one in shipped({}) if one.name.startswith(begun)]
