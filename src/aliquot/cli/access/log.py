"""`aliquot access log`: the log of what was granted, checked and exported from a dump of it; keys; witnesses.

Nothing here needs the server (what does is in `fetching`): an auditor has a dump, the log's key and this, or `verify.py` alone.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from aliquot.cli.access.fetching import checkpoint, consistency, entries, proof
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.log.notes import SigningKey
    from aliquot.access.log.witness.witness import Witness


_OTHER_FORM = 3


@click.group()
def log() -> None:
    """What was asked, approved, granted and ended, so that it cannot be altered unnoticed."""


for fetched in (checkpoint, proof, consistency, entries):
    log.add_command(fetched)


@log.command(
    short_help="Check a dump of the log, offline.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def verify(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Check a dump of the log, offline: what `python verify.py` does, and says with --help."""
    from aliquot.access.log import verify as verifier

    context.exit(verifier.main(arguments, context.command_path))


@log.command()
@click.option(
    "--database",
    "url",
    required=True,
    help="sqlite:///FILE or postgresql://USER@HOST/NAME, as the server has it.",
)
@click.option(
    "--key", "key_file", type=GivenPath(), help="The log's private key: sign the log as it is now first."
)
@click.option("--without-personal", is_flag=True, help="Leave out what people wrote; it proves as much.")
def dump(url: str, key_file: str | None, without_personal: bool) -> None:
    """Write the log to standard output, for 'verify'. The server may run meanwhile, or be gone for good."""
    import asyncio

    from aliquot.access.log.checkpoints import Inconsistent
    from aliquot.sql.failures import Unreachable, Unusable

    key = _signing_key(key_file, witness=False) if key_file is not None else None
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.is_file():
        # It would be made, and be empty.
        raise click.ClickException(f"{path}: there is no such database")
    try:
        asyncio.run(_dump(url, key, with_personal=not without_personal))
    except (Inconsistent, Unreachable, Unusable) as error:
        raise click.ClickException(str(error)) from error


async def _dump(url: str, key: "SigningKey | None", *, with_personal: bool) -> None:
    from aliquot.access.log.checkpoints import sign_head
    from aliquot.access.log.dump import dump as dumped
    from aliquot.access.log.verify import parse_checkpoint, parse_note
    from aliquot.access.store.database import Database
    from aliquot.access.store.reading import Reading
    from aliquot.access.store.store import Store
    from aliquot.clock import SystemClock

    clock = SystemClock()

    def write(reading: Reading) -> None:
        last = reading.log.last_checkpoint()
        if last is None:
            raise click.ClickException("nothing of this log is signed yet: give --key")
        origin = parse_checkpoint(parse_note(last.note).text).origin
        lines = dumped(reading.log, origin, reading.log.head().tree.size, with_personal=with_personal)
        sys.stdout.buffer.writelines(lines)

    store = Store(Database(url), clock=clock, threads=False)
    try:
        if key is not None:
            await store.write(lambda writing: sign_head(writing.log, key, clock.now()))
        await store.read(write)
    finally:
        store.close()


@log.command()
@click.argument("file", type=GivenPath(allow_dash=True))
@click.option(
    "--format", "form", type=click.Choice(["ocsf", "cloudevents", "csv"]), required=True,
    help="Events of OCSF 1.6 or CloudEvents 1.0, one on each line; or a table.",
)  # fmt: skip
def export(file: str, form: str) -> None:
    """Write what a dump says for other systems. It is not checked: 'verify' it first. FILE - is standard input."""
    from aliquot.access.log.dump import NoDump, recorded
    from aliquot.access.log.exports.forms import Form, lines
    from aliquot.access.log.verify import lines_of

    with _reading(file) as stream:
        try:
            for line in lines(Form(form), recorded(lines_of(stream))):
                click.echo(line, nl=False)
        except NoDump as error:
            raise click.ClickException(f"{file}: {error}") from error


