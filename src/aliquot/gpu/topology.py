"""How the GPUs of a simulated node are wired: NVLink by board, PCIe by NUMA halves.

For the simulated driver only; a real node's links are read from NVML.
"""

from collections.abc import Iterator, Sequence

from aliquot.gpu.boards import Board, NvLink, NvLinkShape
from aliquot.gpu.driver import LinkKind

_CUBE_MESH = (
    (0, 1, 1, 2, 2, 0, 0, 0),
    (1, 0, 2, 1, 0, 2, 0, 0),
    (1, 2, 0, 2, 0, 0, 1, 0),
    (2, 1, 2, 0, 0, 0, 0, 1),
    (2, 0, 0, 0, 0, 1, 1, 2),
    (0, 2, 0, 0, 1, 0, 2, 1),
    (0, 0, 1, 0, 1, 2, 0, 2),
    (0, 0, 0, 1, 2, 1, 2, 0),
)
"""DGX-1 with V100: links between each two of eight GPUs, six per GPU."""

_DIRECT_PEERS = 3
"""On a four-GPU baseboard each GPU shares its links out among three others."""


def numa_node(count: int, index: int) -> int:
    """Two sockets: the first half of the GPUs on 0, the rest on 1."""
    return 0 if 2 * index < count else 1


def links(boards: Sequence[Board], index: int) -> Iterator[tuple[int, LinkKind, int]]:
    """(peer, kind, NVLinks) from one GPU to each other one of the node: by NVLink where it goes, and by PCIe."""
    for peer, board in enumerate(boards):
        if peer == index:
            continue
        own = boards[index].nvlink
        lanes = _lanes(own, boards, index, peer) if own and board.key == boards[index].key else 0
        same_half = numa_node(len(boards), index) == numa_node(len(boards), peer)
        pcie = LinkKind.SAME_CPU if same_half else LinkKind.CROSS_CPU
        if lanes:
            yield peer, LinkKind.NVLINK, lanes
        yield peer, pcie, 0


def _lanes(nvlink: NvLink, boards: Sequence[Board], index: int, peer: int) -> int:
    joined = [i for i, board in enumerate(boards) if board.nvlink == nvlink]
    if nvlink.shape is NvLinkShape.CUBE_MESH:
        mesh = len(_CUBE_MESH)
        a, b = joined.index(index), joined.index(peer)
        return _CUBE_MESH[a % mesh][b % mesh] if a // mesh == b // mesh else 0
    if nvlink.shape is NvLinkShape.HGX and len(joined) <= _DIRECT_PEERS + 1:
        return nvlink.lanes // _DIRECT_PEERS
    return nvlink.lanes
