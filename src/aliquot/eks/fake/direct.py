"""The fake without HTTP, for simulations on virtual time: it takes the place of the door to AWS (`eks.aws.api.Api`)."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aliquot.eks.fake import neighbours
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.service import Lost, Service
from aliquot.eks.fake.surroundings import Surroundings, questions, surroundings

Failed = Callable[[str, str, str, str], Exception]
"""(service, operation, code, message) → what the door raises."""
UNREACHABLE = "Unreachable"
_TOKENS = ("nextToken", "NextToken")
"""Asked for by the same name as told, in all that the fake has."""


class Direct:
    def __init__(
        self,
        service: Service,
        *,
        now: Callable[[], float],
        failed: Failed,
        subnets: Callable[[], list[dict[str, Any]]],
        others: Mapping[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
    ) -> None:
        """`others`: operations of services that the fake has not, by service and operation; each gets the parameters and answers."""
        self._service = service
        self._now = now
        self._failed = failed
        self._subnets = subnets
        self._others = others or {}
        self.calls: Counter[str] = Counter()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[f"{service}:{operation}"] += 1
        other = self._others.get((service, operation))
        if other is not None:
            return other(parameters)
        try:
            if neighbours.takes(service, operation, parameters):
                self._service.advance(self._now())
                return neighbours.answer(self._service.world, service, operation, parameters, self._now())
            if service != "eks":
                raise self._failed(
                    service, operation, "ServerException", f"the fake does not know {service}:{operation}"
                )
            return self._service.call(operation, parameters, self._now(), self._around(operation, parameters))
        except Refused as error:
            raise self._failed(service, operation, error.code, error.message) from None
        except Lost:
            raise self._failed(service, operation, UNREACHABLE, "the connection broke off") from None

    def _around(self, operation: str, parameters: dict[str, Any]) -> Surroundings:
        """EC2's answers, where there is somebody to ask."""
        told: dict[str, dict[str, Any]] = {}
        for name, asked in questions(operation, parameters).items():
            if name == "DescribeSubnets":
                told[name] = {"Subnets": self._subnets()}
            elif ("ec2", name) in self._others:
                told[name] = self._others["ec2", name](asked)
        return surroundings(told)

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        while True:
            page = await self.call(service, operation, **parameters)
            for item in page.get(result, ()):
                yield item
            asked = next((one for one in _TOKENS if one in page), None)
            if asked is None:
                return
            parameters = {**parameters, asked: page[asked]}
