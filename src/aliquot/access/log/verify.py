"""Checks a dump of Aliquot's access log, offline and without Aliquot: this file, Python 3.11 and `cryptography` are enough.

    python verify.py DUMP --key VKEY [--checkpoint NOTE]... [--witness VKEY]... [--tolerance SECONDS]

A dump is lines of JSON: a header, entries, after some entries the personal texts that they commit to and the checkpoints that
were signed when the log was that long, and an end. It is read once, from the front. Of each line is checked that it is canonical
(RFC 8785), so that what you read is what was hashed; of each entry its number, that it names the hash of the one before it, and that
time does not run backwards; of each checkpoint its signatures (C2SP signed notes, Ed25519), and that its root is that of the Merkle
tree (RFC 6962) of all entries before it; of each personal text that it is the one which was committed to.

Exit codes:
  0  all of it holds, to the last entry
  1  something is wrong; one line names the first entry or checkpoint that is
  2  the command line, a key or a file cannot be used
  3  what is signed holds, but the last entries are not: no checkpoint, or none that every witness signed, covers them

What it does not prove is said at its end.
"""

import argparse
import binascii
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from json import JSONDecoder, JSONEncoder
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "aliquot-access-log/v1"
FIELDS = {
    "action", "actor", "after", "before", "commitments", "details", "grant",
    "policy_digest", "prev", "request_digest", "seq", "time",
}  # fmt: skip
ED25519 = 0x01
COSIGNATURE = 0x04
MOST_LINE_BYTES = 1 << 20
MOST_SIGNATURES = 64
TOLERANCE_S = 5.0
_LAST_S = 253_402_300_799
"""Of the year 9999."""

NOT_PROVEN = """\
Not proven by this: that what was logged is true; that nothing was done past Aliquot; what came after the last checkpoint.
Whoever holds the log's key can write another log and sign it: only a checkpoint that you kept, or a witness, tells the two apart."""


class Wrong(Exception):
    """The log is not what was signed. Its text names the place."""


# Signed notes and checkpoints: c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature


@dataclass(frozen=True)
class Key:
    """What signatures are checked with; `text` is its vkey, `NAME+ID+BASE64`."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"


@dataclass(frozen=True)
class Signature:
    name: str
    key_id: bytes
    signed: bytes


@dataclass(frozen=True)
class Note:
    """`text` is what is signed: it ends with a newline."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


def parse_key(text: str) -> Key:
    """Raises ValueError."""
    name, _, rest = text.partition("+")
    id_, _, encoded = rest.partition("+")
    try:
        decoded = from_base64(encoded)
    except ValueError:
        decoded = b""
    if not is_key_name(name) or len(decoded) != 33:
        raise ValueError(f"{text!r} is no key: write NAME+ID+BASE64, of an Ed25519 key")
    key = Key(name, decoded[0], decoded[1:])
    if key.kind not in (ED25519, COSIGNATURE):
        raise ValueError(
            f"{text!r} is of kind {key.kind:#04x}: 0x01 (Ed25519) and 0x04 (a witness's) are known"
        )
    if key.id.hex() != id_:
        raise ValueError(f"{text!r} is mistyped: its id should be {key.id.hex()}")
    return key


def is_key_name(text: str) -> bool:
    return bool(text) and "+" not in text and not any(c.isspace() or c < " " for c in text)


def from_base64(text: str) -> bytes:
    """Raises ValueError where the same bytes would be written otherwise."""
    try:
        decoded = b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text!r} is no base64") from error
    if b64encode(decoded).decode() != text:
        raise ValueError(f"{text!r} is no base64")
    return decoded


def parse_note(text: str) -> Note:
    """Raises ValueError."""
    if any(c < " " and c != "\n" for c in text):
        raise ValueError("it has control characters")
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise ValueError("it is no signed note: a text, an empty line and signatures")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MOST_SIGNATURES:
        raise ValueError(f"it has more than {MOST_SIGNATURES} signatures")
    return Note(body + "\n", signatures)


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "\u2014" or not is_key_name(name):
        raise ValueError(f"{line!r} is no signature line")
    decoded = from_base64(encoded)
    if len(decoded) < 5:
        raise ValueError(f"{line!r} is no signature line")
    return Signature(name, decoded[:4], decoded[4:])


