"""How GPUs reach each other, as NVML tells it: NVLinks counted one by one, and the PCIe level they meet at."""

from aliquot.gpu.driver import DriverError, Link, LinkKind, ReturnCode
from aliquot.gpu.nvml.session import OF_ONE_GPU, Device, Session

_PCIE_KINDS = {
    0: LinkKind.SAME_BOARD,
    10: LinkKind.SINGLE_SWITCH,
    20: LinkKind.MULTI_SWITCH,
    30: LinkKind.HOST_BRIDGE,
    40: LinkKind.SAME_CPU,
    50: LinkKind.CROSS_CPU,
}
"""By nvmlGpuTopologyLevel_t."""


def links(session: Session, own: Device) -> tuple[Link, ...]:
    """From one GPU to every other one that answers: one that is lost does not hide the rest."""
    direct, to_switch = _nvlinks(session, own)
    found = []
    for peer in session.devices():
        if peer.gpu.uuid == own.gpu.uuid:
            continue
        try:
            session.memory_mib(peer.handle)
            lanes = direct.get(peer.gpu.pci_bus_id.lower(), 0)
            if not lanes and to_switch:
                lanes = min(to_switch, _nvlinks(session, peer)[1])
            pcie = _pcie_kind(session, own, peer)
        except DriverError as error:
            if error.code not in OF_ONE_GPU:
                raise
            session.memory_mib(own.handle)
        else:
            if lanes:
                found.append(Link(peer.gpu.uuid, LinkKind.NVLINK, lanes))
            if pcie is not None:
                found.append(Link(peer.gpu.uuid, pcie, 0))
    return tuple(found)


def _nvlinks(session: Session, device: Device) -> tuple[dict[str, int], int]:
    """Active NVLinks to each PCI bus id (lower case), and to NVSwitches."""
    nvml = session.nvml
    direct: dict[str, int] = {}
    to_switch = 0
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            with session.errors(f"{device.gpu.uuid}: NVLink {link}"):
                if not nvml.nvmlDeviceGetNvLinkState(device.handle, link):
                    continue
                if _leads_to_switch(session, device, link):
                    to_switch += 1
                    continue
                remote = nvml.nvmlDeviceGetNvLinkRemotePciInfo(device.handle, link).busId.lower()
        except DriverError as error:
            if error.code in (ReturnCode.NOT_SUPPORTED, ReturnCode.INVALID_ARGUMENT):
                continue
            raise
        direct[remote] = direct.get(remote, 0) + 1
    return direct, to_switch


def _leads_to_switch(session: Session, device: Device, link: int) -> bool:
    nvml = session.nvml
    try:
        kind = nvml.nvmlDeviceGetNvLinkRemoteDeviceType(device.handle, link)
    except nvml.NVMLError_FunctionNotFound:  # drivers before R460; the PCI address then says it
        return False
    return bool(kind == nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH)


def _pcie_kind(session: Session, one: Device, other: Device) -> LinkKind | None:
    """None where the driver cannot tell, as in some virtual machines."""
    try:
        with session.errors(f"{one.gpu.uuid}: topology"):
            level = session.nvml.nvmlDeviceGetTopologyCommonAncestor(one.handle, other.handle)
    except DriverError as error:
        if error.code is not ReturnCode.NOT_SUPPORTED:
            raise
        return None
    return _PCIE_KINDS.get(level, LinkKind.CROSS_CPU)
