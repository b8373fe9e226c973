"""Annotations by which the roll says what it did, to whoever comes after it, and what jobs tell it.

How a checkpoint is asked for and answered is `aliquot.kube.api.checkpoint`, the same as when a driver is upgraded.
"""

from msgspec import Struct

SUSPENDED_BY = "aliquot.dev/suspended-by"
"""On what was suspended: the run. What has none was suspended by somebody else, and stays so."""
SUSPENDED_FOR = "aliquot.dev/suspended-for"
"""The places (`estate.places`), with commas."""
REPLICAS_BEFORE = "aliquot.dev/replicas-before"
"""Of what was scaled to none."""
CORDONED_BY = "aliquot.dev/cordoned-by"
"""On a node: the run."""
RESTORED_FROM = "aliquot.dev/restored-from"
"""On a new node: whose place it took; `-`: nobody's, it is one more."""
CHECKPOINT_URL = "aliquot.dev/checkpoint-url"
"""On a pod: where it is asked for a checkpoint, `:8080/save`. It answers 2xx once it has one that is newer than `requested` in the body;
until then it is asked again. It is reached through the API server, so it need not be reachable from anywhere else."""


class Hook(Struct, frozen=True):
    port: int
    path: str


def hook(text: str) -> Hook | None:
    """Of a pod's annotation; None: it is none. A scheme and a host are passed over: it is the pod's own."""
    rest = text.strip().removeprefix("http://")
    host, _, path = rest.partition("/")
    _, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return Hook(int(port), path)
