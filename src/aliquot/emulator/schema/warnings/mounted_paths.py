"""Volumes that are put together from files, two of which come to lie at one path, or one within the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'

    def overlaps(self, other: "_File") -> bool:
        here, there = f"{self.path}/", f"{other.path}/"
        return here.startswith(there) or there.startswith(here)


def overlapping_paths(volume: Obj) -> Iterator[str]:
    for kind in ("configMap", "secret", "downwardAPI"):
        source = volume.get(kind)
        if source and source.get("items"):
            named = {
                "configMap": f'ConfigMap "{source.get("name", "")}"',
                "secret": f'Secret "{source.get("secretName", "")}"',
                "downwardAPI": "DownwardAPI",
            }[kind]
            yield from _overlaps(volume, named, _items(source))
    if not (projected := volume.get("projected")):
        return
    files: list[_File] = []
    for source in projected.get("sources") or ():
        if not source:
            yield f'volume "{volume["name"]}" (Projected) has no sources provided'
        files += _projected(source)
    yield from _overlaps(volume, "Projected", files)


def _items(source: Obj, named: str = "") -> list[_File]:
    return [_File(item["path"], named) for item in source.get("items") or ()]


def _projected(source: Obj) -> list[_File]:
    if found := source.get("configMap"):
        return _items(found, f'ConfigMap "{found.get("name", "")}"')
    if found := source.get("secret"):
        return _items(found, f'Secret "{found.get("name", "")}"')
    if found := source.get("downwardAPI"):
        return _items(found, "DownwardAPI")
    if found := source.get("serviceAccountToken"):
        return [_File(found["path"], "ServiceAccountToken")]
    if found := source.get("clusterTrustBundle"):
        named = found.get("name") or found.get("signerName", "")
        return [_File(found["path"], f'ClusterTrustBundle "{named}"')]
    if found := source.get("podCertificate"):
        parts = {
            "certificateChainPath": "chain",
            "keyPath": "key",
            "credentialBundlePath": "credential bundle",
        }
        return [_File(found[key], f"PodCertificate {part}") for key, part in parts.items() if found.get(key)]
    return []


def _overlaps(volume: Obj, named: str, files: Sequence[_File]) -> Iterator[str]:
    earlier: list[_File] = []
    for file in files:
        file = _File(file.path.rstrip("/"), file.source)
        if not file.path:
            continue
        for other in earlier:
            if file.overlaps(other):
                yield f'volume "{volume["name"]}" ({named}): overlapping paths: {file} with {other}'
        earlier.append(file)
