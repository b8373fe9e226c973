"""Other software that holds GPUs without using them, as monitors do: paused while it is in the way of a cut. Pure.

NVIDIA's operator runs each of its parts where the node's label `nvidia.com/gpu.deploy.NAME` is `true`, and takes it away
where the label says anything else. They are paused only when the driver has refused a step though nobody uses the GPU,
and let go on as soon as that is over, whoever paused them.
"""

from collections.abc import Collection, Mapping

HELD_BY_CLIENT = "HeldByClient"
"""Reason of a GPU: the driver says it is in use, and neither a process nor a pod is to be seen."""

_PREFIX = "nvidia.com/gpu.deploy."
_CLIENTS = ("client", "dcgm", "dcgm-exporter", "gpu-feature-discovery", "nvsm")
_PAUSED = "paused-for-mig-change"
"""The operator's own word for it."""


_UNDER_WAY = frozenset({HELD_BY_CLIENT, "Reconfiguring", "Withdrawing", "Evicting"})


def changes(labels: Mapping[str, str], reasons: Collection[str]) -> dict[str, str]:
    """What the node's labels are to say instead; `reasons` are those of its GPUs.

    What was switched off by hand stays off. What is paused stays so until nothing is under way any more.
    """
    in_the_way, over = HELD_BY_CLIENT in reasons, _UNDER_WAY.isdisjoint(reasons)
    found = {}
    for name in _CLIENTS:
        said = labels.get(_PREFIX + name)
        if in_the_way and said is not None and said not in ("false", _PAUSED):
            found[_PREFIX + name] = _PAUSED
        elif over and said == _PAUSED:
            found[_PREFIX + name] = "true"
    return found