def parse_checkpoint(text: str) -> Checkpoint:
    """Of a note's text. Raises ValueError."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise ValueError("it is no checkpoint: origin, size and root, each on a line")
    if not re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1], re.ASCII):
        raise ValueError(f"its size {lines[1]!r} is no number")
    root = from_base64(lines[2])
    if len(root) != 32:
        raise ValueError("its root is no SHA-256 hash")
    return Checkpoint(lines[0], int(lines[1]), root)


def cosigned(text: str, at_s: int) -> bytes:
    """What a witness signs of a checkpoint."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def signed_by(note: Note, key: Key) -> int | None:
    """When the key signed it, in seconds since the epoch (0: a kind of signature that does not say); None: it did not.

    Raises ValueError: it bears that key's name and id, and is forged.
    """
    when: int | None = None
    for one in note.signatures:
        if (one.name, one.key_id) != (key.name, key.id):
            continue
        signature, message, at_s = one.signed, note.text.encode(), 0
        if key.kind == COSIGNATURE:
            at_s = int.from_bytes(one.signed[:8], "big")
            if at_s > _LAST_S:
                raise ValueError(f"the signature of {key.name} is of no time")
            signature, message = one.signed[8:], cosigned(note.text, at_s)
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        except InvalidSignature:
            raise ValueError(f"the signature of {key.name} is forged, or of another text") from None
        when = at_s if when is None else max(when, at_s)
    return when


def signers(note: Note, keys: Iterable[Key]) -> dict[Key, int]:
    """Those of the keys that signed it, and when (`signed_by`). Raises ValueError: a signature of one of them is forged."""
    return {key: at_s for key in keys if (at_s := signed_by(note, key)) is not None}


# The dump


@dataclass
class Found:
    """What was read, and holds."""

    origin: str = ""
    entries: int = 0
    first_time: str = ""
    last_time: str = ""
    checkpoints: int = 0
    signed: int = 0
    """Entries that a checkpoint covers."""
    note: str = ""
    """That checkpoint, as it was signed."""
    root: bytes = sha256().digest()
    witnessed: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """Witness -> entries that it signed for, and when: seconds since the epoch."""
    shown: int = 0
    """Personal texts that are in the dump."""
    committed: int = 0
    """Personal texts that entries commit to."""


@dataclass(frozen=True)
class Kept:
    """A checkpoint that whoever checks has from elsewhere."""

    where: str
    checkpoint: Checkpoint


def verify(
    lines: Iterable[bytes],
    keys: Sequence[Key],
    *,
    witnesses: Sequence[Key] = (),
    kept: Sequence[Kept] = (),
    tolerance_s: float = TOLERANCE_S,
) -> Found:
    """`lines` with their newlines. Raises Wrong at the first thing that is."""
    reading = _Reading(keys, witnesses, sorted(kept, key=lambda one: one.checkpoint.size), tolerance_s)
    for line in lines:
        reading.read(line)
    return reading.done()


