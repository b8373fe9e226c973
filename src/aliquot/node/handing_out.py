"""What kubelet asks of the plugins, and what of the answers is remembered until kubelet lists it.

Asked between two looks, and answered from what the last one found.
"""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from aliquot.clock import Clock
from aliquot.kube.api.core import Pod
from aliquot.kube.kubeletapi.deviceplugin_pb2 import ContainerAllocateResponse
from aliquot.node.advertise import Advertisement, device_of
from aliquot.node.allocation import Given, answer
from aliquot.node.assignments import Places, Promise, Question, outstanding, prefer, promises, unlisted
from aliquot.node.inventory import Snapshot
from aliquot.node.linked_sets import PairScores, pair_scores
from aliquot.node.metrics.counts import Counts
from aliquot.node.plugin_config.settings import Settings
from aliquot.node.pod_resources import Allocations, Holding
from aliquot.node.usage import Answer, Answers, served_claim

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Promised:
    """What was made of what; compared by identity."""

    pods: Sequence[Pod]
    holdings: Sequence[Holding]
    places: Places
    promises: Sequence[Promise]


class HandingOut:
    """The plugins' policy. `pods` gives those bound here, `allocated` is called after each answer."""

    def __init__(
        self,
        *,
        pods: Callable[[], Sequence[Pod]],
        settings: Callable[[], Settings],
        counts: Counts,
        clock: Clock,
        rng: random.Random,
        allocated: Callable[[], None],
    ) -> None:
        self._pods = pods
        self._settings = settings
        self._counts = counts
        self._clock = clock
        self._rng = rng
        self._allocated = allocated
        self._answers = Answers()
        self._snapshot = Snapshot()
        self._allocations = Allocations()
        self._places = Places(())
        self._scores: PairScores | None = None
        self._promised: _Promised | None = None

    # --- what a look finds ---

    def offered(self, advertisement: Advertisement, snapshot: Snapshot) -> None:
        """From now on."""
        self._places = Places(advertisement.devices)
        self._snapshot = snapshot
        self._scores = None

    def listed(self, allocations: Allocations) -> None:
        """What kubelet says by now."""
        self._allocations = allocations
        self._answers.settle(allocations)

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is to show in kubelet's list any moment."""
        return self._answers.are_listed_soon(self._clock.now())

    def due_in_s(self) -> float:
        """When an answer that kubelet has not listed is given up; infinity when there is none."""
        return self._answers.due_in_s(self._clock.now())

    def answered(self) -> frozenset[str]:
        """Devices of which something was given that kubelet does not list yet."""
        return frozenset(map(device_of, self._answers.device_ids()))

    def promises(self) -> Sequence[Promise]:
        """To live pods that kubelet does not list; made anew only when pods, list or devices are others."""
        pods, holdings, places = self._pods(), self._allocations.holdings, self._places
        made = self._promised
        if (
            made is None
            or made.pods is not pods
            or made.holdings is not holdings
            or made.places is not places
        ):
            found = promises(unlisted(pods, holdings), places)
            made = self._promised = _Promised(pods, holdings, places, found)
        return made.promises

    # --- device_plugin.Policy ---

    def prefer(self, question: Question) -> Sequence[str]:
        held = self._allocations.held_ids | self._answers.device_ids()
        if self._scores is None:
            self._scores = pair_scores(self._snapshot.gpus)
        policy = self._settings().allocation_policy
        return prefer(question, self.outstanding(), self._places, held, self._scores, policy)

    def allocate(self, resource: str, ids: Sequence[str], given: Given) -> ContainerAllocateResponse:
        claim = served_claim(resource, ids, self.outstanding())
        self._answers.add(Answer(tuple(ids), self._clock.now(), claim.id if claim is not None else None))
        self._counts.allocated(resource)
        # Who holds what is in GPUNode; a line for each would cost more than the rest of the answer.
        _log.debug("allocated", resource=resource, devices=list(ids), pod=claim.pod if claim else "")
        self._allocated()
        return answer(given, self._settings(), self._new_id)

    def outstanding(self) -> Sequence[Promise]:
        """Those for which kubelet has yet to ask."""
        return outstanding(self.promises(), self._answers.claims())

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
