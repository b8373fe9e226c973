"""What is done to a dump is found, and said where. A row is one thing done by hand; below, things done at random."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from aliquot.access.log import verify as verifier
from aliquot.access.log.checkpoints import sign_head
from aliquot.access.log.storage import MemoryLogStore, digest, seal
from aliquot.access.log.tree import leaf_hash
from aliquot.access.log.verify import (
    MOST_LINE_BYTES,
    Checkpoint,
    Kept,
    Wrong,
    lines_of,
    main,
    parse_checkpoint,
    parse_note,
    verify,
)
from tests.access.log.logs import LOG, ORIGIN, OTHER, WITNESS, draft, lines, log, salt

Lines = list[bytes]
SIZE = 9
SIGNED = (4, 9)
KEYS = [LOG.public]
WITNESSES = [WITNESS.public]


@cache
def store() -> MemoryLogStore:
    return log([draft(number) for number in range(SIZE)], SIGNED, witness=WITNESS)


@cache
def once_signed() -> MemoryLogStore:
    return log([draft(number) for number in range(SIZE)], [SIZE], witness=WITNESS)


def dumped() -> Lines:
    return lines(store())


def kept(size: int) -> Kept:
    [signed] = store().checkpoints(size, size)
    return Kept("kept.note", parse_checkpoint(parse_note(signed.note).text))


def at(seq: int) -> int:
    """The line of an entry, from 0."""
    return next(
        number
        for number, line in enumerate(dumped())
        if line.startswith(b'{"action"') and json.loads(line)["seq"] == seq
    )


def check(found: Lines, *, whole: bool = True) -> verifier.Found:
    """`whole`: with checkpoints that were kept."""
    return verify(found, KEYS, witnesses=WITNESSES, kept=[kept(4), kept(9)] if whole else [])


def edited(number: int, change: Callable[[dict[str, object]], object]) -> Lines:
    """The document of a line changed, and written canonically again."""
    found = dumped()
    document = json.loads(found[number])
    change(document)
    found[number] = rfc8785.dumps(document) + b"\n"
    return found


def checkpoint_line(number: int) -> int:
    return [n for n, line in enumerate(dumped()) if line.startswith(b'{"checkpoint"')][number]


def rewritten(first: int, *, key: object = None, drop: bool = False) -> Lines:
    """Another log from entry `first` on, whole in itself."""
    other = MemoryLogStore()
    for number in range(SIZE):
        if number < first:
            # The same bytes: what came before was not touched.
            [entry] = store().entries(number, number + 1)
            tree, nodes = other.head().tree.append([leaf_hash(entry.body)])
            sealed = seal(other.head(), [draft(number)], salt)
            batch = type(sealed)((entry,), tuple(nodes), type(sealed.head)(tree, leaf_hash(entry.body), 0.0))
        else:
            batch = seal(other.head(), [draft(number, after="forged")], salt)
        other.append(batch)
        if number + 1 in SIGNED and not drop:
            if key is None:
                [old] = store().checkpoints(number + 1, number + 1)
                other.put_checkpoint(old)
            else:
                sign_head(other, key, 0.0)  # type: ignore[arg-type]
    return lines(other)


def test_a_whole_log() -> None:
    found = check(dumped())
    assert (found.origin, found.entries, found.checkpoints, found.signed) == (ORIGIN, SIZE, 2, SIZE)
    assert found.root == store().head().tree.root
    assert (found.first_time, found.last_time) == ("2026-09-21T14:13:20.000Z", "2026-09-21T14:13:28.000Z")
    assert found.witnessed == {WITNESS.public: (9, 1_790_000_009)}
    assert (found.committed, found.shown) == (4, 4)


def test_without_its_personal_texts_it_proves_as_much() -> None:
    found = check(lines(store(), with_personal=False))
    assert (found.entries, found.committed, found.shown) == (SIZE, 4, 0)


def test_what_is_erased_leaves_the_tree_whole() -> None:
    erased = log([draft(number) for number in range(SIZE)], SIGNED)
    erased.erase(3, "justification")
    found = verify(lines(erased), KEYS)
    assert (found.entries, found.committed, found.shown) == (SIZE, 4, 3)
    assert b"because of 3" not in b"".join(lines(erased))


def test_an_empty_log() -> None:
    empty = log([], [0])
    assert (
        verify(
            lines(empty), KEYS, kept=[Kept("kept", Checkpoint(ORIGIN, 0, empty.head().tree.root))]
        ).checkpoints
        == 1
    )


ROWS: dict[str, tuple[Callable[[], Lines], str]] = {
    "an entry is edited": (
        lambda: edited(at(5), lambda entry: entry.update(action="request.denied")),
        r"entry 6 was written after another entry 5 than the one before it here",
    ),
    "the last entry is edited": (
        lambda: edited(at(8), lambda entry: entry.update(after="ENDED")),
        r"the checkpoint of 9 entries was signed for others: one or more of entries 4 to 8 are not what was signed",
    ),
    "an entry is deleted": (
        lambda: dumped()[: at(2)] + dumped()[at(3) :],
        r"line 5: entry 2 is missing: entry 3 stands where entry 2 has to",
    ),
    "several entries are deleted": (
        lambda: dumped()[: at(1)] + dumped()[at(4) :],
        r"entries 1 to 3 are missing",
    ),
    "the first entry is deleted": (
        lambda: dumped()[:1] + dumped()[at(1) :],
        r"line 2: entry 0 is missing",
    ),
    "two entries are swapped": (
        lambda: [*dumped()[: at(6)], dumped()[at(7)], *dumped()[at(6) : at(7)], *dumped()[at(7) + 1 :]],
        r"entry 6 is missing: entry 7 stands where entry 6 has to",
    ),
    "an entry is there twice": (
        lambda: [*dumped()[: at(2) + 1], *dumped()[at(2) :]],
        r"line 6: entry 2 stands where entry 3 has to",
    ),
    "entries at the end are cut off": (lambda: dumped()[: at(7)], r"cut off after 7 entries: its end is missing"),
    "entries at the end are cut off, and the end is put on again": (
        lambda: [*dumped()[: at(7)], b'{"end":{"entries":7}}\n'],
        r"kept.note is of 9 entries, and the dump has 7: the log was truncated, one or more of entries 7 to 8 are missing",
    ),
    "one is cut off before the last checkpoint": (
        lambda: [*dumped()[: at(8)], *dumped()[checkpoint_line(1) :]],
        r"entry 8 is missing: the checkpoint of 9 entries stands after 8",
    ),
    "a line is cut off": (lambda: [*dumped()[:-1], dumped()[-1][:-3]], "cut off within this line"),
    "it is forked, with checkpoints as they were": (
        lambda: rewritten(2),
        r"the checkpoint of 4 entries was signed for others: one or more of entries 0 to 3 are not",
    ),
    "it is forked, with checkpoints of another key": (lambda: rewritten(2, key=OTHER), "not signed by the key of"),
    "it is forked, with checkpoints of the log itself": (
        lambda: rewritten(6, key=LOG),
        r"the first 9 entries are not those of kept.note: the log was forked or written anew, one or more of entries 4 to 8 are",
    ),
    "it is forked, without checkpoints": (
        lambda: rewritten(2, drop=True),
        "the first 4 entries are not those of kept.note",
    ),
    "a checkpoint is moved": (
        lambda: [*dumped()[: checkpoint_line(0)], dumped()[at(4)], dumped()[checkpoint_line(0)], *dumped()[at(5) :]],
        r"the checkpoint of 4 entries stands after 5",
    ),
    "a checkpoint is there twice": (
        lambda: [*dumped()[: at(4)], *dumped()[checkpoint_line(0) :]],
        "the checkpoint of 4 entries is there twice",
    ),
    "checkpoints are swapped": (
        lambda: [
            dumped()[checkpoint_line(1)] if number == checkpoint_line(0) else line
            for number, line in enumerate(dumped())
        ],
        "the checkpoint of 9 entries stands after 4",
    ),
    "a checkpoint's size is another": (
        lambda: edited(
            checkpoint_line(0),
            lambda line: line.update(checkpoint=str(line["checkpoint"]).replace("\n4\n", "\n5\n")),
        ),
        "the checkpoint after entry 3: the signature of aliquot.example.com/access is forged",
    ),
    "a checkpoint is of another log": (
        lambda: edited(
            checkpoint_line(0),
            lambda line: line.update(checkpoint=str(line["checkpoint"]).replace("aliquot.", "somebody.", 1)),
        ),
        "is of another log",
    ),
    "a personal text is edited": (
        lambda: edited(at(3) + 1, lambda line: line["opening"].update(value="because")),  # type: ignore[attr-defined]
        "the text of 'justification' is not what entry 3 commits to",
    ),
    "a personal text is put to another entry": (
        lambda: [*dumped()[: at(2) + 1], dumped()[at(3) + 1], *dumped()[at(3) :]],
        "a personal text of entry 3 stands after entry 2",
    ),
    "a personal text is there twice": (
        lambda: [*dumped()[: at(3) + 2], dumped()[at(3) + 1], *dumped()[at(4) :]],
        "the text of 'justification' is not what entry 3 commits to",
    ),
    "blanks are put in": (
        lambda: [line.replace(b'"seq":5', b'"seq": 5') for line in dumped()],
        "not canonical JSON",
    ),
    "a member is there twice": (
        lambda: [line.replace(b'"seq":5', b'"seq":5,"seq":5') for line in dumped()],
        "not canonical JSON",
    ),
    "a number is not whole": (
        lambda: [line.replace(b'"seq":5', b'"seq":5.5') for line in dumped()],
        "5.5 is no whole number",
    ),
    "a truth instead of a number": (
        lambda: edited(at(1), lambda entry: entry.update(seq=True)),
        "entry True stands where entry 1 has to",
    ),
    "a member too many": (lambda: edited(at(5), lambda entry: entry.update(zeal=1)), "no entry, where entry 5 has to be"),
    "no time": (lambda: edited(at(5), lambda entry: entry.update(time="yesterday")), "entry 5 has no time"),
    "no such day": (
        lambda: edited(at(5), lambda entry: entry.update(time="2026-02-30T00:00:00.000Z")),
        "entry 5 has no time",
    ),
    "time runs backwards": (
        lambda: edited(at(5), lambda entry: entry.update(time="2026-09-21T14:13:18.999Z")),
        "entry 5 is of 2026-09-21T14:13:18.999Z, and one before it of 2026-09-21T14:13:24Z: time ran backwards by more than 5 s",
    ),
    "something else is put in": (lambda: [*dumped()[:3], b'{"note":1}\n', *dumped()[3:]], "'note' is neither an entry"),
    "a list": (lambda: [*dumped()[:3], b"[1]\n", *dumped()[3:]], "no JSON object"),
    "no JSON": (lambda: [*dumped()[:3], b"\xff\n", *dumped()[3:]], "line 4: it is no JSON"),
    "an empty line": (lambda: [*dumped()[:3], b"\n", *dumped()[3:]], "line 4: it is no JSON"),
    "brackets without end": (lambda: [*dumped()[:3], b"[" * 100_000 + b"\n"], "line 4: it is no JSON"),
    "a line without end": (lambda: [*dumped()[:3], b"x" * (MOST_LINE_BYTES + 1)], "longer than"),
    "something follows the end": (lambda: [*dumped(), dumped()[-1]], "something follows the end"),
    "an entry follows the end": (lambda: [*dumped(), dumped()[1]], "an entry follows the end"),
    "the end of another": (lambda: [*dumped()[:-1], b'{"end":{"entries":8}}\n'], "the end is that of another dump"),
    "no header": (lambda: dumped()[1:], "no header"),
    "another format": (lambda: [dumped()[0].replace(b"v1", b"v2"), *dumped()[1:]], "no header of a dump"),
    "an origin that is none": (lambda: edited(0, lambda header: header.update(origin=[])), r"the log of \[\]"),
    "another origin": (lambda: [dumped()[0].replace(b"aliquot.", b"others."), *dumped()[1:]], "this is the log of 'others."),
    "nothing": (list, "the dump is empty"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_what_is_done_to_it_is_found(row: str) -> None:
    made, said = ROWS[row]
    with pytest.raises(Wrong, match=said):
        check(made(), whole="kept.note" in said)


def test_a_log_of_another_key() -> None:
    other = log([draft(number) for number in range(3)], [3], key=OTHER)
    with pytest.raises(
        Wrong, match=r"the checkpoint of 3 entries is not signed by the key of aliquot.example.com/access"
    ):
        verify(lines(other), KEYS)
    assert verify(lines(other), [LOG.public, OTHER.public]).signed == 3


def test_a_log_that_its_witness_never_saw() -> None:
    alone = log([draft(number) for number in range(3)], [3])
    with pytest.raises(
        Wrong, match=r"no checkpoint in the dump was signed by the witness witness.example.org/w1"
    ):
        verify(lines(alone), KEYS, witnesses=WITNESSES)


def test_times_may_differ_as_clocks_do() -> None:
    made = edited(at(8), lambda entry: entry.update(time="2026-09-21T14:13:22.000Z"))[: checkpoint_line(1)]
    made.append(b'{"end":{"entries":9}}\n')
    assert verify(made, KEYS).entries == 9
    with pytest.raises(Wrong, match=r"more than 4.9 s"):
        verify(made, KEYS, tolerance_s=4.9)


# At random


@given(st.data())
def test_any_byte_is_found(data: st.DataObject) -> None:
    # Of one checkpoint: of several, a witness's signature that is not one any more is missed only on the last.
    text = bytearray(b"".join(lines(once_signed())))
    where = data.draw(st.integers(0, len(text) - 1))
    text[where] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[where]))
    with pytest.raises(Wrong):
        check(list(lines_of(BytesIO(text))), whole=False)


@given(st.data())
def test_any_cut_is_found(data: st.DataObject) -> None:
    text = b"".join(dumped())
    end = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(Wrong):
        check(list(lines_of(BytesIO(text[:end]))), whole=False)


PERSONAL = b'{"opening"'


@given(st.data())
def test_any_lines_deleted_are_found(data: st.DataObject) -> None:
    found = dumped()
    numbers = data.draw(st.sets(st.integers(0, len(found) - 1), min_size=1))
    # Without personal texts it proves as much, and without a checkpoint it is whole as long as one that was kept covers it.
    assume(any(not found[n].startswith((PERSONAL, b'{"checkpoint"')) for n in numbers))
    with pytest.raises(Wrong):
        check([line for n, line in enumerate(found) if n not in numbers])


@given(st.permutations(range(SIZE + SIZE // 2 + 4)))
def test_any_other_order_is_found(order: Sequence[int]) -> None:
    found = dumped()
    assert len(found) == len(order)
    assume(list(order) != sorted(order))
    with pytest.raises(Wrong):
        check([found[number] for number in order])


@given(st.data())
def test_any_line_put_in_is_found(data: st.DataObject) -> None:
    found = dumped()
    where = data.draw(st.integers(0, len(found)))
    others = dumped() + rewritten(3, key=LOG)
    what = data.draw(st.sampled_from(others))
    with pytest.raises(Wrong):
        check([*found[:where], what, *found[where:]])


@given(st.integers(0, SIZE - 1), st.sampled_from([LOG, OTHER, None]), st.booleans())
def test_any_fork_is_found(first: int, key: object, drop: bool) -> None:
    with pytest.raises(Wrong):
        check(rewritten(first, key=key, drop=drop))


@given(st.integers(0, SIZE - 1))
def test_any_truncation_is_found_by_a_kept_checkpoint(size: int) -> None:
    short = [line for line in dumped()[: at(size)] if not line.startswith(b'{"end"')]
    short.append(b'{"end":{"entries":%d}}\n' % size)
    with pytest.raises(Wrong, match="missing"):
        check(short)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


names = st.sampled_from(
    [
        "format",
        "origin",
        "checkpoint",
        "opening",
        "end",
        "entries",
        "seq",
        "salt",
        "value",
        "name",
        *verifier.FIELDS,
    ]
)


@given(
    st.lists(
        st.dictionaries(names, json_values | st.dictionaries(names, json_values), max_size=12), max_size=4
    )
)
def test_whatever_is_read_it_is_wrong_in_one_line(documents: list[dict[str, object]]) -> None:
    made = [json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for one in documents]
    with pytest.raises(Wrong, match=r"\A[^\n]+\Z"):
        check([dumped()[0], *(one.encode(errors="replace") + b"\n" for one in made)])
    with pytest.raises(Wrong, match=r"\A[^\n]+\Z"):
        check([one.encode(errors="replace") + b"\n" for one in made])


@given(st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), json_values, max_size=5))
def test_the_verifier_has_the_same_canonical_form(details: dict[str, object]) -> None:
    found = MemoryLogStore()
    found.append(seal(found.head(), [draft(0), draft(1)], salt))
    with_details = draft(2)
    found.append(seal(found.head(), [type(with_details)(
        time_s=0.0, actor=with_details.actor, action="a", details=details, personal={"text": "\u00fc\U0001f511\n"}
    )], salt))  # fmt: skip
    sign_head(found, LOG, 0.0)
    assert verify(lines(found), KEYS).signed == 3


def test_what_an_entry_names_is_the_hash_of_the_one_before() -> None:
    bodies = [entry.body for entry in store().entries(0, 2)]
    assert json.loads(bodies[1])["prev"] == digest(leaf_hash(bodies[0]))
    assert (
        json.loads(bodies[0])["prev"]
        == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


# As a command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "dump.jsonl").write_bytes(b"".join(dumped()))
    [signed] = store().checkpoints(4, 4)
    (tmp_path / "kept.note").write_text(signed.note)
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(one) for one in arguments])


def test_the_file_alone_is_enough(files: Path) -> None:
    """Copied away from everything of ours, and run by an interpreter that finds none of it."""
    alone = files / "verify.py"
    alone.write_bytes(Path(verifier.__file__).read_bytes())
    ran = subprocess.run(
        [sys.executable, "-P", alone, files / "dump.jsonl", "--key", LOG.public.text,
         "--checkpoint", files / "kept.note", "--witness", WITNESS.public.text],
        capture_output=True, text=True, cwd=files, env={}, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[:4] == [
        "9 entries of aliquot.example.com/access, 2026-09-21T14:13:20.000Z to 2026-09-21T14:13:28.000Z:"
        " whole, in order, and as they were hashed",
        "2 checkpoints; the last is of 9 entries, root "
        + dumped()[checkpoint_line(1)].decode().split("\\n")[2],
        f"{files}/kept.note (of 4 entries) agrees",
        "witness witness.example.org/w1: saw the first 9 entries at 2026-09-21T14:13:29Z",
    ]
    assert "Not proven by this" in ran.stdout


def test_it_imports_nothing_of_ours() -> None:
    source = Path(verifier.__file__).read_text()
    assert "aliquot." not in "".join(line for line in source.splitlines() if "import" in line)


def test_something_wrong_is_1(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "dump.jsonl").write_bytes(b"".join(ROWS["an entry is deleted"][0]()))
    assert run(files / "dump.jsonl", "--key", LOG.public.text) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        "WRONG: line 5: entry 2 is missing: entry 3 stands where entry 2 has to\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dump.jsonl", "--key", "nonsense"], "'nonsense' is no key"),
        (["dump.jsonl", "--key", WITNESS.public.text], "is of kind 0x04, and here 0x01 is needed"),
        (["dump.jsonl", "--key", LOG.public.text, "--witness", LOG.public.text], "here 0x04 is needed"),
        (["none.jsonl", "--key", LOG.public.text], "none.jsonl: No such file or directory"),
        (["dump.jsonl", "--key", LOG.public.text, "--checkpoint", "none.note"], "none.note: No such file"),
        (
            ["dump.jsonl", "--key", LOG.public.text, "--checkpoint", "dump.jsonl"],
            "dump.jsonl: it is no signed note",
        ),
        (
            ["dump.jsonl", "--key", OTHER.public.text, "--checkpoint", "kept.note"],
            "kept.note: it is not signed by",
        ),
    ],
)
def test_what_cannot_be_used_is_2(
    arguments: list[str],
    said: str,
    files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-1", "x"])
def test_a_tolerance_is_some_seconds(tolerance: str, files: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run(files / "dump.jsonl", "--key", LOG.public.text, "--tolerance", tolerance)
    assert ended.value.code == 2


def test_entries_that_nobody_signed_are_3(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unsigned = log([draft(number) for number in range(5)], [3], witness=WITNESS)
    (files / "dump.jsonl").write_bytes(b"".join(lines(unsigned)))
    assert run(files / "dump.jsonl", "--key", LOG.public.text) == 3
    assert (
        "NOT SIGNED: one or more of entries 3 to 4 are not covered by a checkpoint" in capsys.readouterr().out
    )


def test_entries_that_no_witness_saw_are_3(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unseen = log([draft(number) for number in range(5)], [4], witness=WITNESS)
    sign_head(unseen, LOG, 0.0)
    (files / "dump.jsonl").write_bytes(b"".join(lines(unseen)))
    assert run(files / "dump.jsonl", "--key", LOG.public.text) == 0
    assert run(files / "dump.jsonl", "--key", LOG.public.text, "--witness", WITNESS.public.text) == 3
    assert "NOT WITNESSED: entry 4 is not covered by every witness" in capsys.readouterr().out


def test_it_reads_standard_input(files: Path) -> None:
    ran = subprocess.run(
        [sys.executable, verifier.__file__, "-", "--key", LOG.public.text],
        input=b"".join(dumped()), capture_output=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout[:9]) == (0, b"9 entries")
