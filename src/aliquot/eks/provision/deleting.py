"""Takes away what remains of a cluster, in the reverse order of how it is made. Looks anew each time it is run, so that it may die anywhere."""

from aliquot.eks.aws.api import THROTTLED, UNKNOWN_OUTCOME, Api, Failure
from aliquot.eks.provision import remains
from aliquot.eks.provision.creating import EVERY_S, Tell
from aliquot.eks.provision.looking import matching, unseen
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.patience import FIRST, Patient, Pause
from aliquot.eks.provision.remains import Remain
from aliquot.eks.provision.resources import Call, at

_MOST_WAIT_S = 3600.0
_ATTEMPTS = 20
_MOST_PAUSE_S = 30.0
_ROUNDS = 4
"""Of looking again: what goes late may show only then."""

_STILL_USED = frozenset(
    {
        "DependencyViolation",
        "DeleteConflict",
        "DeleteConflictException",
        "ResourceInUseException",
        "ResourceInUse",
        "InvalidGroup.InUse",
        "InvalidPlacementGroup.InUse",
        "InvalidIPAddress.InUse",
        "InvalidNetworkInterface.InUse",
    }
)
"""Of a moment, where something else has just gone."""
_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "NotFoundException",
        "KMSInvalidStateException",
        "Gateway.NotAttached",
        "NatGatewayNotFound",
        "InvalidPlacementGroup.Unknown",
    }
)


class NotGone(Exception):
    """One line: what stays, and why."""


class Deletion:
    def __init__(self, api: Api, names: Names, *, pause: Pause, tell: Tell, every_s: float = EVERY_S) -> None:
        """`every_s`: how often what takes minutes is looked at."""
        self._first = Patient(api, pause, FIRST)
        self._api = Patient(api, pause)
        self._names = names
        self._pause = pause
        self._tell = tell
        self._every_s = every_s
        self.unread: list[str] = []
        """Keys of KMS whose tags may not be read: whose they are is not known."""

    async def remains(self) -> list[Remain]:
        """Raises Failure, Stays."""
        return await self._look(self._first)

    async def _look(self, api: Api) -> list[Remain]:
        self.unread = []
        return await remains.of(api, self._names, self.unread)

    async def run(self) -> None:
        """Until nothing is there. Raises Failure, Stays, NotGone. Safe to repeat."""
        for _ in range(_ROUNDS):
            found = await self._look(self._api)
            if not found:
                return
            for stage in sorted({one.stage for one in found}):
                now = [one for one in found if one.stage == stage]
                for one in now:
                    self._tell(one.title)
                    for call in one.calls:
                        await self._do(one, call)
                for one in now:
                    await self._wait(one)
        left = await self._look(self._api)
        if left:
            raise NotGone(f"{left[0].title} does not go, and {len(left) - 1} more: run it again")

    async def _do(self, remain: Remain, call: Call) -> None:
        last = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._pause(min(2 * 1.4**attempt, _MOST_PAUSE_S))
            try:
                await self._api.call(call.service, call.operation, **call.parameters)
            except Failure as failure:
                if failure.code in _GONE or unseen(failure):
                    return
                # EC2 says AuthFailure of an address that a gateway still holds.
                held = failure.code == "AuthFailure" and call.operation == "ReleaseAddress"
                if not held and failure.code not in _STILL_USED | THROTTLED | UNKNOWN_OUTCOME:
                    raise
                last = failure.message
            else:
                return
        raise NotGone(f"{remain.title} does not go: {last}{await self._in_the_way(call)}")

    async def _in_the_way(self, call: Call) -> str:
        """What of others is in a VPC that does not go."""
        vpc = call.parameters.get("VpcId")
        if not vpc:
            return ""
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        found = []
        for operation, result, id_ in (
            ("DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId"),
            ("DescribeSubnets", "Subnets", "SubnetId"),
            ("DescribeSecurityGroups", "SecurityGroups", "GroupId"),
        ):
            found += [
                f"{one[id_]} {one.get('Description', '')}".strip()
                async for one in self._api.pages("ec2", operation, result, Filters=filters)
                if isinstance(one, dict) and one.get("GroupName") != "default"
            ]
        return f"; in it is still what others have put there: {', '.join(found)}" if found else ""

    async def _wait(self, remain: Remain) -> None:
        if remain.gone is None:
            return
        waited_s = told_s = 0.0
        while True:
            try:
                found = await matching(self._api, remain.gone, {})
            except Failure as failure:
                if failure.code not in _GONE and not unseen(failure):
                    raise
                found = []
            if not found:
                return
            status = at(found[0], "status") or at(found[0], "State")
            if status == "DELETE_FAILED":
                raise NotGone(f"{remain.title} does not go: {at(found[0], 'health.issues')}")
            if waited_s >= _MOST_WAIT_S:
                raise NotGone(
                    f"{remain.title} is still there after {waited_s / 60:.0f} minutes: run it again"
                )
            if waited_s - told_s >= 60:
                told_s = waited_s
                self._tell(f"        {remain.title}: {status}, {waited_s / 60:.0f} min")
            await self._pause(self._every_s)
            waited_s += self._every_s
