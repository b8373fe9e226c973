"""The real driver: `aliquot.gpu.driver.Driver` over NVML, through NVIDIA's own binding.

`driver` does what the interface promises, `mig` reads profiles and instances, `links` the wiring,
`telemetry` what GPUs measure of themselves, `session` holds the one NVML session and its handles. Nothing is guessed: what NVML does not tell is None or absent.
"""

from aliquot.gpu.nvml.driver import NvmlDriver

__all__ = ["NvmlDriver"]
