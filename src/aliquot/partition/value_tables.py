"""Learned values as data: what `aliquot partition train` writes, and those that are shipped.

`data/value_tables.json` was made, for boards with the profiles of an A100 or H100, by

    aliquot partition train --into value_tables.json --mix uniform
    aliquot partition train --into value_tables.json --mix skew-small --from uniform --seed 2 --candidates 20

The other mixes of the benchmark (`simulation.workload.MIXES`) have none: what was learned from skew-big and bimodal was no
better than the rule that needs no learning, and on lighter loads a little worse.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from math import isfinite

import msgspec
from msgspec import Struct

from aliquot.document import nearest
from aliquot.partition.board_states import BoardStates
from aliquot.partition.policies.learned import feature_names, learned, shape
from aliquot.partition.policies.policy import Policy

_SHAPE = re.compile(r"\d{1,3}/\d{1,3}", re.ASCII)
_SUM_OFF = 0.001


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


class BadTables(ValueError):
    """One line."""


def problem(table: ValueTable) -> str:
    """What is wrong with it; empty: nothing. A name that no feature has would weigh nothing, and not be missed."""
    for one in table.shares:
        if not _SHAPE.fullmatch(one):
            return f"'{one}' is no shape of a profile, like 1/2: compute slices and memory slots"
    if not all(0 <= share <= 1 for share in table.shares.values()):
        return "a share is below 0 or above 1"
    total = sum(table.shares.values())
    if abs(total - 1) > _SUM_OFF:
        return f"the shares sum to {total:.3f}, and not to 1"
    features = feature_names(table.shares)
    for name, weight in table.weights.items():
        if name not in features:
            return f"there is no feature '{name}'{nearest(name, features)}"
        if not isfinite(weight):
            return f"the weight of '{name}' is no number"
    return ""


def read(texts: Mapping[str, bytes]) -> tuple[ValueTable, ...]:
    """Those of files by name, and of the shipped ones all whose name and board none of them has. Raises BadTables."""
    found: dict[tuple[str, frozenset[str]], tuple[str, ValueTable]] = {}
    for source, text in texts.items():
        try:
            tables = decode(text)
        except msgspec.DecodeError as error:
            raise BadTables(f"{source} is no file of value tables: {error}") from None
        if not tables:
            raise BadTables(f"{source} has no table: `aliquot partition train --into` writes one")
        for table in tables:
            if wrong := problem(table):
                raise BadTables(f"{source}: table '{table.name}': {wrong}")
            key = table.name, frozenset(table.shares)
            if key in found:
                raise BadTables(
                    f"{source}: there is another table '{table.name}' for this board in {found[key][0]}; "
                    "give one of them another name"
                )
            found[key] = source, table
    own = [table for _, table in found.values()]
    return *own, *(table for table in shipped() if (table.name, frozenset(table.shares)) not in found)


def decode(text: bytes) -> tuple[ValueTable, ...]:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=tuple[ValueTable, ...])


def encode(tables: Sequence[ValueTable]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(tables), indent=1) + b"\n"


@lru_cache(maxsize=1)
def shipped() -> tuple[ValueTable, ...]:
    return decode(files("aliquot.partition").joinpath("data/value_tables.json").read_bytes())
