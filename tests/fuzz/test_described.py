"""The short form, without what takes Schemathesis long to spoil; `make fuzz-openapi` goes on for longer."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.emulator.api import FixedClock, new_api
from tests.fuzz import described

pytestmark = pytest.mark.skipif(not described.available(), reason="Schemathesis is not installed: make tools")


@pytest.mark.parametrize(
    ("document", "operations"),
    [("apis/example.com/v1", 100), ("apis/rbac.authorization.k8s.io/v1", 100), ("api/v1", 40)],
)
async def test_every_answer_is_as_the_document_says(document: str, operations: int) -> None:
    api = await new_api(FixedClock(), token_key=ec.generate_private_key(ec.SECP256R1()))
    fuzzer = described.Described(api, seed=1)
    assert document in await fuzzer.prepare()
    await fuzzer.document(document, operations=operations, cases=4)
    if document == "apis/example.com/v1":
        await fuzzer.document(document, operations=8, cases=2, spoilt=True)
    assert {200, 201, 404} <= set(fuzzer.answers)
    assert await fuzzer.check_store()
    api.server.stop()
    await api.close()
