"""Makes what is missing: looks before each, waits for what others need, and begins anew wherever it was stopped.

Nothing is remembered: what is there is there because AWS says so. So it does not matter where a run dies, nor whether the answer to
its last call came. Only for a moment after a call AWS may not yet tell of what it has made; nobody asks again within it.
"""

import re
from collections.abc import Callable, Sequence

from aliquot.eks.aws.api import THROTTLED, UNKNOWN_OUTCOME, Api, Failure
from aliquot.eks.provision.looking import Found, Standing, State, look, standing, unseen
from aliquot.eks.provision.patience import Patient, Pause
from aliquot.eks.provision.resources import Resource, resolved

Tell = Callable[[str], None]

SETTLE_S = 5.0
"""For so long AWS may not tell of what was just made."""
_MOST_PAUSE_S = 30.0
_ATTEMPTS = 15
_ATTEMPTS_TAKEN = 6
"""Where AWS says that it is there, and it is not found: it is somebody else's."""
EVERY_S = 15.0
_MOST_WAIT_S = 3600.0
"""Of one resource. Node groups give up by themselves after 20 to 40 minutes."""

_TAKEN = frozenset(
    {
        "EntityAlreadyExists",
        "EntityAlreadyExistsException",
        "ResourceInUseException",
        "AlreadyExistsException",
        "ResourceAlreadyExistsException",
        "RouteAlreadyExists",
        "Resource.AlreadyAssociated",
        "InvalidGroup.Duplicate",
        "InvalidPermission.Duplicate",
        "InvalidPlacementGroup.Duplicate",
        "InvalidSubnet.Conflict",
        "InvalidLaunchTemplateName.AlreadyExistsException",
    }
)


class NotMade(Exception):
    """One line: what could not be made, why, and what to do."""


class Creation:
    def __init__(self, api: Api, cluster: str, *, pause: Pause, tell: Tell, every_s: float = EVERY_S) -> None:
        """`every_s`: how often what takes minutes is looked at."""
        self._api = Patient(api, pause)
        self._cluster = cluster
        self._pause = pause
        self._tell = tell
        self._every_s = every_s
        self.known: dict[str, Found] = {}
        """What AWS tells of each resource that is there."""
        self.made: list[str] = []
        self._unready: dict[str, Resource] = {}

    async def run(self, resources: Sequence[Resource]) -> None:
        """Raises Failure, NotMade, NotOurs, Twice. Safe to repeat."""
        self.known = await there(self._api, resources, self._cluster)
        missing = [one for one in resources if one.key not in self.known]
        self._unready = {one.key: one for one in resources if one.key in self.known}
        if missing:
            # Somebody may have died a moment ago, just after a call.
            await self._pause(SETTLE_S)
        width = len(str(len(resources)))
        for number, resource in enumerate(resources, start=1):
            if resource.key in self.known:
                continue
            for key in resource.needs:
                await self._wait(key)
            self._tell(f"[{number:{width}}/{len(resources)}] {resource.title}")
            await self._make(resource)
        for key in list(self._unready):
            await self._wait(key)

    async def _make(self, resource: Resource) -> None:
        made, taken, last = False, 0, ""
        answered = False
        for attempt in range(_ATTEMPTS):
            if attempt and not answered:
                pause_s = min(SETTLE_S * 1.5 ** (attempt - 1), _MOST_PAUSE_S)
                if last:
                    self._tell(f"{' ' * 8}{last}: again in {pause_s:.0f} s")
                await self._pause(pause_s)
            answered = False
            found = await look(self._api, resource, self.known, self._cluster)
            if found is not None:
                self.known[resource.key] = found
                self._unready[resource.key] = resource
                return
            if made:
                continue
            call = resource.make
            try:
                await self._api.call(call.service, call.operation, **resolved(call.parameters, self.known))
            except Failure as failure:
                if not _passes(failure):
                    raise
                last = failure.message
                taken += failure.code in _TAKEN
                if taken >= _ATTEMPTS_TAKEN:
                    break
            else:
                # Mostly AWS tells of it at once.
                made = answered = True
                self.made.append(resource.key)
        if made:
            raise NotMade(f"{resource.title}: it was made, and AWS does not tell of it yet: run it again")
        raise NotMade(f"{resource.title}: {last}")

    async def _wait(self, key: str) -> None:
        resource = self._unready.get(key)
        if resource is None:
            return
        waited_s, told_s = 0.0, -60.0
        while True:
            now = standing(resource.look, self.known[key])
            if now.state is State.READY:
                del self._unready[key]
                return
            if now.state is State.FAILED:
                raise NotMade(failed(resource, now))
            if waited_s >= _MOST_WAIT_S:
                raise NotMade(
                    f"{resource.title} is still {now.status} after {waited_s / 60:.0f} minutes: run it again"
                )
            if waited_s - told_s >= 60:
                told_s = waited_s
                self._tell(f"{' ' * 8}{resource.title}: {now.status}, {waited_s / 60:.0f} min")
            await self._pause(self._every_s)
            waited_s += self._every_s
            found = await look(self._api, resource, self.known, self._cluster)
            if found is None:
                raise NotMade(f"{resource.title} went away while it was waited for: run it again")
            self.known[key] = found


def failed(resource: Resource, now: Standing) -> str:
    if now.status in _GOING:
        return f"{resource.title} is {now.status}: wait until it is gone, and run it again"
    why = f" ({now.why})" if now.why else ""
    return f"{resource.title} is {now.status}{why}: see to the reason, delete it{_by(resource)}, and run it again"


_GOING = ("DELETING", "deleting")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def _by(resource: Resource) -> str:
    """The command, where its look names it as the call that deletes it does: in EKS."""
    if resource.make.service != "eks":
        return ""
    noun = _kebab(resource.make.operation.removeprefix("Create"))
    which = " ".join(f"--{_kebab(name)} {value}" for name, value in resource.look.parameters.items())
    return f" (aws eks delete-{noun} {which})"


def _kebab(name: str) -> str:
    return _WORD.sub("-", name).lower()


async def there(api: Api, resources: Sequence[Resource], cluster: str) -> dict[str, Found]:
    """What of them AWS has. Raises Failure, NotOurs, Twice."""
    known: dict[str, Found] = {}
    unready: set[str] = set()
    for resource in resources:
        # A cluster that is on its way answers nothing about what is in it, and it cannot be there yet.
        if unready.intersection(resource.needs):
            unready.add(resource.key)
            continue
        found = await look(api, resource, known, cluster)
        if found is not None:
            known[resource.key] = found
            if standing(resource.look, found).state is not State.READY:
                unready.add(resource.key)
    return known


def _passes(failure: Failure) -> bool:
    """Whether to look and ask again: AWS has no time, does not know yet what was just made, or has it already."""
    # A role takes seconds until other services may take it.
    role = failure.code == "InvalidParameterException" and "role" in failure.message.lower()
    return failure.code in THROTTLED | UNKNOWN_OUTCOME | _TAKEN or unseen(failure) or role