class _Reading:
    def __init__(
        self, keys: Sequence[Key], witnesses: Sequence[Key], kept: list[Kept], tolerance_s: float
    ) -> None:
        self._keys, self._witnesses, self._kept = keys, witnesses, kept
        self._tolerance = timedelta(seconds=tolerance_s)
        self._found = Found()
        self._number = 0
        """Of the line."""
        self._peaks: list[bytes] = []
        self._previous = "sha256:" + sha256().hexdigest()
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._closed: dict[str, str] = {}
        """Commitments of the last entry that no text was given for yet."""
        self._agreed = 0
        """Entries up to where the last kept checkpoint agreed."""
        self._ended = False
        self._decode = JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number).raw_decode
        # What was decoded is not circular.
        self._encode = JSONEncoder(
            ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
        ).encode

    def read(self, raw: bytes) -> None:
        self._number += 1
        document = self._document(raw)
        if len(document) > 1:
            if self._number == 1:
                self._header(document)
            else:
                self._entry(document, raw[:-1])
            return
        [(kind, value)] = document.items()
        if self._number == 1 or self._ended:
            self._wrong(
                "something stands before the header" if self._number == 1 else "something follows the end"
            )
        if kind == "checkpoint" and isinstance(value, str):
            self._checkpoint(value)
        elif kind == "opening" and isinstance(value, dict):
            self._opening(value)
        elif kind == "end" and value == {"entries": self._found.entries}:
            self._ended = True
        elif kind == "end":
            self._wrong(f"the end is that of another dump, this one has {self._found.entries} entries")
        else:
            self._wrong(f"{kind!r} is neither an entry nor anything else of a dump")

    def done(self) -> Found:
        found = self._found
        if not self._number:
            raise Wrong("the dump is empty")
        if not self._ended:
            raise Wrong(
                f"line {self._number}: the dump is cut off after {found.entries} entries: its end is missing"
            )
        if self._kept:
            one = self._kept[0]
            raise Wrong(
                f"{one.where} is of {one.checkpoint.size} entries, and the dump has {found.entries}:"
                f" the log was truncated, {_span(found.entries, one.checkpoint.size)} missing"
            )
        for witness in self._witnesses:
            if witness not in found.witnessed:
                raise Wrong(f"no checkpoint in the dump was signed by the witness {witness.name}")
        return found

    def _document(self, raw: bytes) -> dict[str, Any]:
        if not raw.endswith(b"\n"):
            if len(raw) > MOST_LINE_BYTES:
                self._wrong(f"it is longer than {MOST_LINE_BYTES} bytes")
            self._wrong("the dump is cut off within this line")
        try:
            text = raw[:-1].decode()
            document, _ = self._decode(text)
            # Of all the text: what is not part of it makes it another.
            same = self._encode(document) == text
        except (ValueError, RecursionError) as error:
            self._wrong(f"it is no JSON of a dump: {error}")
        if not isinstance(document, dict) or not document:
            self._wrong("it is no JSON object")
        if not same:
            self._wrong("it is not canonical JSON (RFC 8785): it may read otherwise than what was hashed")
        return document

    def _header(self, header: dict[str, Any]) -> None:
        if header.keys() != {"format", "origin"} or header["format"] != FORMAT:
            self._wrong(f"it is no header of a dump: {FORMAT} is known")
        names = [key.name for key in self._keys]
        if header["origin"] not in names:
            self._wrong(f"this is the log of {header['origin']!r}, and the key is that of {', '.join(names)}")
        self._found.origin = header["origin"]
        self._compare_kept()

    def _entry(self, entry: dict[str, Any], data: bytes) -> None:
        found = self._found
        seq = found.entries
        if self._ended:
            self._wrong("an entry follows the end")
        if entry.keys() != FIELDS or type(entry["commitments"]) is not dict:
            self._wrong(f"it is no entry, where entry {seq} has to be")
        if entry["seq"] != seq or type(entry["seq"]) is not int:
            self._misplaced(entry["seq"])
        if entry["prev"] != self._previous:
            if seq == 0:
                self._wrong("entry 0 was written after some other entry: what came before it is missing")
            self._wrong(
                f"entry {seq} was written after another entry {seq - 1} than the one before it here:"
                f" one of the two was altered or replaced"
            )
        self._moment(entry["time"])
        hash_ = sha256(b"\x00" + data).digest()
        self._previous = "sha256:" + hash_.hex()
        self._closed = entry["commitments"]
        found.committed += len(self._closed)
        peaks = self._peaks
        while seq & 1:
            hash_ = sha256(b"\x01" + peaks.pop() + hash_).digest()
            seq >>= 1
        peaks.append(hash_)
        found.entries += 1
        if self._kept and self._kept[0].checkpoint.size == found.entries:
            self._compare_kept()

    def _misplaced(self, seq: object) -> NoReturn:
        expected = self._found.entries
        if type(seq) is int and seq > expected:
            self._wrong(f"{_span(expected, seq)} missing: entry {seq} stands where entry {expected} has to")
        self._wrong(
            f"entry {seq!r} stands where entry {expected} has to: it was put here, or moved, or is there twice"
        )

    def _moment(self, text: object) -> None:
        seq = self._found.entries
        try:
            if type(text) is not str or not _TIME.match(text):
                raise ValueError
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._wrong(f"entry {seq} has no time: {text!r}")
        if moment > self._latest:
            self._latest = moment
        elif self._latest - moment > self._tolerance:
            self._wrong(
                f"entry {seq} is of {text}, and one before it of {self._latest:%Y-%m-%dT%H:%M:%SZ}:"
                f" time ran backwards by more than {self._tolerance.total_seconds():g} s"
            )
        self._found.first_time = self._found.first_time or text
        self._found.last_time = text

    def _opening(self, opening: dict[str, Any]) -> None:
        seq = self._found.entries - 1
        if opening.keys() != {"name", "salt", "seq", "value"} or not all(
            type(opening[name]) is str for name in ("name", "salt", "value")
        ):
            self._wrong("it is no personal text of an entry")
        if opening["seq"] != seq or type(opening["seq"]) is not int:
            self._wrong(f"a personal text of entry {opening['seq']!r} stands after entry {seq}")
        name = opening["name"]
        if not re.fullmatch("[0-9a-f]{64}", opening["salt"]):
            self._wrong(f"the salt of {name!r} of entry {seq} is not 32 bytes in hexadecimal")
        committed = sha256(bytes.fromhex(opening["salt"]) + opening["value"].encode()).hexdigest()
        if self._closed.pop(name, None) != f"sha256:{committed}":
            self._wrong(
                f"the text of {name!r} is not what entry {seq} commits to: it was altered, or is none of its own"
            )
        self._found.shown += 1

    def _checkpoint(self, text: str) -> None:
        found = self._found
        try:
            note = parse_note(text)
            checkpoint = parse_checkpoint(note.text)
            at = f"the checkpoint of {checkpoint.size} entries"
            if checkpoint.origin != found.origin:
                self._wrong(f"{at} is of another log, {checkpoint.origin!r}")
            if not signers(note, self._keys):
                self._wrong(f"{at} is not signed by the key of {found.origin}")
            seen = signers(note, self._witnesses)
        except ValueError as error:
            self._wrong(f"the checkpoint after entry {found.entries - 1}: {error}")
        if checkpoint.size > found.entries:
            self._wrong(f"{_span(found.entries, checkpoint.size)} missing: {at} stands after {found.entries}")
        if found.checkpoints and checkpoint.size == found.signed:
            self._wrong(f"{at} is there twice")
        if checkpoint.size < found.entries:
            self._wrong(f"{at} stands after {found.entries}: it was moved, or entries were put before it")
        if checkpoint.root != self._root():
            self._wrong(
                f"{at} was signed for others: {_span(found.signed, found.entries)} not what was signed"
            )
        found.checkpoints += 1
        found.note, found.signed, found.root = text, checkpoint.size, checkpoint.root
        for witness, at_s in seen.items():
            found.witnessed[witness] = (checkpoint.size, at_s)

    def _compare_kept(self) -> None:
        while self._kept and self._kept[0].checkpoint.size == self._found.entries:
            one = self._kept.pop(0)
            if one.checkpoint.root != self._root():
                raise Wrong(
                    f"line {self._number}: the first {self._found.entries} entries are not those of {one.where}:"
                    f" the log was forked or written anew, {_span(self._agreed, self._found.entries)} not the same"
                )
            self._agreed = self._found.entries

    def _root(self) -> bytes:
        if not self._peaks:
            return sha256().digest()
        root = self._peaks[-1]
        for peak in self._peaks[-2::-1]:
            root = sha256(b"\x01" + peak + root).digest()
        return root

    def _wrong(self, text: str) -> NoReturn:
        raise Wrong(f"line {self._number}: {text}")