@log.command("verify-entry")
@click.argument("entry", type=GivenPath())
@click.argument("proof", type=GivenPath())
@click.option(
    "--key",
    "keys",
    metavar="VKEY",
    multiple=True,
    required=True,
    help="The log's key; again for one that it had before.",
)
@click.option(
    "--witness",
    "witnesses",
    metavar="VKEY",
    multiple=True,
    help="The key of a witness that has to have signed.",
)
def verify_entry(entry: str, proof: str, keys: tuple[str, ...], witnesses: tuple[str, ...]) -> None:
    """Check that one entry is in the log, by its proof (c2sp.org/tlog-proof), without the rest of the log.

    ENTRY is a file with the entry's line, as in a dump.
    """
    from aliquot.access.log import evidence
    from aliquot.access.log.verify import parse_key

    try:
        body = Path(entry).read_bytes().removesuffix(b"\n")
        found = evidence.parse(Path(proof).read_bytes().decode())
        checkpoint = evidence.check(
            found, body, [parse_key(text) for text in keys], [parse_key(text) for text in witnesses]
        )
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise click.ClickException(f"{proof}: {error}") from error
    click.echo(
        f"it is entry {found.index} of {checkpoint.origin}, by the checkpoint of {checkpoint.size} entries"
    )


@log.command("verify-report")
@click.argument("report", type=GivenPath())
@click.argument("file", metavar="DUMP", type=GivenPath())
@click.option(
    "--key", "keys", metavar="VKEY", multiple=True, required=True,
    help="The log's key, from somebody whom you trust; again for one that it had before.",
)  # fmt: skip
def verify_report(report: str, file: str, keys: tuple[str, ...]) -> None:
    """Check that REPORT, as 'aliquot access report --raw' writes it, is what was drawn, and draw it again from DUMP.

    First the dump itself is verified. Exits with 1 if anything is otherwise, and with 3 if it is what the log says was drawn, but by a
    version that draws otherwise: that one can draw it again.
    """
    from aliquot.access.log.verify import Wrong, lines_of, parse_key, verify
    from aliquot.access.reports.document import NoReport
    from aliquot.access.reports.redrawing import redrawn

    try:
        known = [parse_key(text) for text in keys]
        with Path(file).open("rb") as dumped:
            verify(lines_of(dumped), known)
        with Path(report).open("rb") as drawn, Path(file).open("rb") as dumped:
            found = redrawn(iter(drawn), lines_of(dumped))
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    except Wrong as wrong:
        raise click.ClickException(f"{file}: WRONG: {wrong}") from wrong
    except (NoReport, ValueError) as error:
        raise click.ClickException(f"{report}: {error}") from error
    for line in found.says:
        click.echo(line)
    if found.holds is None:
        raise SystemExit(_OTHER_FORM)
    if not found.holds:
        raise SystemExit(1)


@log.command("new-key")
@click.argument("name")
@click.option(
    "--out", type=GivenPath(), required=True, help="The file for the private key; there must be none."
)
@click.option("--witness", is_flag=True, help="A witness's key: it cosigns.  [default: a log's]")
def new_key(name: str, out: str, witness: bool) -> None:
    """Make an Ed25519 key and print its public part, which others check signatures with.

    NAME is the log's, or the witness's, for all time: a host and a path that are yours, as in aliquot.example.com/access.
    """
    from aliquot.access.log import notes
    from aliquot.access.log.verify import COSIGNATURE, ED25519

    try:
        key = notes.new_key(name, COSIGNATURE if witness else ED25519, os.urandom(32))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.text + "\n")
    except FileExistsError as error:
        raise click.ClickException(
            f"{out}: it is there, and no key is written over: give another --out"
        ) from error
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error
    click.echo(key.public.text)


@log.group()
def witness() -> None:
    """Sign, as another team, that a log only ever grew."""


