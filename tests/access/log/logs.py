"""Logs to look at: of some length, with checkpoints at some sizes, which a witness may have signed."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from aliquot.access.log.checkpoints import sign_head, with_cosignatures
from aliquot.access.log.dump import dump
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.log.notes import SigningKey, new_key
from aliquot.access.log.storage import MemoryLogStore, SignedCheckpoint, seal
from aliquot.access.log.verify import COSIGNATURE, ED25519, parse_note

ORIGIN = "aliquot.example.com/access"
LOG = new_key(ORIGIN, ED25519, b"l" * 32)
OTHER = new_key(ORIGIN, ED25519, b"o" * 32)
"""Of somebody who would like to be the log."""
WITNESS = new_key("witness.example.org/w1", COSIGNATURE, b"w" * 32)
ACTOR = Actor("https://login.example.com", "0123", "webauthn", "key-1")
START_S = 1_790_000_000.0


def draft(number: int, **more: object) -> Draft:
    return Draft(
        time_s=START_S + number,
        actor=ACTOR,
        action="request.asked",
        grant=f"r{number % 3}",
        details={"cluster": "production", "number": number},
        personal={"justification": f"because of {number}"} if number % 2 else {},
        **more,  # type: ignore[arg-type]
    )


class Salts:
    """Not random, so that what is made is the same each time."""

    def __init__(self) -> None:
        self._given = 0

    def __call__(self, count: int) -> bytes:
        self._given += 1
        return sha256(str(self._given).encode()).digest()[:count]


salt = Salts()


def log(
    drafts: Sequence[Draft],
    signed: Iterable[int],
    *,
    key: SigningKey = LOG,
    witness: SigningKey | None = None,
) -> MemoryLogStore:
    store, salts = MemoryLogStore(), Salts()
    sizes = set(signed)
    for size in range(len(drafts) + 1):
        if size:
            store.append(seal(store.head(), drafts[size - 1 : size], salts))
        if size in sizes:
            made = sign_head(store, key, START_S + size)
            assert made is not None
            if witness is not None:
                store.put_checkpoint(with_witness(made, witness, int(START_S) + size))
    return store


def with_witness(checkpoint: SignedCheckpoint, witness: SigningKey, at_s: int) -> SignedCheckpoint:
    line = witness.cosign(parse_note(checkpoint.note).text, at_s)
    note = with_cosignatures(checkpoint.note, line, [witness.public])
    return SignedCheckpoint(checkpoint.size, checkpoint.at_s, note)


def lines(store: MemoryLogStore, *, with_personal: bool = True) -> list[bytes]:
    return list(dump(store, ORIGIN, store.head().tree.size, with_personal=with_personal))
