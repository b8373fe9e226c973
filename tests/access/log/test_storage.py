"""What is appended, and what is signed of it."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from aliquot.access.log.checkpoints import Inconsistent, Pace, open_checkpoint, sign_head
from aliquot.access.log.entries import Draft, Unloggable, parse
from aliquot.access.log.proofs import inclusion, is_included
from aliquot.access.log.storage import (
    Head,
    MemoryLogStore,
    SignedCheckpoint,
    digest,
    seal,
)
from aliquot.access.log.tree import Node, leaf_hash
from tests.access.log.logs import ACTOR, LOG, ORIGIN, OTHER, START_S, draft, log, salt


def test_an_entry_as_it_is_hashed() -> None:
    one = Draft(
        time_s=START_S,
        actor=ACTOR,
        action="request.asked",
        grant="r1",
        after="PENDING",
        details={"b": [1, True, None], "a": "\u00fc"},
        personal={"justification": "fire"},
    )
    [entry] = seal(Head(), [one], lambda count: b"s" * count).entries
    assert entry.body.decode() == (
        '{"action":"request.asked","actor":{"auth":"webauthn","credential":"key-1","iss":"https://login.example.com","sub":"0123"},'
        '"after":"PENDING","before":"","commitments":{"justification":'
        '"sha256:806f894938baeddfdabae19e568710bcc084e4c75d86ae478c172e49f06700da"},'
        '"details":{"a":"\u00fc","b":[1,true,null]},"grant":"r1","policy_digest":"",'
        '"prev":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",'
        '"request_digest":"","seq":0,"time":"2026-09-21T14:13:20.000Z"}'
    )
    assert b"fire" not in entry.body
    [opening] = entry.openings
    assert (opening.seq, opening.name, opening.value, opening.salt) == (0, "justification", "fire", b"s" * 32)
    assert parse(entry.body).commitments == {"justification": opening.commitment}


def test_the_same_text_is_committed_to_otherwise_each_time() -> None:
    entries = seal(Head(), [draft(1), draft(1)], salt).entries
    first, second = (parse(entry.body).commitments["justification"] for entry in entries)
    assert first != second


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"details": {"share": 0.5}}, r"entry 0 \(a\): details.share is 0.5: only whole numbers"),
        ({"details": {"list": [1, {"x": 1.0}]}}, r"details.list\[1\].x is 1.0"),
        ({"details": {"\u00fc": 1}}, "not of ASCII"),
        ({"details": {"n": 1 << 53}}, "entry 0"),
        ({"grant": "\ud800"}, "entry 0"),
        ({"before": "x" * 70_000}, "at most 65536"),
    ],
)
def test_what_cannot_be_logged(change: dict[str, object], said: str) -> None:
    one = replace(Draft(time_s=0.0, actor=ACTOR, action="a"), **change)
    with pytest.raises(Unloggable, match=said):
        seal(Head(), [one], salt)


def test_time_in_the_log_does_not_run_backwards() -> None:
    drafts = [replace(draft(0), time_s=time_s) for time_s in (5.0, 3.0, 7.5)]
    times = [parse(entry.body).time[17:] for entry in seal(Head(), drafts, salt).entries]
    assert times == ["05.000Z", "05.000Z", "07.500Z"]


def test_who_appends_to_another_head_is_refused() -> None:
    store = log([draft(0)], [])
    late = seal(Head(), [draft(0)], salt)
    with pytest.raises(ValueError, match="the log has 1 entries"):
        store.append(late)
    assert store.head().tree.size == 1


def test_an_entry_is_proven_by_a_checkpoint() -> None:
    store = log([draft(number) for number in range(11)], [11])
    signed = store.last_checkpoint()
    assert signed is not None
    checkpoint = open_checkpoint(signed.note, [LOG.public])
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 11)
    [entry] = store.entries(6, 7)
    plan = inclusion(6, 11)
    assert is_included(leaf_hash(entry.body), 6, 11, checkpoint.root, plan.proof(store.nodes(plan.nodes)))


def test_a_head_is_signed_once() -> None:
    store = log([draft(0)], [])
    assert sign_head(store, LOG, START_S) is not None
    assert sign_head(store, LOG, START_S) is None


def test_a_checkpoint_of_the_key_before_is_gone_on_from() -> None:
    store = log([draft(0)], [1], key=OTHER)
    store.append(seal(store.head(), [draft(1)], salt))
    with pytest.raises(Inconsistent, match="not signed by aliquot"):
        sign_head(store, LOG, START_S)
    assert sign_head(store, LOG, START_S, [OTHER.public]) is not None


class Tampered(MemoryLogStore):
    """Whose nodes are others than what was appended."""

    def __init__(self, store: MemoryLogStore, changed: Mapping[Node, bytes]) -> None:
        super().__init__()
        self.__dict__.update(store.__dict__)
        self._changed = changed

    def nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        found = {
            **super().nodes(wanted),
            **{node: hash_ for node, hash_ in self._changed.items() if node in wanted},
        }
        return {node: hash_ for node, hash_ in found.items() if hash_}


@pytest.mark.parametrize("hash_", [b"x" * 32, b""])
def test_what_was_tampered_with_is_not_signed(hash_: bytes) -> None:
    store = log([draft(number) for number in range(7)], [4])
    with pytest.raises(Inconsistent):
        sign_head(Tampered(store, {Node(1, 2): hash_}), LOG, START_S)
    assert sign_head(store, LOG, START_S) is not None


def test_a_log_written_anew_is_not_signed() -> None:
    store = log([draft(number) for number in range(4)], [4])
    [signed] = store.checkpoints(4, 4)
    other = log([draft(number, after="forged") for number in range(6)], [])
    other.put_checkpoint(signed)
    with pytest.raises(Inconsistent, match="does not go on from the checkpoint of 4"):
        sign_head(other, LOG, START_S)


def test_a_forged_checkpoint_is_not_gone_on_from() -> None:
    store = log([draft(number) for number in range(6)], [4])
    [signed] = store.checkpoints(4, 4)
    store.put_checkpoint(SignedCheckpoint(4, 0.0, signed.note.replace("\n4\n", "\n5\n")))
    with pytest.raises(Inconsistent, match="the stored checkpoint of 4 entries: the signature"):
        sign_head(store, LOG, START_S)


@pytest.mark.parametrize(
    ("size", "signed", "since_s", "due"),
    [(0, 0, 1000.0, False), (1, 0, 9.9, False), (1, 0, 10.0, True), (99, 0, 0.0, False), (100, 0, 0.0, True), (5, 5, 1e6, False)],
)  # fmt: skip
def test_when_a_checkpoint_is_due(size: int, signed: int, since_s: float, due: bool) -> None:
    assert Pace().is_due(size, signed, 50.0, 50.0 + since_s) is due


def test_digests_are_written_with_their_kind() -> None:
    assert digest(b"\x01\xff") == "sha256:01ff"
