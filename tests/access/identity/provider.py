"""An identity provider that says what a test wants: in memory, or behind a port of this machine."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from aliquot.access.identity.configuration import OidcIssuer
from aliquot.access.outside.calling import Unreached

START_S = 1_767_225_600.0
AUDIENCE = "aliquot-access"


class Clock:
    def __init__(self) -> None:
        self.now_s = START_S

    def now(self) -> float:
        return self.now_s


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """A Web, too: what is asked of it by `get` and `post` is answered without a wire."""

    def __init__(self, clock: Clock, issuer: str = "https://login.example.com") -> None:
        self.issuer = issuer
        self.clock = clock
        self.keys: dict[str, Key] = {}
        self.published: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.down = False
        self.discovery: dict[str, Any] = {}
        self.sign_ins: dict[str, dict[str, str]] = {}
        """By code: what was asked for at the authorization endpoint."""
        self.claims: dict[str, Any] = {}
        """In the tokens of sign-ins."""
        self.device_answers: list[str] = []
        self.new_key("k1")

    @property
    def configured(self) -> OidcIssuer:
        return OidcIssuer(issuer=self.issuer, audience=AUDIENCE)

    def new_key(self, name: str, kind: str = "RSA", *, only: bool = False) -> None:
        key: Key = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-256")
        if only:
            self.published.clear()
        self.keys[name] = key
        self.published.append({**key.as_dict(private=False), "kid": name, "use": "sig"})

    def said(self, **claims: Any) -> dict[str, Any]:
        """None takes a claim away."""
        now_s = self.clock.now()
        all_ = {
            "iss": self.issuer,
            "sub": "ann",
            "aud": AUDIENCE,
            "iat": now_s,
            "exp": now_s + 3600,
            "groups": ["sre"],
            **claims,
        }
        return {name: value for name, value in all_.items() if value is not None}

    def token(self, *, key: str = "k1", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        used = self.keys[key]
        algorithm = "RS256" if used.key_type == "RSA" else "ES256"
        protected = {"alg": algorithm, "kid": key, **(header or {})}
        return jws.serialize_compact(
            {name: value for name, value in protected.items() if value is not None},
            json.dumps(self.said(**claims)).encode(),
            used,
        )

    def unsigned(self, **claims: Any) -> str:
        parts = [{"alg": "none", "kid": "k1"}, self.said(**claims)]
        return ".".join(b64(json.dumps(part).encode()) for part in parts) + "."

    def signed_by_what_all_know(self, **claims: Any) -> str:
        """HS256 with the public key as the shared secret."""
        shared = self.keys["k1"]
        assert isinstance(shared, RSAKey)
        pem = shared.as_pem(private=False)
        parts = [{"alg": "HS256", "kid": "k1"}, self.said(**claims)]
        text = ".".join(b64(json.dumps(part).encode()) for part in parts)
        return f"{text}.{b64(hmac.new(pem, text.encode(), hashlib.sha256).digest())}"

    async def get(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise Unreached(f"{url} cannot be asked: connection refused")
        if url == f"{self.issuer}/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "device_authorization_endpoint": f"{self.issuer}/device",
                **self.discovery,
            }
            return json.dumps(document).encode()
        assert url == f"{self.issuer}/keys", url
        return json.dumps({"keys": self.published}).encode()

    async def post(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        self.asked.append(url)
        if url == f"{self.issuer}/device":
            device = {"device_code": "d1", "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 5}
            return 200, json.dumps({**device, "verification_uri": f"{self.issuer}/activate"}).encode()
        assert url == f"{self.issuer}/token", url
        return self._token(dict(form))

    def sign_in(self, asked: Mapping[str, str]) -> str:
        """A code, for what a browser would bring to the authorization endpoint."""
        code = f"code{len(self.sign_ins)}"
        self.sign_ins[code] = dict(asked)
        return code

    def _token(self, form: dict[str, str]) -> tuple[int, bytes]:
        nonce = None
        if form["grant_type"] == "authorization_code":
            asked = self.sign_ins.pop(form["code"], None)
            if asked is None or form["redirect_uri"] != asked["redirect_uri"]:
                return _error("invalid_grant")
            if b64(hashlib.sha256(form["code_verifier"].encode()).digest()) != asked["code_challenge"]:
                return _error("invalid_grant")
            nonce = asked["nonce"]
        elif form["grant_type"] == "refresh_token":
            if form["refresh_token"] != "r1":
                return _error("invalid_grant")
        else:
            answer = self.device_answers.pop(0)
            if answer:
                return _error(answer)
        token = self.token(**{"nonce": nonce, "aud": form["client_id"], **self.claims})
        return 200, json.dumps({"id_token": token, "refresh_token": "r1"}).encode()


def _error(code: str) -> tuple[int, bytes]:
    return 400, json.dumps({"error": code}).encode()


@asynccontextmanager
async def served(clock: Clock) -> AsyncIterator[Provider]:
    """Behind a port; whoever comes to sign in is Ann."""
    provider = Provider(clock)

    async def handle(request: web.Request) -> web.Response:
        url = f"{provider.issuer}{request.path}"
        if request.path == "/authorize":
            asked = dict(request.query)
            code = provider.sign_in(asked)
            raise web.HTTPFound(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")
        if request.path == "/elsewhere":
            raise web.HTTPFound(f"{provider.issuer}/keys")
        if request.path == "/endless":
            return web.Response(body=b" " * (5 << 20))
        if request.method == "GET":
            return web.Response(body=await provider.get(url))
        form = {name: str(value) for name, value in (await request.post()).items()}
        status, body = await provider.post(url, form)
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
