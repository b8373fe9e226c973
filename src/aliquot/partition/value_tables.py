"""Learned values as data: what `aliquot partition train` writes, and those that are shipped.

`data/value_tables.json` was made, for boards with the profiles of an A100 or H100, by

    aliquot partition train --into value_tables.json --mix uniform
    aliquot partition train --into value_tables.json --mix skew-small --from uniform --seed 2 --candidates 20

The other mixes of the benchmark (`simulation.workload.MIXES`) have none: what was learned from skew-big and bimodal was no
better than the rule that needs no learning, and on lighter loads a little worse.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from aliquot.partition.board_states import BoardStates
from aliquot.partition.policies.learned import learned, shape
from aliquot.partition.policies.policy import Policy


class ValueTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned from one mix of requests."""

    name: str
    shares: dict[str, float]
    """Of the requests, by shape of the profile; they sum to 1."""
    weights: dict[str, float]
    """By feature (`policies.learned`)."""

    def policy(self) -> Policy:
        return learned(f"learned/{self.name}", self.weights)

    def fits(self, states: BoardStates) -> bool:
        """Whether the board has just the profiles that it was learned with."""
        return sorted(self.shares) == sorted(map(shape, states.profiles))

    def mix(self, states: BoardStates) -> tuple[float, ...]:
        """The shares by index of the board's profiles."""
        return tuple(self.shares[shape(profile)] for profile in states.profiles)


def decode(text: bytes) -> tuple[ValueTable, ...]:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=tuple[ValueTable, ...])


def encode(tables: Sequence[ValueTable]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(tables), indent=1) + b"\n"


@lru_cache(maxsize=1)
def shipped() -> tuple[ValueTable, ...]:
    return decode(files("aliquot.partition").joinpath("data/value_tables.json").read_bytes())
