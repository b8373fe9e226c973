"""From a bearer token to who came with it, whoever issued it. Each token is looked at by its own issuer's rules and no other's."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from aliquot.access.identity.book import Book
from aliquot.access.identity.configuration import LocalUsers
from aliquot.access.identity.directory import Directory
from aliquot.access.identity.kubernetes import ClusterTokens
from aliquot.access.identity.local import sessions
from aliquot.access.identity.oidc.tokens import OidcTokens, unchecked
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.identity.server_key import ServerKey


class Bearers:
    def __init__(
        self,
        book: Book,
        directory: Directory,
        key: ServerKey,
        *,
        local: LocalUsers | None,
        oidc: Iterable[OidcTokens],
        clusters: Mapping[str, ClusterTokens],
    ) -> None:
        self._book = book
        self._directory = directory
        self._key = key
        self._local = local
        self._oidc = {tokens.issuer.issuer: tokens for tokens in oidc}
        self._clusters = clusters

    async def prove(self, token: str, *, cluster: str = "") -> Proof:
        """`cluster`: whose API server is to be asked; empty: none, the token says who issued it. Raises NotProven and Unreachable."""
        proof = await self._of(token, cluster)
        return replace(proof, identity=await self._directory.heard(proof))

    async def prove_alone(self, token: str, *, cluster: str = "") -> Proof:
        """As `prove`, by what can be told without the book, in which nothing is written: by what the token says or its issuer, whatever
        a newer one said. Raises NotProven; of this server's own users Unreachable, for they are in the book."""
        proof = await self._of(token, cluster)
        return replace(proof, identity=await self._directory.heard_alone(proof))

    async def _of(self, token: str, cluster: str) -> Proof:
        if cluster:
            tokens = self._clusters.get(cluster)
            if tokens is None:
                raise NotProven("that cluster's people are not known here")
            return await tokens.prove(token)
        _, claims = unchecked(token)
        issuer = claims.get("iss")
        local = self._local
        if local is not None and issuer == local.issuer:
            return await self._book.read(lambda tx: sessions.prove(tx, self._key, local, token))
        if not isinstance(issuer, str) or issuer not in self._oidc:
            raise NotProven("the token is of no issuer that is configured here")
        return await self._oidc[issuer].prove(token)
