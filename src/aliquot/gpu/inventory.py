"""Inventories: which boards the nodes of an emulated cluster have.

`gpus: [{board: h100-80gb, count: 8, mig: true}]` for one node, or `nodes: [{name, labels, clique, gpus: [...]}]`; on the
command line `h100-80gb:8`. Every board is looked up here, so that what comes out can be built.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.document import Document
from aliquot.gpu import boards
from aliquot.gpu.driver import Fabric

MAX_GPUS = 32
"""Of one node: more the kernel driver does not drive."""

MAX_NAME_CHARACTERS = 63
"""Of a node: its name is also the value of its host name label."""

_CLUSTER_UUID = "6f1d3c52-9a0e-5b7d-8e43-2c1f0a9b7d64"
"""Of the one NVLink fabric that all cliques of emulated nodes are in."""

_DNS_LABELS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_KUBELETS_OWN_LABELS = frozenset({"kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os"})


@dataclass(frozen=True, slots=True)
class InventoryGpus:
    """`count` equal GPUs. `mig`: MIG mode is on when the node starts for the first time."""

    board: str
    count: int = 1
    mig: bool = False


@dataclass(frozen=True, slots=True)
class InventoryNode:
    name: str
    labels: Mapping[str, str]
    gpus: tuple[InventoryGpus, ...]
    clique: int | None = None
    """Of the NVLink domain across nodes that its GPUs have joined: those with the same number reach each other."""

    @property
    def fabric(self) -> Fabric | None:
        return None if self.clique is None else Fabric(_CLUSTER_UUID, self.clique)


@dataclass(frozen=True, slots=True)
class Inventory:
    nodes: tuple[InventoryNode, ...]

    def node(self, name: str) -> InventoryNode:
        """The node of that name; an inventory of one node without a name fits every name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
            if not node.name:
                return replace(node, name=name)
        known = (node.name for node in self.nodes)
        raise KeyError(f"the inventory has no node '{name}'{document.nearest(name, known)}")


def parse_gpus(text: str) -> tuple[InventoryGpus, ...]:
    """`BOARD[:COUNT][:mig]`, several with commas: `h100-80gb:8`, `a100-40gb:4:mig,l4:2`. Raises ValueError."""
    groups = []
    if not all(part.strip() for part in text.split(",")):
        raise ValueError(f"'{text}' names no board at one place: give BOARD[:COUNT][:mig] there, or no comma")
    for part in text.split(","):
        board, *options = part.strip().split(":")
        mig = options[-1:] == ["mig"]
        counts = options[: len(options) - mig]
        if len(counts) > 1 or not all(re.fullmatch(r"[1-9]\d{0,3}", count, re.ASCII) for count in counts):
            raise ValueError(f"'{part}' is not BOARD[:COUNT][:mig], like h100-80gb:8 or a100-40gb:4:mig")
        groups.append(InventoryGpus(board, int(counts[0]) if counts else 1, mig))
        if complaint := _board_complaint(groups[-1]):
            raise ValueError(complaint)
    if sum(group.count for group in groups) > MAX_GPUS:
        raise ValueError(f"'{text}' has more than {MAX_GPUS} GPUs for one node")
    return tuple(groups)


def load(path: Path) -> Inventory:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> Inventory:
    """A single node's inventory gives one node with an empty name. Raises DocumentError."""
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    if (file.gpus is None) == (file.nodes is None):
        raise parsed.error((), "an inventory has either 'gpus' (one node) or 'nodes'")
    if file.gpus is not None:
        return Inventory((InventoryNode("", {}, _gpus(parsed, ("gpus",), file.gpus)),))
    nodes: list[InventoryNode] = []
    for index, node in enumerate(file.nodes or ()):
        if complaint := _name_complaint(node.name):
            raise parsed.error(("nodes", index, "name"), complaint)
        if node.name in (known.name for known in nodes):
            raise parsed.error(("nodes", index, "name"), f"node '{node.name}' is given twice")
        for key, value in node.labels.items():
            if complaint := _label_complaint(key, value):
                raise parsed.error(("nodes", index, "labels", key), complaint)
        gpus = _gpus(parsed, ("nodes", index, "gpus"), node.gpus)
        if node.clique is not None and not any(boards.board(group.board).nvlink for group in gpus):
            raise parsed.error(
                ("nodes", index, "clique"), f"node '{node.name}' has no board with NVLink: it is in no clique"
            )
        nodes.append(InventoryNode(node.name, node.labels, gpus, node.clique))
    return Inventory(tuple(nodes))


class _Gpus(Struct):
    board: str
    count: Annotated[int, Meta(ge=1, le=MAX_GPUS)] = 1
    mig: bool = False


class _Node(Struct):
    name: str
    labels: dict[str, str] = {}
    gpus: list[_Gpus] = []
    clique: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class _File(Struct):
    gpus: list[_Gpus] | None = None
    nodes: list[_Node] | None = None


def _gpus(
    parsed: Document, path: tuple[str | int, ...], groups: Sequence[_Gpus]
) -> tuple[InventoryGpus, ...]:
    found = tuple(InventoryGpus(group.board, group.count, group.mig) for group in groups)
    for index, group in enumerate(found):
        if complaint := _board_complaint(group):
            raise parsed.error((*path, index, "board"), complaint)
    if sum(group.count for group in found) > MAX_GPUS:
        raise parsed.error(path, f"more than {MAX_GPUS} GPUs on one node")
    return found


def _name_complaint(name: str) -> str:
    if len(name) > MAX_NAME_CHARACTERS:
        return f"node name '{name}' has {len(name)} characters: use at most {MAX_NAME_CHARACTERS}"
    if not _DNS_LABELS.fullmatch(name):
        return (
            f"'{name}' is no node name: use lower case letters, digits, '-' and '.', and begin and end each part "
            "between dots with a letter or digit"
        )
    return ""


def _label_complaint(key: str, value: str) -> str:
    """As a Kubernetes API server would refuse it, which is too late: the node would never register."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _DNS_LABELS.fullmatch(prefix)):
        return f"label '{key}': '{prefix}' before the '/' is no domain: use one like example.com/{name or 'name'}"
    if not _LABEL_NAME.fullmatch(name):
        return f"label key '{key}': {_LABEL_GRAMMAR}"
    if value and not _LABEL_NAME.fullmatch(value):
        return f"value '{value}' of label '{key}': {_LABEL_GRAMMAR}"
    if key in _KUBELETS_OWN_LABELS:
        return f"label '{key}' is set by the node's own kubelet: leave it out"
    return ""


_LABEL_GRAMMAR = "use at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit"


def _board_complaint(group: InventoryGpus) -> str:
    try:
        board = boards.board(group.board)
    except boards.UnknownBoard as error:
        return str(error)
    if group.mig and board.mig is None:
        return f"board '{board.key}' has no MIG"
    if group.mig and board.mig is not None and not board.mig.instance_profiles():
        return f"board '{board.key}' has MIG, but its placements are not published: it cannot be simulated"
    return ""
