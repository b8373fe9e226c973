"""Which kinds there are to look after: the built-in ones and, as they come and go, the custom ones."""

from collections.abc import Iterable, Sequence

from aliquot.emulator import discovery
from aliquot.emulator.controllers import conditions
from aliquot.emulator.controllers.types import WorkloadCondition
from aliquot.emulator.versions import STANDARD, Surface
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.cache import Cache
from aliquot.kube.resources import Resource


class CrdNames(Wire, kw_only=True, frozen=True):
    plural: str
    kind: str


class CrdVersion(Wire, kw_only=True, frozen=True):
    name: str
    served: bool = False


class CrdSpec(Wire, kw_only=True, frozen=True):
    group: str
    scope: str
    names: CrdNames
    versions: tuple[CrdVersion, ...] = ()


class CrdStatus(Wire, kw_only=True, frozen=True):
    conditions: tuple[WorkloadCondition, ...] | None = None


class Crd(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: CrdSpec
    status: CrdStatus = CrdStatus()


_NEEDED_VERBS = frozenset(["delete", "list", "watch"])

# One store, two groups: events are looked after under their core name.
_EVENTS_ALIAS = ("events.k8s.io", "events")


def built_in(surface: Surface = STANDARD) -> Sequence[Resource]:
    """The built-in resources whose objects can be listed, watched and deleted, each at its best version."""
    best: dict[tuple[str, str], Resource] = {}
    for found in discovery.builtin(surface):
        if set(found.verbs) >= _NEEDED_VERBS and (found.group, found.plural) != _EVENTS_ALIAS:
            best.setdefault(
                (found.group, found.plural),
                Resource(found.group, found.version, found.plural, found.kind, found.namespaced),
            )
    return tuple(best.values())


def custom(crd: Crd) -> Resource | None:
    """The resource of a CustomResourceDefinition at its best version; None while it is not established."""
    if not conditions.is_true(crd.status.conditions, "Established"):
        return None
    served = sorted(
        (version.name for version in crd.spec.versions if version.served), key=discovery.version_priority
    )
    if not served:
        return None
    names = crd.spec.names
    return Resource(crd.spec.group, served[0], names.plural, names.kind, crd.spec.scope == "Namespaced")


class Kinds:
    """`crds` is followed; its objects that are being deleted still count."""

    def __init__(self, crds: Cache[Crd], surface: Surface = STANDARD) -> None:
        self.built_in = built_in(surface)
        self._crds = crds

    def all(self) -> Iterable[Resource]:
        yield from self.built_in
        for found in sorted(self._crds.values(), key=lambda crd: crd.metadata.name):
            resource = custom(found)
            if resource is not None:
                yield resource

    def find(self, api_version: str, kind: str) -> Resource | None:
        """By group and kind: an owner reference may speak of another version."""
        group = api_version.rpartition("/")[0]
        return next((found for found in self.all() if (found.group, found.kind) == (group, kind)), None)
