"""The AWS around the fake: moto's server, in a process of its own on loopback. EC2, IAM, KMS and STS are its."""

import asyncio
import contextlib
import functools
import http.client
import os
import socket
import subprocess
import sys
from typing import Any
from urllib.parse import urlencode

from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import Session

from aliquot.eks.fake.refusals import Refused

_PROGRAM = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
from moto.server import main
main(sys.argv[1:])
"""
"""It ends with whoever holds the other end of its input, however that one ends."""
_SETTINGS = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
"""Roles of clusters have AWS' own policies; nobody here asks for images, of which moto makes a thousand. Who starts it may say otherwise."""
_START_S = 60.0
_LOOK_EVERY_S = 0.1
_TIMEOUT_S = 30.0
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"server", b"date"}
)


@functools.cache
def _model(service: str) -> ServiceModel:
    model: ServiceModel = Session().get_service_model(service)
    return model


class NotStarted(Exception):
    """One line: why there is no moto."""


class Moto:
    """An `Elsewhere`. Use it as a context manager: the process ends with it."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Moto":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        command = [sys.executable, "-c", _PROGRAM, "-H", "127.0.0.1", "-p", str(self._port)]
        environment = {**_SETTINGS, **os.environ}
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for who started it.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START_S):
                while not await asyncio.to_thread(self._answers):
                    if self._process.returncode is not None:
                        raise NotStarted(
                            "moto's server does not start: pip install 'moto[ec2,iam,kms]' flask flask-cors"
                        )
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            await self.__aexit__()
            raise NotStarted(f"moto's server does not answer within {_START_S:.0f} s") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    async def forward(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        return await asyncio.to_thread(self._forward, method, target, headers, body)

    async def ec2(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("ec2", operation, parameters, "FAKE")

    async def identity(self, access_key: str) -> str:
        """Whose key it is, as STS says: an ARN. All keys that IAM has not given out are `user/moto`'s. Raises Refused."""
        arn: str = (await self._ask("sts", "GetCallerIdentity", {}, access_key))["Arn"]
        return arn

    async def _ask(
        self, service: str, operation: str, parameters: dict[str, Any], access_key: str
    ) -> dict[str, Any]:
        """As the holder of a key. Raises Refused."""
        of_service = await asyncio.to_thread(_model, service)
        model, protocol = of_service.operation_model(operation), of_service.metadata["protocol"]
        request = create_serializer(protocol).serialize_to_request(parameters, model)
        scope = f"{access_key}/20261001/{self._region}/{service}/aws4_request"
        headers = [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (
                b"authorization",
                f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none".encode(),
            ),
        ]
        status, _, text = await self.forward("POST", "/", headers, urlencode(request["body"]).encode())
        answer = {"status_code": status, "headers": {}, "body": text}
        parsed: dict[str, Any] = create_parser(protocol).parse(answer, model.output_shape)
        if "Error" in parsed:
            raise Refused(parsed["Error"].get("Code", ""), parsed["Error"].get("Message", ""))
        return parsed

    def _forward(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            kept = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in headers
                if name.lower() not in _HOP_BY_HOP
            }
            connection.request(method, target, body=body, headers=kept)
            answer = connection.getresponse()
            text = answer.read()
            told = [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in answer.getheaders()
                if name.lower().encode() not in _HOP_BY_HOP
            ]
            return answer.status, told, text
        except OSError:
            return 503, [(b"content-type", b"text/plain")], b"moto does not answer"
        finally:
            connection.close()
