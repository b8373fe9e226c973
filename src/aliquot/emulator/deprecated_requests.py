"""Who has asked for deprecated versions of the API since this server began: kube-apiserver's own metric, with its clients."""

from collections.abc import Sequence
from dataclasses import dataclass

from aliquot.emulator.discovery import ResourceType

METRIC = "apiserver_requested_deprecated_apis"
_HELP = (
    f"# HELP {METRIC} [STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, "
    f"resource, subresource, and removed_release.\n# TYPE {METRIC} gauge\n"
)
_MOST_CLIENTS = 1000
"""Of each version of a resource; a client may call itself another name each time."""


@dataclass(frozen=True, slots=True)
class Use:
    """Of one version of a resource, by one client. `last_s` in Unix seconds."""

    group: str
    version: str
    resource: str
    user_agent: str
    times: int
    last_s: float


class DeprecatedRequests:
    def __init__(self) -> None:
        self._clients: dict[tuple[str, str, str, str, str], dict[str, tuple[int, float]]] = {}
        """{(group, version, resource, subresource, removed): {user agent: (times, last)}}"""

    def note(self, resource: ResourceType, subresource: str, user_agent: str, now: float) -> None:
        key = (resource.group, resource.version, resource.plural, subresource, resource.removed)
        clients = self._clients.setdefault(key, {})
        times, _ = clients.get(user_agent, (0, 0.0))
        if times or len(clients) < _MOST_CLIENTS:
            clients[user_agent] = (times + 1, now)

    def uses(self) -> Sequence[Use]:
        return [
            Use(group, version, resource, user_agent, times, last_s)
            for (group, version, resource, _, _), clients in self._clients.items()
            for user_agent, (times, last_s) in clients.items()
        ]

    def metrics(self) -> str:
        """In Prometheus' text format."""
        samples = "".join(
            f'{METRIC}{{group="{group}",removed_release="{removed}",resource="{resource}",'
            f'subresource="{subresource}",version="{version}"}} 1\n'
            for group, version, resource, subresource, removed in sorted(self._clients)
        )
        return _HELP + samples if samples else ""
