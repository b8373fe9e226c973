"""The controllers that give out credentials, and so hold the cluster's keys: certificates, tokens of Secrets."""

import asyncio
import random
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.authentication.tokens import TokenSigner
from aliquot.emulator.certificates import Authority
from aliquot.emulator.controllers import account_secrets
from aliquot.emulator.controllers.account_secrets import AccountSecrets
from aliquot.emulator.controllers.certificate_requests import REQUESTS, CertificateRequests
from aliquot.emulator.controllers.types import MetadataOnly
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import SECRETS


async def run(
    client: Client,
    clock: Clock,
    rng: random.Random,
    accounts: Cache[MetadataOnly],
    authority: Authority,
) -> None:
    """Until cancelled. `accounts` are run by their owner, and synced."""
    requests: Cache[dict[str, Any]] = Cache(client, REQUESTS, dict)
    secrets: Cache[dict[str, Any]] = Cache(
        client, SECRETS, dict, field_selector=f"type={account_secrets.TYPE}"
    )
    async with asyncio.TaskGroup() as tasks:
        for cache in (requests, secrets):
            tasks.create_task(cache.run(), name=f"cache {cache.resource.name}")
        for cache in (requests, secrets):
            await cache.synced()
        controllers = (
            CertificateRequests(client, clock, rng, requests, authority),
            AccountSecrets(
                client,
                rng,
                secrets,
                accounts,
                TokenSigner(authority.token_key),
                root_ca_pem=authority.certificate.decode(),
            ),
        )
        for controller in controllers:
            tasks.create_task(controller.run(), name=type(controller).__name__)
