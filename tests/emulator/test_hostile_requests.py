"""Requests that are meant to hurt: each a clear refusal, or taken for what it is. (Connections: test_connections.)"""

import base64
import random
from typing import Any

import pytest

from aliquot.emulator.http.json_body import MAX_DEPTH, is_deeper
from tests.emulator.api import APPLY, CONFIGS, JSON_PATCH, MERGE, PODS, STRATEGIC, Api, config, pod
from tests.emulator.test_api_crds import CRDS, WIDGETS, crd, widget

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def in_each_other(levels: int, *, lists: bool = False) -> bytes:
    return b"[" * levels + b"1" + b"]" * levels if lists else b'{"a":' * levels + b"1" + b"}" * levels


def free_form() -> dict[str, Any]:
    """A CRD whose objects may hold anything."""
    definition = crd()
    version = definition["spec"]["versions"][0]
    for name in ("selectableFields", "additionalPrinterColumns", "subresources"):
        version.pop(name, None)
    version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return definition


@pytest.mark.parametrize("lists", [False, True], ids=["objects", "lists"])
@pytest.mark.parametrize("levels", [MAX_DEPTH, 10_000, 300_000])
@pytest.mark.parametrize("type_", ["application/json", YAML, MERGE, STRATEGIC, APPLY, JSON_PATCH])
async def test_no_depth_is_too_much_to_refuse(api: Api, type_: str, levels: int, lists: bool) -> None:
    await api.ok("POST", CONFIGS, config())
    deep = in_each_other(levels, lists=lists)
    if type_ == JSON_PATCH:
        body = b'[{"op":"add","path":"/data","value":%s}]' % deep
    else:
        body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":%s}' % deep
    if type_ in ("application/json", YAML):
        status, answer = await api.send("POST", CONFIGS, body, type=type_)
    else:
        status, answer = await api.send("PATCH", f"{CONFIGS}/c", body, type=type_, fieldManager="m")
    assert status == 400, answer
    assert "deep" in answer["message"]


async def test_what_may_be_stored_can_be_changed(api: Api) -> None:
    """The deepest object that is taken is read, patched, applied, watched and deleted like any other."""
    await api.ok("POST", CRDS, free_form())
    value: Any = 1
    for _ in range(MAX_DEPTH - 2):
        value = {"a": value}
    await api.ok("POST", WIDGETS, {**widget(), "x": value})
    for type_ in (MERGE, APPLY):
        changed = {**widget(), "x": value, "y": type_}
        await api.ok("PATCH", f"{WIDGETS}/w", changed, type=type_, fieldManager="m", force="true")
    stored = await api.ok("GET", f"{WIDGETS}/w")
    # Without managedFields, which lie deeper than what they are about.
    del stored["metadata"]["managedFields"]
    found = await api.ok("PUT", f"{WIDGETS}/w", {**stored, "y": "put"})
    assert found["x"] == value
    watch = await api.watch(WIDGETS, fieldSelector="metadata.name=w")
    assert (await watch.next())["object"]["y"] == "put"
    await watch.close()
    await api.ok("DELETE", f"{WIDGETS}/w")


async def test_a_patch_cannot_build_what_could_not_be_sent(api: Api) -> None:
    await api.ok("POST", CRDS, free_form())
    await api.ok("POST", WIDGETS, widget())
    deep: Any = {}
    for _ in range(MAX_DEPTH - 10):
        deep = {"a": deep}
    steps = [{"op": "add", "path": "/x", "value": deep}]
    steps += [{"op": "add", "path": "/x" + "/a" * (MAX_DEPTH - 10) * n, "value": deep} for n in range(1, 40)]
    for patch in (steps[:2], steps, [*steps, {"op": "copy", "from": "/x", "path": "/y"}]):
        status, answer = await api.send("PATCH", f"{WIDGETS}/w", patch, type=JSON_PATCH)
        assert (status, "deep" in answer["message"]) == (400, True)
    stored = await api.ok("GET", f"{WIDGETS}/w")
    assert not is_deeper(stored, 10)


async def test_copies_of_copies_end(api: Api) -> None:
    """30 operations would make a billion copies."""
    await api.ok("POST", CONFIGS, config(value="x"))
    doubling = [{"op": "copy", "from": "", "path": f"/metadata/x{number}"} for number in range(40)]
    status, _ = await api.send("PATCH", f"{CONFIGS}/c", doubling, type=JSON_PATCH)
    assert status == 422


