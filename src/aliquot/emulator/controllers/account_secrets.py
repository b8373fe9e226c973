"""Secrets of the type kubernetes.io/service-account-token: filled with a token that lasts as long as they do."""

import random
from base64 import b64encode
from typing import Any

from aliquot.emulator.authentication.tokens import TokenSigner
from aliquot.emulator.controllers.types import MetadataOnly
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import SECRETS, key

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"

Json = dict[str, Any]


class AccountSecrets:
    """`secrets` are those of the type; `root_ca_pem` goes into them as ca.crt."""

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        secrets: Cache[Json],
        accounts: Cache[MetadataOnly],
        signer: TokenSigner,
        *,
        root_ca_pem: str,
    ) -> None:
        self._client = client
        self._secrets = secrets
        self._accounts = accounts
        self._signer = signer
        self._root_ca_pem = root_ca_pem
        self.controller = Controller("serviceaccounttokens", self.reconcile, rng=rng)
        secrets.subscribe(self._secret_changed)
        accounts.subscribe(self._account_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _secret_changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.controller.enqueue(f"{new['metadata']['namespace']}/{new['metadata']['name']}")

    def _account_changed(self, old: MetadataOnly | None, new: MetadataOnly | None) -> None:
        account = new or old
        assert account is not None
        for secret in self._secrets.values():
            metadata = secret["metadata"]
            named = (metadata.get("annotations") or {}).get(ACCOUNT_NAME)
            if f"{metadata['namespace']}/{named}" == key(account):
                self.controller.enqueue(f"{metadata['namespace']}/{metadata['name']}")

    async def reconcile(self, name: str) -> float | None:
        secret = self._secrets.get(name)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            return None
        metadata = secret["metadata"]
        annotations = metadata.get("annotations") or {}
        account = self._accounts.get(f"{metadata['namespace']}/{annotations.get(ACCOUNT_NAME, '')}")
        claimed = annotations.get(ACCOUNT_UID)
        if account is None or (claimed and claimed != account.metadata.uid):
            await self._delete(metadata)
            return None
        await self._fill(secret, account)
        return None

    async def _delete(self, metadata: Json) -> None:
        try:
            await self._client.delete(SECRETS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except (errors.NotFound, errors.Conflict):
            return

    async def _fill(self, secret: Json, account: MetadataOnly) -> None:
        metadata, data = secret["metadata"], secret.get("data") or {}
        namespace, name = metadata["namespace"], metadata["name"]
        wanted: dict[str, str] = {"namespace": namespace}
        if self._root_ca_pem:
            wanted["ca.crt"] = self._root_ca_pem
        missing = {
            field: encoded
            for field, text in wanted.items()
            if data.get(field) != (encoded := b64encode(text.encode()).decode())
        }
        if not data.get("token"):
            token = self._signer.legacy(namespace, account.metadata.name, account.metadata.uid, name)
            missing["token"] = b64encode(token.encode()).decode()
        annotations = metadata.get("annotations") or {}
        if not missing and annotations.get(ACCOUNT_UID) == account.metadata.uid:
            return
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {ACCOUNT_UID: account.metadata.uid},
            },
            "data": missing,
        }
        try:
            await self._client.patch(SECRETS, name, patch, namespace)
        except errors.NotFound:
            return
