"""NVIDIA's container toolkit: makes the node's container runtime know GPUs, and what it refuses while nobody has."""

import asyncio
import re
from dataclasses import dataclass, field

from aliquot.cli.programs.images import not_pulled, tag_of
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult, StartRefused
from aliquot.emulator.kubelet.runtimes.programs import End, Say

_TAKES_S = 0.2
_HANDLER = "nvidia"
_TAG = re.compile(r"v\d+\.\d+\.\d+.*")
_VISIBLE = "NVIDIA_VISIBLE_DEVICES"
_TASK = "failed to create containerd task: failed to create shim task: OCI runtime create failed"
_NO_LIBRARY = (
    f"{_TASK}: runc create failed: unable to start container process: error during container init: "
    "error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
    "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object "
    "file: no such file or directory: unknown"
)


@dataclass(eq=False)
class Toolkit:
    software: NodeSoftware
    resumed: bool
    _made: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    def of(software: NodeSoftware, config: ContainerConfig, *, resumed: bool) -> "Toolkit":
        tag = tag_of(config.image)
        if tag and not _TAG.fullmatch(tag):
            raise not_pulled(config.image, "versions as v1.20.0")
        return Toolkit(software, resumed)

    async def run(self, say: Say) -> End:
        if not self.resumed:
            await asyncio.sleep(_TAKES_S)
        self.software.toolkit = self
        self._made.set()
        say("containerd has the runtime nvidia, and CDI specs are there")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that")

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        await self._made.wait()
        return ProbeResult(True)

    def gone(self) -> None:
        if self.software.toolkit is self:
            self.software.toolkit = None


def refuse_without_it(software: NodeSoftware, config: ContainerConfig) -> None:
    """Containers that are to see GPUs, where they cannot be shown any. Raises StartRefused, in containerd's words."""
    options = config.options
    if software.toolkit is None:
        if config.runtime_handler == _HANDLER:
            text = f'failed to get sandbox runtime: no runtime for "{_HANDLER}" is configured'
            raise StartRefused(
                "ContainerCreating",
                f"Failed to create pod sandbox: rpc error: code = Unknown desc = {text}",
                of_sandbox=True,
            )
        if options.cdi_devices:
            text = f"CDI device injection failed: unresolvable CDI devices {', '.join(options.cdi_devices)}"
            raise StartRefused(
                "CreateContainerError",
                f'failed to generate container "{config.name}" spec: failed to apply OCI options: {text}',
            )
        if options.device_ids and _VISIBLE in options.env:
            text = 'exec: "nvidia-container-runtime": executable file not found in $PATH'
            raise StartRefused(
                "RunContainerError", f"{_TASK}: unable to retrieve OCI runtime error: {text}: unknown"
            )
    elif not software.loadable.version and _is_shown_gpus(config):
        raise StartRefused("RunContainerError", _NO_LIBRARY)


def _is_shown_gpus(config: ContainerConfig) -> bool:
    if config.options.device_ids:
        return True
    return config.runtime_handler == _HANDLER and config.env.get(_VISIBLE, "") not in ("", "void", "none")
