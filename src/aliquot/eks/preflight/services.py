"""Services that an API server calls, and whether anybody stands behind them."""

from collections.abc import Mapping
from typing import Any

from aliquot.eks.estate.objects import Objects


class Services:
    def __init__(self, objects: Objects) -> None:
        self.are_known = not {"Service", "EndpointSlice"} & {*objects.unread}
        """False: nobody can say who has endpoints."""
        self._there = {_place(one["metadata"]) for one in objects.of("Service")}
        self._ready = set()
        for one in objects.of("EndpointSlice"):
            metadata = one["metadata"]
            name = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
            # An endpoint that says nothing of it counts as ready (discovery/v1).
            if any(
                (endpoint.get("conditions") or {}).get("ready") is not False
                for endpoint in one.get("endpoints") or ()
            ):
                self._ready.add((metadata.get("namespace", ""), name))

    def missing(self, reference: Mapping[str, Any]) -> str:
        """Of `clientConfig` or an APIService's spec: `policy/guard has no ready endpoints`; empty where nothing is known to be missing."""
        service = reference.get("service")
        if service is None or not self.are_known:
            return ""
        place = _place(service)
        if place in self._ready:
            return ""
        why = "has no ready endpoints" if place in self._there else "is not there"
        return f"{place[0]}/{place[1]} {why}"


def _place(named: Mapping[str, Any]) -> tuple[str, str]:
    return named.get("namespace", ""), named.get("name", "")
