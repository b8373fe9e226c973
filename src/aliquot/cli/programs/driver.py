"""NVIDIA's driver container, which builds and loads the kernel's modules, and the one before it, which unloads the last ones."""

import asyncio
import re
from dataclasses import dataclass, field

from aliquot.cli.programs.images import not_pulled, tag_of
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.operator.core.pools import pool_of
from aliquot.operator.core.rendering.operands import LOADED_AS

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_OF_A_DIGEST = "580.82.07"
"""What an image is taken to have that says nothing of its version."""


def version_of(image: str, os_image: str, kernel: str) -> str:
    """Of the driver in an image, on a node of that system. Raises StartRefused for an image that nobody has made."""
    tag = tag_of(image)
    if not tag:
        return _OF_A_DIGEST
    pool = pool_of({}, os_image, kernel, precompiled=False)
    os_tag = pool.os_tag if pool is not None else ""
    version, _, suffix = tag.partition("-")
    if os_tag and suffix == os_tag and _VERSION.fullmatch(version):
        return version
    if os_tag and version.isdecimal() and suffix == f"{kernel}-{os_tag}":
        return f"{version}.0.0"
    if not os_tag:
        raise not_pulled(image, f"no drivers for nodes that run {os_image}")
    raise not_pulled(image, f"VERSION-{os_tag}, as 595.91.07-{os_tag}, and BRANCH-{kernel}-{os_tag}")


@dataclass(eq=False)
class Driver:
    software: NodeSoftware
    version: str
    loaded_as: str
    resumed: bool
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    def of(software: NodeSoftware, config: ContainerConfig, *, resumed: bool) -> "Driver":
        machine = software.machine
        version = version_of(config.image, machine.os_image, machine.kernel_version)
        return Driver(software, version, config.env.get(LOADED_AS, ""), resumed)

    async def run(self, say: Say) -> End:
        software = self.software
        software.driver_runs = self
        if software.has_loaded(self.loaded_as):
            say("The NVIDIA driver is already loaded with the desired configuration")
            await asyncio.sleep(software.driver_s)
        elif not self.resumed:
            say(f"Installing NVIDIA driver {self.version} for kernel {software.machine.kernel_version}")
            await asyncio.sleep(software.driver_s)
            if failure := software.driver_failure():
                say(failure)
                return End(1, failure)
            if why := software.unload():
                return _in_use(say, why)
        software.loadable.load(self.version)
        software.loaded_as = self.loaded_as
        self._loaded.set()
        say(f"Loaded NVIDIA driver {self.version}")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that")

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        await self._loaded.wait()
        return ProbeResult(True)

    def gone(self) -> None:
        """Modules that are in use stay; the next driver cannot be loaded then."""
        if self.software.driver_runs is self:
            self.software.driver_runs = None
            self.software.unload()


@dataclass(eq=False)
class DriverManager:
    software: NodeSoftware
    loaded_as: str

    async def run(self, say: Say) -> End:
        if self.software.has_loaded(self.loaded_as):
            say("the NVIDIA driver is already loaded with the desired version and configuration: it stays")
            return End(0)
        if why := self.software.unload():
            return _in_use(say, why)
        say("no NVIDIA driver is loaded")
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return ProbeResult(True)

    def gone(self) -> None:
        pass


def _in_use(say: Say, why: str) -> End:
    say(f"Could not unload NVIDIA driver kernel modules: {why}")
    return End(1, f"the last driver cannot be unloaded: {why}")
