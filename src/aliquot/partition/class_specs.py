"""The GPUClasses that there are, as searches take them: the same mapping for as long as none of them is another."""

from collections.abc import Callable

from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.cache import Cache
from aliquot.partition.demand import Classes


class ClassSpecs:
    def __init__(self, gpu_classes: Cache[GPUClass]) -> None:
        self._gpu_classes = gpu_classes
        self.now: Classes = {}

    def follow(self, changed: Callable[[], None] = lambda: None) -> Callable[[], None]:
        """Start to listen; returns the function that stops it. `changed` is called when `now` is another."""
        self.now = {}

        def seen(old: GPUClass | None, new: GPUClass | None) -> None:
            either = new or old
            assert either is not None
            specs = {name: spec for name, spec in self.now.items() if name != either.metadata.name}
            if new is not None:
                specs[new.metadata.name] = new.spec
            if specs != self.now:
                self.now = specs
                changed()

        return self._gpu_classes.subscribe(seen)
