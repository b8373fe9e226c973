"""Quotas of an account that new nodes take of: how many vCPUs of which family, how much of gp3.

EC2 counts vCPUs by family and by how they are bought; the codes are AWS' own (Service Quotas, EC2 and EBS).
"""

import re

_FAMILY = re.compile(r"([a-z]+)(\d?)")
_STANDARD = frozenset("acdhimrtz")
_ON_DEMAND = {
    "standard": "L-1216C47A",
    "dl": "L-6E869C2A",
    "f": "L-74FC7D96",
    "g": "L-DB2E81BA",
    "hpc": "L-F7808C92",
    "inf": "L-1945791B",
    "p": "L-417A185B",
    "trn": "L-2C3B7624",
    "u": "L-43DA4232",
    "vt": "L-DB2E81BA",
    "x": "L-7295265B",
}
_SPOT = {
    "standard": "L-34B43A08",
    "dl": "L-85EED4F7",
    "f": "L-88CF9481",
    "g": "L-3819A6DF",
    "inf": "L-B5D1601B",
    "p2": "L-7212CCBC",
    "p3": "L-7212CCBC",
    "p4": "L-7212CCBC",
    "p5": "L-C4BD4855",
    "trn": "L-6B0D517C",
    "vt": "L-3819A6DF",
    "x": "L-E3A00192",
}
GP3_STORAGE = "L-7A658B76"
"""In TiB."""
CODES = frozenset({*_ON_DEMAND.values(), *_SPOT.values(), GP3_STORAGE})


def code_of(instance_type: str, *, spot: bool) -> str:
    """Of the quota that counts its vCPUs; empty: none is known here."""
    found = _FAMILY.match(instance_type)
    if found is None:
        return ""
    family, generation = found[1], found[2]
    codes = _SPOT if spot else _ON_DEMAND
    if family + generation in codes:
        return codes[family + generation]
    if family in codes:
        return codes[family]
    # mac is counted by hosts; is, im and the like are of the family that their first letter says.
    return codes["standard"] if family[0] in _STANDARD and family not in ("mac", "dl", "hpc", "inf") else ""
