"""The device plugins of the node: one for each resource name, and what each of them offers now.

Kubelet ignores names it does not know, so a name once given stays, be it with nothing to offer.
"""

from collections.abc import Callable, Iterable

from aliquot.node.advertise import Advertisement, Device
from aliquot.node.device_plugin import DevicePlugin, Offer, Policy
from aliquot.node.registration import Registrar


class Plugins:
    def __init__(self, policy: Policy, registrar: Registrar, stream_changed: Callable[[], None]) -> None:
        self._policy = policy
        self._registrar = registrar
        self._stream_changed = stream_changed
        self._plugins: dict[str, DevicePlugin] = {}

    def offer(self, advertisement: Advertisement, offers_of: Callable[[Device], Iterable[Offer]]) -> None:
        """All that is advertised, and nothing else."""
        offered = {
            resource: [offer for device in devices for offer in offers_of(device)]
            for resource, devices in advertisement.resources.items()
        }
        for resource in sorted(offered.keys() - self._plugins.keys()):
            self._plugins[resource] = DevicePlugin(resource, self._policy, self._stream_changed)
        # What moves from one name to another leaves first.
        losing = [name for name, plugin in self._plugins.items() if plugin.would_lose(offered.get(name, ()))]
        for resource in dict.fromkeys((*losing, *self._plugins)):
            self._plugins[resource].offer(offered.get(resource, ()))
        self._registrar.serve(tuple(self._plugins.values()))

    def watched(self) -> list[str]:
        """Resources of which kubelet hears just now."""
        return [resource for resource, plugin in self._plugins.items() if plugin.streams]
