import re
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.log.checkpoints import with_cosignatures
from aliquot.access.log.notes import new_key, parse_signing_key
from aliquot.access.log.verify import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    parse_checkpoint,
    parse_key,
    parse_note,
    signed_by,
    signers,
)

# Of Go's golang.org/x/mod/sumdb/note, where the format comes from.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_LINE = "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

# A public log's checkpoint with signatures of its own, of a kind we do not know, and of public witnesses.
CHECKPOINT = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

\u2014 arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
\u2014 arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
\u2014 transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
"""
LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
WITNESS = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
GARDEN = "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM"


def test_a_note_is_signed_as_go_signs_it() -> None:
    key = parse_signing_key(GO_SECRET)
    assert (key.public.text, key.text) == (GO_KEY, GO_SECRET)
    assert key.sign(GO_TEXT) == GO_LINE
    assert signed_by(parse_note(f"{GO_TEXT}\n{GO_LINE}"), parse_key(GO_KEY)) == 0


def test_a_public_checkpoint_and_its_witnesses() -> None:
    note = parse_note(CHECKPOINT)
    keys = [parse_key(text) for text in (LOG, WITNESS, GARDEN, GO_KEY)]
    assert [key.text for key in keys] == [LOG, WITNESS, GARDEN, GO_KEY]
    assert signers(note, keys) == {keys[0]: 0, keys[1]: 0x6A122120, keys[2]: 0x6A122120}
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("arche2025h1.staging.ct.transparency.dev", 1432088532)


@pytest.mark.parametrize("key", [LOG, WITNESS])
def test_another_size_is_not_what_they_signed(key: str) -> None:
    note = parse_note(CHECKPOINT.replace("1432088532", "1432088533"))
    with pytest.raises(ValueError, match="is forged"):
        signed_by(note, parse_key(key))


def test_cosigning() -> None:
    witness = new_key("witness.example/w1", COSIGNATURE, b"w" * 32)
    log = new_key("log.example", ED25519, b"l" * 32)
    text = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    note = f"{text}\n{log.sign(text)}"
    line = witness.cosign(text, 1_679_315_147)
    stranger = new_key("witness.example/w2", COSIGNATURE, b"x" * 32).cosign(text, 1)
    cosigned = with_cosignatures(note, stranger + line, [witness.public])
    assert cosigned == note + line
    assert with_cosignatures(cosigned, line, [witness.public]) == cosigned
    assert signers(parse_note(cosigned), [log.public, witness.public]) == {
        log.public: 0,
        witness.public: 1_679_315_147,
    }
    with pytest.raises(ValueError, match="no witness of ours"):
        with_cosignatures(note, stranger, [witness.public])
    with pytest.raises(ValueError, match="is forged"):
        with_cosignatures(note.replace("\n0\n", "\n1\n"), line, [witness.public])


def test_a_witness_that_signs_at_no_time() -> None:
    witness = new_key("w", COSIGNATURE, b"w" * 32)
    with pytest.raises(ValueError, match="of no time"):
        signed_by(parse_note(f"text\n\n{witness.cosign('text', 1 << 62)}"), witness.public)


@pytest.mark.parametrize("length", [1, 7, 8, 63, 65, 71, 73])
@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE])
def test_a_signature_of_another_length_is_forged(kind: int, length: int) -> None:
    key = new_key("k", kind, b"k" * 32).public
    line = f"\u2014 k {b64encode(key.id + bytes(length)).decode()}\n"
    with pytest.raises(ValueError, match="is forged"):
        signed_by(parse_note(f"text\n\n{line}"), key)


def test_a_key_signs_only_as_its_kind_does() -> None:
    with pytest.raises(ValueError, match="only cosigns"):
        new_key("w", COSIGNATURE, b"w" * 32).sign("text\n")
    with pytest.raises(ValueError, match="only witnesses cosign"):
        new_key("l", ED25519, b"w" * 32).cosign("text\n", 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no key"),
        ("PeterNeumann", "is no key"),
        ("a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "is no key"),
        (GO_KEY + "=", "is no key"),
        (GO_KEY.replace("PeterNeumann", "PeterNewmann"), "mistyped: its id should be "),
        (GO_KEY.replace("+ARpc", "+Ahpc"), "kind 0x02"),
    ],
)
def test_what_is_no_key(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_key(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GO_KEY, "no private key"),
        (GO_SECRET.replace("+AYEK", "+AYEL"), "damaged"),
        (GO_SECRET.replace("+AYEK", "+BYEK"), "no private key"),
    ],
)
def test_what_is_no_private_key(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_signing_key(text)
    assert "EKFALVFGyN" not in str(raised.value)


def test_a_private_key_is_not_shown() -> None:
    key = parse_signing_key(GO_SECRET)
    assert repr(key) == f"SigningKey({GO_KEY})"


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("text\n", "no signed note"),
        ("text\n\n", "no signed note"),
        (f"{GO_TEXT}\n{GO_LINE}"[:-1], "no signed note"),
        (f"{GO_TEXT}\n{GO_LINE}".replace("\u2014", "-"), "no signature line"),
        (f"{GO_TEXT}\n{GO_LINE}".replace("AM=", "AN="), "no base64"),
        (f"{GO_TEXT}\n\u2014 a AAAA\n", "no signature line"),
        (f"te\rxt\n\n{GO_LINE}", "control"),
        (GO_TEXT + "\n" + GO_LINE * 65, "more than 64"),
    ],
)
def test_what_is_no_note(note: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_note(note)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n1\n", "no checkpoint"),
        ("\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "no checkpoint"),
        ("a\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "no number"),
        ("a\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "no number"),
        ("a\n1\n47DEQpj8HBSa\n", "no SHA-256"),
        ("a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", "no base64"),
    ],
)
def test_what_is_no_checkpoint(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_checkpoint(text)


def test_extension_lines_are_let_be() -> None:
    text = "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n"
    assert parse_checkpoint(text) == Checkpoint("a", 0, parse_checkpoint(text).root)


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_note, parse_key, parse_checkpoint, parse_signing_key):
        with pytest.raises(ValueError, match=r"."):
            parse(text)
