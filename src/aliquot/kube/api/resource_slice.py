"""ResourceSlice: the devices that a DRA driver publishes. Read in every version since v1beta1."""

from aliquot.kube.api.meta import ObjectMeta, Wire


class DeviceAttribute(Wire, kw_only=True, frozen=True):
    """Of the kinds of value only text is read."""

    string: str = ""


class BasicDevice(Wire, kw_only=True, frozen=True):
    attributes: dict[str, DeviceAttribute] | None = None


class SliceDevice(Wire, kw_only=True, frozen=True):
    name: str
    attributes: dict[str, DeviceAttribute] | None = None
    basic: BasicDevice | None = None
    """Where v1beta1 has the attributes."""


class ResourcePool(Wire, kw_only=True, frozen=True):
    name: str = ""


class ResourceSliceSpec(Wire, kw_only=True, frozen=True):
    driver: str = ""
    pool: ResourcePool = ResourcePool()
    node_name: str = ""
    devices: tuple[SliceDevice, ...] | None = None


class ResourceSlice(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceSliceSpec = ResourceSliceSpec()
