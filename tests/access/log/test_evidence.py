from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.log.evidence import check, parse, prove
from aliquot.access.log.storage import MemoryLogStore
from tests.access.log.logs import LOG, ORIGIN, OTHER, WITNESS, draft, log, with_witness

SIZE = 13
STORE = log([draft(number) for number in range(SIZE)], [8, SIZE], witness=WITNESS)


def note(store: MemoryLogStore = STORE, size: int = SIZE) -> str:
    [signed] = store.checkpoints(size, size)
    return signed.note


def body(seq: int) -> bytes:
    [entry] = STORE.entries(seq, seq + 1)
    return entry.body


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
def test_an_entry_is_proven_and_no_other_by_it(seq: int, other: int) -> None:
    proof = parse(prove(STORE, seq, note()))
    checkpoint = check(proof, body(seq), [LOG.public], [WITNESS.public])
    assert (proof.index, checkpoint.origin, checkpoint.size) == (seq, ORIGIN, SIZE)
    if other != seq:
        with pytest.raises(ValueError, match=f"this is not entry {seq} of"):
            check(proof, body(other), [LOG.public])


def test_the_form() -> None:
    first, index, *path, empty, origin = prove(STORE, 12, note()).split("\n")[:6]
    assert (first, index, empty, origin) == ("c2sp.org/tlog-proof@v1", "index 12", "", ORIGIN)
    assert len(path) == 2


def test_of_a_checkpoint_that_does_not_cover_it_there_is_no_proof() -> None:
    with pytest.raises(ValueError, match="no entry 8"):
        prove(STORE, 8, note(size=8))


def test_what_others_add_is_let_be() -> None:
    text = prove(STORE, 3, note()).replace("\nindex", "\nextra AAAA\nindex")
    assert check(parse(text), body(3), [LOG.public])


PROOF = prove(STORE, 3, note())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no proof"),
        (PROOF.replace("@v1", "@v2"), "no proof"),
        (PROOF.replace("index 3", "index -3"), "no index"),
        (PROOF.replace("index 3", "index 03"), "no index"),
        (PROOF.replace("index 3", "index 3\nAAA"), "no base64"),
        (PROOF.replace("index 3", "index 3" + "\nAAAA" * 64), "at most 63"),
    ],
)
def test_what_is_no_proof(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("index 3", "index 4"), "this is not entry 4"),
        (lambda text: text.replace("index 3", "index 99"), "this is not entry 99"),
        (lambda text: text.replace("index 3\n", f"index 3\n{'A' * 43}=\n"), "this is not entry 3"),
        (lambda text: text.replace(f"\n{SIZE}\n", "\n14\n"), "forged"),
    ],
)
def test_what_proves_nothing(change: Callable[[str], str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(parse(change(PROOF)), body(3), [LOG.public])


def test_who_has_to_have_signed() -> None:
    proof = parse(PROOF)
    with pytest.raises(ValueError, match="not signed by the key of"):
        check(proof, body(3), [OTHER.public])
    alone = log([draft(0)], [1])
    unseen = parse(prove(alone, 0, note(alone, 1)))
    [entry] = alone.entries(0, 1)
    assert check(unseen, entry.body, [LOG.public])
    with pytest.raises(ValueError, match="not signed by the witness"):
        check(unseen, entry.body, [LOG.public], [WITNESS.public])
    [signed] = alone.checkpoints(1, 1)
    seen = parse(prove(alone, 0, with_witness(signed, WITNESS, 5).note))
    assert check(seen, entry.body, [LOG.public], [WITNESS.public])