NUMBERS = [
    "9" * 30,
    "-" + "9" * 30,
    "1e999",
    "-1e999",
    "9" * 10_000,
    "0." + "9" * 10_000,
    str(2**64),
    "1e400",
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
@pytest.mark.parametrize("type_", [MERGE, APPLY, JSON_PATCH])
async def test_numbers_that_nobody_can_hold(api: Api, type_: str, number: str) -> None:
    """Refused, or stored so that the server itself can read them again."""
    await api.ok("POST", CRDS, free_form())
    await api.ok("POST", WIDGETS, widget())
    body = f'{{"apiVersion":"kc.example.com/v1","kind":"Widget","metadata":{{"name":"w"}},"x":{number}}}'
    if type_ == JSON_PATCH:
        body = f'[{{"op":"add","path":"/x","value":{number}}}]'
    if type_ == APPLY:
        body = f"apiVersion: kc.example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nx: {number}\n"
    status, answer = await api.send(
        "PATCH", f"{WIDGETS}/w", body.encode(), type=type_, fieldManager="m", force="true"
    )
    assert status in (200, 400), answer
    after = await api.ok("PATCH", f"{WIDGETS}/w", {"y": 1}, type=MERGE)
    assert ("x" in after) is (status == 200)
    assert after.get("x", 1) is not None


@pytest.mark.parametrize("amount", ["9" * 100_000, "0." + "9" * 100_000, "1e9999999", "1" * 5000 + "Gi"])
async def test_quantities_of_any_length(api: Api, amount: str) -> None:
    container = {"name": "a", "image": "b", "resources": {"limits": {"cpu": amount}}}
    status, answer = await api.send("POST", PODS, pod(containers=[container]))
    assert (status, "quantities must match" in answer["message"]) == (400, True)


BOMB = "a: &a [" + "x," * 9 + "x]\n"
for _depth in range(9):
    BOMB += f"{chr(98 + _depth)}: &{chr(98 + _depth)} [{', '.join([f'*{chr(97 + _depth)}'] * 9)}]\n"


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        b"[" * 1_000_000,
        b"- " * 500_000,
        b"? " * 500_000,
        b"a: !!python/object/apply:os.system [ls]",
        b"&a [*a]",
        b'"' + b"x" * 1_000_000,
        b"\xff\xfe",
        b"--- {}\n--- {}\n",
    ],
    ids=["aliases", "brackets", "dashes", "keys", "tag", "itself", "open", "no UTF-8", "two"],
)
@pytest.mark.parametrize("type_", [YAML, APPLY])
async def test_yaml_that_means_harm(api: Api, type_: str, body: bytes) -> None:
    if type_ == YAML:
        status, answer = await api.send("POST", CONFIGS, body, type=type_)
    else:
        status, answer = await api.send("PATCH", f"{CONFIGS}/c", body, type=type_, fieldManager="m")
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert "YAML" in answer["message"]


async def test_protobuf_garbage(api: Api) -> None:
    rng = random.Random(1)
    bodies = [b"k8s\0" + rng.randbytes(rng.randrange(200)) for _ in range(300)]
    bodies += [
        b"k8s\0" + b"\x12\xff\xff\x7f" * 1000,
        b"k8s\0" + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"k8s\0",
    ]
    for body in bodies:
        status, answer = await api.send("POST", PODS, body, type=PROTOBUF)
        assert status == 400, (body, answer)


TEN_THOUSAND = [f"k{number}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("parameter", "value", "status"),
    [
        ("labelSelector", ",".join(f"{key}=v" for key in TEN_THOUSAND), 200),
        ("labelSelector", f"a in ({','.join(TEN_THOUSAND)})", 200),
        ("labelSelector", "(" * 100_000, 400),
        ("labelSelector", "!" * 100_000, 400),
        ("labelSelector", "," * 100_000, 400),
        ("labelSelector", "a in (" * 50_000, 400),
        ("labelSelector", "a" * 1_000_000, 400),
        ("labelSelector", " " * 1_000_000 + "a", 200),
        ("labelSelector", "(a+)+$=b", 400),
        ("labelSelector", "a=\0", 400),
        ("labelSelector", f"a>{'9' * 100_000}", 400),
        ("fieldSelector", ",".join(f"spec.nodeName!={key}" for key in TEN_THOUSAND), 200),
        ("fieldSelector", "\\" * 100_001, 400),
        ("fieldSelector", "=" * 100_000, 400),
        ("fieldSelector", "a" * 1_000_000, 400),
        ("fieldSelector", "metadata.name=" + "\\," * 10_000, 200),
        ("continue", "a" * 1_000_000, 400),
        ("continue", "====", 400),
        ("continue", "ä", 400),
        ("continue", base64.b64encode(b"[" * 30_000).decode(), 400),
        ("continue", base64.b64encode(b'[-5,"a","b"]').decode(), 410),
        ("continue", base64.b64encode(b'[1,"\xff","b"]').decode(), 400),
        ("continue", base64.b64encode(b'[9223372036854775807,"a","b"]').decode(), 200),
        ("resourceVersion", "-1", 400),
        ("resourceVersion", "1.5", 400),
        ("resourceVersion", "٣", 400),
        ("resourceVersion", "9" * 19, 504),
        ("resourceVersion", "9" * 10_000, 400),
        ("resourceVersion", "0" * 10_000 + "1", 200),
        ("limit", "9" * 19, 400),
        ("limit", "9" * 18, 200),
        ("limit", "1_0", 400),
        ("limit", "٣", 400),
        ("limit", "9" * 10_000, 400),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_parameters_that_mean_harm(api: Api, parameter: str, value: str, status: int) -> None:
    found, answer = await api.get(PODS, **{parameter: value})
    assert found == status, answer
    if status >= 400:
        assert answer["message"]


async def test_warnings_stay_within_what_a_header_may_be(api: Api) -> None:
    body = {**config(), **{f"field-{number}": 1 for number in range(5000)}}
    await api.ok("POST", CONFIGS, body)
    assert len(api.headers["warning"]) < 5000
    await api.ok("POST", CONFIGS, {**config("d"), "a\r\nb": 1})
    assert not set(api.headers["warning"]) & {"\r", "\n"}