_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")


def _span(first: int, end: int) -> str:
    """`entry 3 is`, `entries 3 to 7 are`, of those before `end`."""
    if end - first == 1:
        return f"entry {first} is"
    return f"one or more of entries {first} to {end - 1} are"


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """None is longer than a line may be by more than a byte, whatever the file is."""
    while line := stream.readline(MOST_LINE_BYTES + 1):
        yield line


# The command


def kept_checkpoint(path: str, keys: Sequence[Key]) -> Kept:
    """Raises ValueError."""
    try:
        note = parse_note(Path(path).read_bytes().decode())
        checkpoint = parse_checkpoint(note.text)
        signed = signers(note, keys)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not signed:
        raise ValueError(f"{path}: it is not signed by {', '.join(sorted({key.name for key in keys}))}")
    if checkpoint.origin not in {key.name for key in keys}:
        raise ValueError(f"{path}: it is of another log, {checkpoint.origin!r}")
    return Kept(path, checkpoint)


def told(found: Found, witnesses: Sequence[Key], kept: Sequence[Kept]) -> tuple[list[str], int]:
    """Lines for people, and the exit code."""
    span = f", {found.first_time} to {found.last_time}" if found.entries else ""
    lines = [
        f"{found.entries} entries of {found.origin}{span}: whole, in order, and as they were hashed",
        f"{found.checkpoints} checkpoints; the last is of {found.signed} entries, root {b64encode(found.root).decode()}",
    ]
    lines += [f"{one.where} (of {one.checkpoint.size} entries) agrees" for one in kept]
    for witness, (size, at_s) in found.witnessed.items():
        lines.append(
            f"witness {witness.name}: saw the first {size} entries at {datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
    if found.committed:
        lines.append(
            f"{found.committed} personal texts: {found.shown} shown, and true; the others are withheld or erased"
        )
    code = 0
    covered = min([found.signed, *(found.witnessed[witness][0] for witness in witnesses)])
    if found.signed < found.entries:
        lines.append(f"NOT SIGNED: {_span(found.signed, found.entries)} not covered by a checkpoint")
        code = 3
    elif covered < found.entries:
        lines.append(f"NOT WITNESSED: {_span(covered, found.entries)} not covered by every witness")
        code = 3
    return [*lines, NOT_PROVEN], code


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    parser = argparse.ArgumentParser(
        program, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dump", metavar="DUMP", help="the file; - is standard input")
    parser.add_argument(
        "--key", metavar="VKEY", action="append", required=True, dest="keys",
        help="the log's, from somebody whom you trust, never from the dump; again for one that it had before",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", metavar="NOTE", action="append", default=[], dest="kept",
        help="a file with one that you kept: the log has to go on from it",
    )  # fmt: skip
    parser.add_argument(
        "--witness", metavar="VKEY", action="append", default=[], dest="witnesses",
        help="of a witness that has to have signed",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", metavar="SECONDS", type=_seconds, default=TOLERANCE_S,
        help="how far time may run backwards between entries (default: %(default)g)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        keys = [_key(text, ED25519, "--key") for text in given.keys]
        witnesses = [_key(text, COSIGNATURE, "--witness") for text in given.witnesses]
        kept = [kept_checkpoint(path, keys) for path in given.kept]
        if given.dump == "-":
            found = verify(
                lines_of(sys.stdin.buffer), keys, witnesses=witnesses, kept=kept, tolerance_s=given.tolerance
            )
        else:
            with Path(given.dump).open("rb") as stream:
                found = verify(
                    lines_of(stream), keys, witnesses=witnesses, kept=kept, tolerance_s=given.tolerance
                )
    except Wrong as wrong:
        _say(sys.stderr, f"WRONG: {wrong}")
        return 1
    except OSError as error:
        _say(sys.stderr, f"error: {given.dump}: {error.strerror}")
        return 2
    except ValueError as error:
        _say(sys.stderr, f"error: {error}")
        return 2
    lines, code = told(found, witnesses, kept)
    for line in lines:
        _say(sys.stdout, line)
    return code


def _key(text: str, kind: int, option: str) -> Key:
    key = parse_key(text)
    if key.kind != kind:
        raise ValueError(f"{option} {text}: it is of kind {key.kind:#04x}, and here {kind:#04x} is needed")
    return key


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 86400")
    return seconds


def _say(stream: Any, line: str) -> None:
    stream.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