_KEY = click.option("--key", "key_file", type=GivenPath(), required=True, help="The witness's private key: a file of 'new-key --witness'.")  # fmt: skip
_LOG = click.option("--log", "logs", metavar="VKEY", multiple=True, required=True, help="The key of a log to witness; again for more.")  # fmt: skip
_STATE = click.option("--state", type=GivenPath(), required=True, help="The directory that remembers what was signed. Without it a fork would be signed.")  # fmt: skip


@witness.command()
@_KEY
@_LOG
@_STATE
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8085, show_default=True)
def serve(key_file: str, logs: tuple[str, ...], state: str, address: str, port: int) -> None:
    """Answer logs over HTTP (c2sp.org/tlog-witness): POST /add-checkpoint."""
    import asyncio

    asyncio.run(_serve(key_file, logs, state, address, port))


async def _serve(key_file: str, logs: tuple[str, ...], state: str, address: str, port: int) -> None:
    import asyncio
    import signal

    from aliquot.access.log.witness.server import serving

    key, made = _witness(key_file, logs, state)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        async with serving(made, address, port) as listening:
            click.echo(f"{key.public.text} answers on http://{address}:{listening}/add-checkpoint")
            await ended.wait()
    except OSError as error:
        raise click.ClickException(
            f"{address} port {port}: {error.strerror}; give another --address or --port"
        ) from error


@witness.command()
@click.argument("file", type=GivenPath(allow_dash=True))
@_KEY
@_LOG
@_STATE
def cosign(file: str, key_file: str, logs: tuple[str, ...], state: str) -> None:
    """Check a dump from its first entry on, and print the signature for its last checkpoint. FILE - is standard input."""
    from aliquot.access.log.verify import Wrong, lines_of, parse_key
    from aliquot.access.log.witness.judging import Refused
    from aliquot.access.log.witness.record import Damaged

    _, made = _witness(key_file, logs, state)
    names = sorted({parse_key(text).name for text in logs})
    if len(names) > 1:
        raise click.ClickException(f"a dump is of one log: give one --log, not {', '.join(names)}")
    with _reading(file) as stream:
        try:
            line, checkpoint = made.see_dump(names[0], lines_of(stream))
        except (Wrong, Refused, Damaged) as error:
            raise click.ClickException(f"not signed: {error}") from error
        except OSError as error:
            raise click.ClickException(f"{state}: {error.strerror}") from error
    click.echo(f"signed: {checkpoint.origin}, {checkpoint.size} entries", err=True)
    click.echo(line, nl=False)


def _witness(key_file: str, logs: tuple[str, ...], state: str) -> "tuple[SigningKey, Witness]":
    from aliquot.access.log.verify import ED25519, Key, parse_key
    from aliquot.access.log.witness.record import Record
    from aliquot.access.log.witness.witness import Witness
    from aliquot.clock import SystemClock

    key = _signing_key(key_file, witness=True)
    keys: dict[str, list[Key]] = {}
    for text in logs:
        try:
            one = parse_key(text)
        except ValueError as error:
            raise click.ClickException(f"--log: {error}") from error
        if one.kind != ED25519:
            raise click.ClickException(f"--log {text}: it is a witness's key, not a log's")
        keys.setdefault(one.name, []).append(one)
    try:
        return key, Witness(key, keys, Record(Path(state)), SystemClock())
    except FileExistsError as error:
        raise click.ClickException(f"{state}: it is no directory") from error
    except OSError as error:
        raise click.ClickException(f"{state}: {error.strerror}") from error


def _signing_key(file: str, *, witness: bool) -> "SigningKey":
    from aliquot.access.log.notes import parse_signing_key
    from aliquot.access.log.verify import COSIGNATURE, ED25519

    try:
        key = parse_signing_key(Path(file).read_text())
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from error
    if key.kind != (COSIGNATURE if witness else ED25519):
        made = "new-key --witness" if witness else "new-key"
        raise click.ClickException(
            f"{file}: it is {'a log' if witness else 'a witness'}'s key; make one with 'aliquot access log {made}'"
        )
    return key


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}") from error
        yield stream
