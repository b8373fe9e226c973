"""resource.k8s.io in the forms of its versions: v1beta1 puts things elsewhere than v1beta2 and v1, which are alike. Pure.

What v1 says of a request under `exactly` stands in v1beta1 beside the request's name, and what v1 says of a device
stands there under `basic`.
"""

from collections.abc import Callable
from typing import Any

from aliquot.emulator.objects import Json

GROUP = "resource.k8s.io"
_FLAT = f"{GROUP}/v1beta1"
_OF_A_REQUEST = ("name", "firstAvailable")


def converted(obj: Json, api_version: str) -> Json:
    """An object of the group in the form of another of its versions."""
    was, obj = obj["apiVersion"], {**obj, "apiVersion": api_version}
    if (was == _FLAT) == (api_version == _FLAT):
        return obj
    to_flat = api_version == _FLAT
    match obj["kind"]:
        case "ResourceClaim":
            return _inside(obj, ("spec", "devices", "requests"), _flat_request if to_flat else _request)
        case "ResourceClaimTemplate":
            path = ("spec", "spec", "devices", "requests")
            return _inside(obj, path, _flat_request if to_flat else _request)
        case "ResourceSlice":
            return _inside(obj, ("spec", "devices"), _flat_device if to_flat else _device)
    return obj


def _inside(obj: Json, path: tuple[str, ...], change: Callable[[Json], Json]) -> Json:
    """`obj` with every item of the list at `path` changed."""
    key, *rest = path
    found: Any = obj.get(key)
    if not found:
        return obj
    return {**obj, key: _inside(found, tuple(rest), change) if rest else [change(item) for item in found]}


def _request(flat: Json) -> Json:
    exactly = {key: value for key, value in flat.items() if key not in _OF_A_REQUEST}
    own = {key: value for key, value in flat.items() if key in _OF_A_REQUEST}
    return {**own, "exactly": exactly} if exactly else own


def _flat_request(request: Json) -> Json:
    own = {key: value for key, value in request.items() if key in _OF_A_REQUEST}
    return {**own, **(request.get("exactly") or {})}


def _device(flat: Json) -> Json:
    return {"name": flat["name"], **(flat.get("basic") or {})}


def _flat_device(device: Json) -> Json:
    return {"name": device["name"], "basic": {key: value for key, value in device.items() if key != "name"}}
