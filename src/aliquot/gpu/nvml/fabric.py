"""What NVML says of the NVLink domain beyond the node."""

import ctypes
import uuid

from aliquot.gpu.driver import DriverError, Fabric, ReturnCode
from aliquot.gpu.nvml.session import Device, Session


def joined(session: Session, device: Device) -> Fabric | None:
    """None also while the GPU is still joining, or failed to, and on nodes whose NVLinks end at their own switches."""
    nvml = session.nvml
    info = nvml.c_nvmlGpuFabricInfo_t()
    try:
        with session.errors(f"{device.gpu.uuid}: fabric"):
            nvml.nvmlDeviceGetGpuFabricInfo(device.handle, ctypes.byref(info))
    except DriverError as error:
        # Whatever else is wrong with the fabric, the GPU can be used without it.
        if error.code is ReturnCode.GPU_IS_LOST:
            raise
        return None
    cluster = uuid.UUID(bytes=bytes(info.clusterUuid))
    state = info.state & 0xFF  # the library writes one byte there, the binding reads four
    if state != nvml.NVML_GPU_FABRIC_STATE_COMPLETED or info.status != nvml.NVML_SUCCESS or not cluster.int:
        return None
    return Fabric(str(cluster), info.cliqueId)
