"""IPAddresses and ServiceCIDRs, in kube-apiserver's words."""

from typing import Any

import pytest

from tests.emulator.api import Api
from tests.emulator.schema.objects import schema, texts

GROUP = "networking.k8s.io"
SERVICE = {"resource": "services", "namespace": "default", "name": "s"}
ONE_OF_EACH = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"


@pytest.mark.parametrize(
    ("name", "parent", "problems"),
    [
        ("10.0.0.1", SERVICE, []),
        ("2001:db8::1", {"resource": "gateways", "group": "example.com", "name": "g"}, []),
        ("2001:DB8::1", SERVICE, ['metadata.name: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")']),
        ("010.0.0.1", SERVICE, ['metadata.name: Invalid value: "010.0.0.1": must not have leading 0s']),
        ("a", SERVICE, ['metadata.name: Invalid value: "a": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        ("10.0.0.1", None, ["spec.parentRef: Required value"]),
        ("10.0.0.1", {"name": "s"}, ["spec.parentRef.resource: Required value"]),
        ("10.0.0.1", {"resource": "services"}, ["spec.parentRef.name: Required value"]),
        ("10.0.0.1", {**SERVICE, "name": "x/y"}, ["spec.parentRef.name: Invalid value: \"x/y\": may not contain '/'"]),
    ],
)  # fmt: skip
def test_addresses(name: str, parent: dict[str, str] | None, problems: list[str]) -> None:
    spec = {} if parent is None else {"parentRef": parent}
    kind = schema("IPAddress", GROUP)
    assert texts(kind.validate(kind.default({"metadata": {"name": name}, "spec": spec}))) == problems


def test_an_address_stays_whose_it_is() -> None:
    old = {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": SERVICE}}
    new = {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": {**SERVICE, "name": "t"}}}
    shown = '{"Group":"","Resource":"services","Namespace":"default","Name":"t"}'
    kind = schema("IPAddress", GROUP)
    assert texts(kind.validate_update(new, old)) == [
        f"spec.parentRef: Invalid value: {shown}: field is immutable"
    ]


@pytest.mark.parametrize(
    ("cidrs", "problems"),
    [
        (["10.0.0.0/8"], []),
        (["10.0.0.0/8", "fd00::/108"], []),
        ([], ["spec.cidrs: Required value: at least one CIDR required"]),
        (["10.0.0.1/8"], ['spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length']),
        (["10.0.0.0/8", "11.0.0.0/8"], [f'spec.cidrs: Invalid value: ["10.0.0.0/8","11.0.0.0/8"]: {ONE_OF_EACH}']),
        (["10.0.0.0/8", "a", "b"], ['spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/8","a","b"]}: may only hold up to 2 values']),
    ],
)  # fmt: skip
def test_ranges(cidrs: list[str], problems: list[str]) -> None:
    kind = schema("ServiceCIDR", GROUP)
    assert (
        texts(kind.validate(kind.default({"metadata": {"name": "r"}, "spec": {"cidrs": cidrs}}))) == problems
    )


@pytest.mark.parametrize(
    ("cidrs", "problems"),
    [
        (["10.0.0.0/8"], []),
        (["10.0.0.0/8", "fd00::/108"], []),
        (["11.0.0.0/8"], ['spec.cidrs[0]: Invalid value: "11.0.0.0/8": field is immutable']),
        ([], [
            "spec.cidrs: Invalid value: []: field is immutable",
            "spec.cidrs: Required value: at least one CIDR required",
        ]),
        (["11.0.0.0/8", "fd00::1/108"], [
            'spec.cidrs[0]: Invalid value: "11.0.0.0/8": field is immutable',
            'spec.cidrs[1]: Invalid value: "fd00::1/108": must not have bits set beyond the prefix length',
        ]),
    ],
)  # fmt: skip
def test_a_range_gets_a_second_family_and_no_other_change(cidrs: list[str], problems: list[str]) -> None:
    def range_of(cidrs: list[str]) -> dict[str, Any]:
        return {"metadata": {"name": "r"}, "spec": {"cidrs": cidrs}}

    kind = schema("ServiceCIDR", GROUP)
    assert texts(kind.validate_update(range_of(cidrs), range_of(["10.0.0.0/8"]))) == problems


async def test_where_the_addresses_of_services_come_from_is_there_to_see(api: Api) -> None:
    found = await api.ok("GET", f"/apis/{GROUP}/v1/servicecidrs/kubernetes")
    assert found["spec"] == {"cidrs": ["10.96.0.0/16"]}
