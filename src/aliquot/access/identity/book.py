"""Where people are written down: the store, as far as it is needed here.

What is done with it are functions of a transaction, so that whoever calls can log what they did in the same one.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Reader(Protocol):
    @property
    def now_s(self) -> float: ...

    def user(self, subject: str) -> tuple[int, bytes] | None: ...

    def users(self) -> tuple[bytes, ...]: ...


class Writer(Reader, Protocol):
    def put_user(self, subject: str, body: bytes, *, version: int) -> None: ...

    def use_up(self, what: str, nonce: str, *, until_s: float) -> bool: ...


class Book(Protocol):
    async def read(self, work: Callable[[Reader], T]) -> T: ...

    async def write(self, work: Callable[[Writer], T]) -> T: ...
