"""A row for each thing that a log may ask and what c2sp.org/tlog-witness answers; then histories at random."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.log.checkpoints import with_cosignatures
from aliquot.access.log.notes import new_key
from aliquot.access.log.storage import MemoryLogStore
from aliquot.access.log.verify import ED25519, Key, Wrong, parse_note, signed_by
from aliquot.access.log.witness.judging import Refused
from aliquot.access.log.witness.record import Damaged, Record
from aliquot.access.log.witness.request import asking, parse, spelled
from aliquot.access.log.witness.server import serving
from aliquot.access.log.witness.witness import Witness
from tests.access.log.logs import LOG, ORIGIN, OTHER, WITNESS, draft, lines, log


class Still:
    def now(self) -> float:
        return 1_790_000_100.9


def store(*, forged: bool = False, signed: Sequence[int] = (2, 5, 7)) -> MemoryLogStore:
    after = "forged" if forged else ""
    # Without personal texts, whose salts would make it another log each time.
    return log([replace(draft(number), personal={}, after=after) for number in range(7)], signed)


def note(found: MemoryLogStore, size: int) -> str:
    [signed] = found.checkpoints(size, size)
    return signed.note


def witness(directory: Path, logs: Mapping[str, Sequence[Key]] | None = None) -> Witness:
    return Witness(WITNESS, logs or {ORIGIN: [LOG.public]}, Record(directory), Still())


@pytest.fixture
def seen_five(tmp_path: Path) -> Witness:
    made = witness(tmp_path)
    made.add_checkpoint(asking(store(), note(store(), 5), 0))
    return made


def test_a_log_that_grows_is_signed(seen_five: Witness) -> None:
    signed = note(store(), 7)
    line = seen_five.add_checkpoint(asking(store(), signed, 5))
    whole = with_cosignatures(signed, line, [WITNESS.public])
    assert signed_by(parse_note(whole), WITNESS.public) == 1_790_000_100


def test_the_same_checkpoint_is_signed_again(seen_five: Witness) -> None:
    assert seen_five.add_checkpoint(asking(store(), note(store(), 5), 5))


def test_it_remembers_when_it_is_started_again(seen_five: Witness, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        witness(tmp_path).add_checkpoint(asking(store(), note(store(), 7), 2))
    assert (refused.value.status, refused.value.size) == (409, 5)


UNKNOWN = new_key("another.example/log", ED25519, b"u" * 32)
ROWS: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "no request": (lambda: b"nonsense", 400, "it begins with"),
    "no UTF-8": (lambda: b"\xff\n\n", 400, "utf-8"),
    "a proof that is none": (lambda: asking(store(), note(store(), 7), 5).replace(b"\n", b"\nAAAA\n", 1), 400, "SHA-256"),
    "too long a proof": (lambda: spelled(5, [b"x" * 32] * 64, note(store(), 7)), 400, "at most 63"),
    "no checkpoint": (lambda: spelled(5, [], "text\n"), 400, "the checkpoint"),
    "it never was so long": (lambda: spelled(8, [], note(store(), 7)), 400, "never had 8"),
    "an unknown log": (lambda: spelled(0, [], note(log([draft(0)], [1], key=UNKNOWN), 1)), 404, "not known here"),
    "another key": (lambda: spelled(5, [], note(log([draft(0)], [1], key=OTHER), 1)), 403, "not signed"),
    "a forged signature": (lambda: spelled(5, [], note(store(), 7).replace("\n7\n", "\n8\n")), 403, "forged"),
    "from another size": (lambda: asking(store(), note(store(), 7), 2), 409, "5 entries were seen before, not 2"),
    "as if for the first time": (lambda: asking(store(), note(store(), 7), 0), 409, "5 entries were seen before"),
    "a shorter one": (lambda: asking(store(), note(store(), 2), 2), 409, "5 entries were seen before"),
    "another proof": (lambda: spelled(5, [b"x" * 32], note(store(), 7)), 422, "does not go on"),
    "a fork": (lambda: asking(store(forged=True), note(store(forged=True), 7), 5), 422, "does not go on"),
    "a fork of the same size": (lambda: asking(store(forged=True), note(store(forged=True), 5), 5), 409, "FORK"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_what_is_refused_changes_nothing(row: str, seen_five: Witness) -> None:
    made, status, said = ROWS[row]
    with pytest.raises(Refused, match=said) as refused:
        seen_five.add_checkpoint(made())
    assert refused.value.status == status
    assert seen_five.add_checkpoint(asking(store(), note(store(), 7), 5))


def test_nothing_is_proven_to_who_has_seen_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing to prove"):
        witness(tmp_path).add_checkpoint(spelled(0, [b"x" * 32], note(store(), 7)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_what_it_signs_is_one_log(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[bool, int, int]]
) -> None:
    """A log with two faces asks what it likes: what is signed is always of one of them, and never shrinks."""
    one = witness(tmp_path_factory.mktemp("record"))
    faces = {False: store(signed=range(8)), True: store(signed=range(8), forged=True)}
    signed: list[tuple[bool, int]] = []
    for face, old, size in asked:
        try:
            one.add_checkpoint(asking(faces[face], note(faces[face], size), min(old, size)))
        except Refused:
            continue
        signed.append((face, size))
    sizes = [size for _, size in signed]
    assert sizes == sorted(sizes)
    assert len({face for face, size in signed if size}) <= 1


def test_a_damaged_record_signs_nothing(seen_five: Witness, tmp_path: Path) -> None:
    [kept] = tmp_path.glob("*.note")
    kept.write_text("nonsense")
    with pytest.raises(Damaged, match="no signed note"):
        seen_five.add_checkpoint(asking(store(), note(store(), 7), 0))


def test_a_record_of_another_log_signs_nothing(seen_five: Witness, tmp_path: Path) -> None:
    [kept] = tmp_path.glob("*.note")
    kept.write_text(note(log([draft(0)], [1], key=UNKNOWN), 1))
    with pytest.raises(Damaged, match=r"it is of another\.example/log"):
        seen_five.add_checkpoint(asking(store(), note(store(), 7), 0))


def blocked(directory: Path) -> None:
    """Nothing new is written there any more."""
    [kept] = directory.glob("*.note")
    kept.with_suffix(".new").mkdir()


def test_what_cannot_be_remembered_is_not_signed(seen_five: Witness, tmp_path: Path) -> None:
    blocked(tmp_path)
    with pytest.raises(OSError, match="directory"):
        seen_five.add_checkpoint(asking(store(), note(store(), 7), 5))


def test_a_dump_is_seen_whole(tmp_path: Path) -> None:
    one = witness(tmp_path)
    line, checkpoint = one.see_dump(ORIGIN, lines(store()))
    assert checkpoint.size == 7
    assert with_cosignatures(note(store(), 7), line, [WITNESS.public])
    assert one.see_dump(ORIGIN, lines(store()))[1].size == 7
    with pytest.raises(Wrong, match=r"what was signed here before: the log was forked"):
        one.see_dump(ORIGIN, lines(store(forged=True)))
    with pytest.raises(Refused, match="of 5 entries"):
        one.see_dump(ORIGIN, lines(store(signed=[2, 5])))
    with pytest.raises(Refused, match="no checkpoint"):
        one.see_dump(ORIGIN, lines(store(signed=[])))


def test_what_was_signed_while_a_dump_was_read_counts(tmp_path: Path) -> None:
    one = witness(tmp_path)

    def slow() -> Iterator[bytes]:
        yield from lines(store(signed=[5]))
        one.add_checkpoint(asking(store(forged=True), note(store(forged=True), 7), 0))

    with pytest.raises(Refused, match="meanwhile"):
        one.see_dump(ORIGIN, slow())


def test_a_request_is_read_as_it_is_written() -> None:
    whole = asking(store(), note(store(), 7), 5)
    asked = parse(whole)
    assert (asked.old, asked.note) == (5, note(store(), 7))
    assert spelled(asked.old, asked.proof, asked.note) == whole


@pytest.mark.parametrize(
    ("body", "status", "answer", "kind"),
    [
        (lambda: asking(store(), note(store(), 7), 5), 200, "\u2014 witness.example.org/w1 ", "text/plain"),
        (lambda: asking(store(), note(store(), 7), 0), 409, "5\n", "text/x.tlog.size"),
        (lambda: b"", 400, "it begins with", "text/plain"),
        (lambda: b"x" * 70_000, 413, "", "text/plain"),
    ],
)
async def test_over_http(
    body: Callable[[], bytes], status: int, answer: str, kind: str, seen_five: Witness
) -> None:
    async with serving(seen_five, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        response = await session.post(f"http://127.0.0.1:{port}/add-checkpoint", data=body())
        assert (response.status, response.content_type) == (status, kind)
        assert answer in await response.text()


async def test_over_http_nothing_is_signed_that_is_not_remembered(seen_five: Witness, tmp_path: Path) -> None:
    blocked(tmp_path)
    async with serving(seen_five, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        asked = asking(store(), note(store(), 7), 5)
        response = await session.post(f"http://127.0.0.1:{port}/add-checkpoint", data=asked)
        assert response.status == 500
