"""Follows the pods, and counts what those with GPUs ask for, each once: so it knows what usually comes, and what room is worth.

A pod counts when it is first seen, whether it waits or runs, and whoever places it. So a scheduler that starts knows the
pods that are there; those that stay long are more of them than of the pods that come, until enough others have come.
"""

from collections.abc import Callable

import structlog

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.scheduler.core.keeping_worth import by_worth
from aliquot.scheduler.core.mix import ENOUGH, Mix, Supply, ask_of, supply_of, worth_to
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.pods import PodReader

_log = structlog.get_logger()

_NEWS = 0.05
"""What part of the pods that are remembered has to be new for a worth to be made of them."""


class UsualDemand:
    """`base`: the policies to which worth is added."""

    def __init__(self, snapshot: Snapshot, base: Policies, *, pods: Cache[Pod]) -> None:
        self._snapshot = snapshot
        self._base = base
        self._pods = pods
        self._reader = PodReader()
        self._mix = Mix()
        self._counted: dict[str, str] = {}
        """Pods that are there, and have been counted: their uid by key."""
        self._since_look = 0
        self._supply: Supply | None = None
        """That of the worth in use; None before there is one."""

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it."""
        return self._pods.subscribe(self._pod_changed)

    @property
    def known(self) -> int:
        """Pods with GPUs that are remembered."""
        return self._mix.total

    def look(self) -> Policies | None:
        """By what is worth what now; None: no otherwise than when this was asked last, or too little is known yet."""
        if self.known < ENOUGH:
            return None
        nodes = (state.facts for state in self._snapshot.nodes.values())
        supply = supply_of(nodes, self._mix.resources)
        if supply == self._supply and self._since_look < _NEWS * self.known:
            return None
        if self._supply is None:
            _log.info("GPU pods are placed by worth", known=self.known)
        self._supply, self._since_look = supply, 0
        return by_worth(self._base, worth_to(self._mix, supply), supply.units)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        either = new or old
        assert either is not None
        name, uid = key(either), either.metadata.uid
        if new is None or new.status.has_ended:
            self._counted.pop(name, None)
        elif self._counted.get(name) != uid and not new.spec.scheduling_gates:
            self._counted[name] = uid
            ask = ask_of(self._reader.shape_alone(new))
            if ask is not None:
                self._mix.count(ask)
                self._since_look += 1
