"""The webhook's certificates over the years."""

from dataclasses import replace

import pytest
from cryptography import x509

from aliquot.admission.certificates import Held, due_in_s, renewed

DAY = 86_400.0
START = 1_767_225_600.0
NAME = "aliquot-admission.aliquot-system.svc"


def authorities(held: Held) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(held.authorities)


def check(held: Held, name: str = NAME) -> None:
    leaf = x509.load_pem_x509_certificate(held.certificate)
    leaf.verify_directly_issued_by(authorities(held)[0])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one.value) for one in names] == [name]


def test_what_is_good_is_kept() -> None:
    held = renewed(None, NAME, START)
    check(held)
    assert renewed(held, NAME, START + 59 * DAY) is held
    assert due_in_s(held, START) == 60 * DAY
    assert due_in_s(held, START + 61 * DAY) == 0


def test_the_servers_is_renewed_a_month_before_its_end() -> None:
    held = renewed(None, NAME, START)
    later = renewed(held, NAME, START + 60 * DAY)
    check(later)
    assert later.certificate != held.certificate
    assert later.authorities == held.authorities
    assert due_in_s(later, START + 60 * DAY) == 60 * DAY


def test_a_new_authority_stands_beside_the_old_one_until_that_has_ended() -> None:
    held = renewed(None, NAME, START)
    later = renewed(held, NAME, START + 3285 * DAY)
    check(later)
    assert len(authorities(later)) == 2
    # Who has heard of the new one trusts those who still show what the old one signed.
    x509.load_pem_x509_certificate(held.certificate).verify_directly_issued_by(authorities(later)[1])
    last = renewed(later, NAME, START + 2 * 3285 * DAY)
    assert len(authorities(last)) == 2, "the first one has ended"


def test_another_name() -> None:
    held = renewed(None, NAME, START)
    other = renewed(held, "127.0.0.1", START)
    check(other, "127.0.0.1")
    assert other.authorities == held.authorities


@pytest.mark.parametrize("field", ["authorities", "authority_key", "certificate", "key"])
def test_what_cannot_be_read_is_made_anew(field: str) -> None:
    held = replace(renewed(None, NAME, START), **{field: b"-----BEGIN nothing"})
    check(renewed(held, NAME, START + 61 * DAY))


def test_a_certificate_of_another_authority_is_not_shown() -> None:
    held, other = renewed(None, NAME, START), renewed(None, NAME, START)
    mixed = replace(held, certificate=other.certificate, key=other.key)
    check(renewed(mixed, NAME, START))
