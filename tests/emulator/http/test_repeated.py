"""Members that are there twice are found wherever they are, and however they are spelled."""

import pytest

from aliquot.emulator.http import json_body
from aliquot.emulator.http.repeated import in_json


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ('{"a":1,"b":{"a":1}}', []),
        ('{"a":1,"a":1}', ["a"]),
        ('{"a":1,"a":2,"a":3}', ["a"]),
        ('{"a":{"b":[{},{"c":1,"c":2}]}}', ["a.b[1].c"]),
        ('{"a":{"x":1,"x":2},"a":3}', ["a.x", "a"]),
        ('[{"a":1,"a":2}]', ["[0].a"]),
        ('{"a.b":1,"a.b":2}', ["a.b"]),
        # Members that do not look like others.
        ('{"a":1,"a" :2}', ["a"]),
        ('{"a":1,"a"\n:2}', ["a"]),
        ('{"a":1,"\\u0061":2}', ["a"]),
        # Texts that look like members, and make up for them.
        ('{"a":"\\u0022:","a":"\\u0022:"}', ["a"]),
        ('{"a":"\\"\\u003a","a":"\\"\\u003A"}', ["a"]),
        ('{"a":"\\":","b":"x\\" :"}', []),
        ('{"a":"\\u0022:","b":"\\"\\u003a"}', []),
        ('{"a":123456789012345678901234567890,"a":1e300}', ["a"]),
    ],
)
def test_what_is_there_again(body: str, paths: list[str]) -> None:
    raw = body.encode()
    assert list(in_json(raw, json_body.decode(raw))) == paths


def test_what_repeats_without_end_is_told_as_far_as_it_can_be_shown() -> None:
    short = b'{"l":[' + b",".join([b'{"a":1,"a":2}'] * 1000) + b"]}"
    assert len(in_json(short, json_body.decode(short))) == 100
    long = b"x" * 10_000
    deep = b'{"%s":[' % long + b",".join([b'{"a":1,"a":2}'] * 1000) + b"]}"
    assert 0 < sum(map(len, in_json(deep, json_body.decode(deep)))) < 100_000
