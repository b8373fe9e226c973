"""The one client: Kubernetes' verbs over a Transport, with typed errors, retries and a deadline on every call.

`into` says what to decode an answer into: a Struct that declares only the fields the caller reads, or (left out) a
plain dict. Because such a Struct drops what it does not declare, there is no PUT here: write by `apply`, `patch`,
or a subresource.

Every method raises ApiError's subclasses. `Unavailable` means: asked as often as sense allowed, and what was asked
may or may not have happened.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar, overload

import msgspec
from msgspec import Struct

from aliquot import __version__
from aliquot.clock import Clock
from aliquot.kube import errors, watching
from aliquot.kube.calling import Caller
from aliquot.kube.decoding import JsonObject, Listing, Unreadable, decode, decode_list
from aliquot.kube.resources import PODS, Resource
from aliquot.kube.retry import RetryPolicy
from aliquot.kube.transport import Transport, TransportError
from aliquot.kube.watching import Bookmark, WatchEvent

T = TypeVar("T")

KubeObject: TypeAlias = JsonObject | Struct
"""What is sent: a dict, or a Struct whose encoding is the object."""

_WATCH_GRACE_S = 30.0


class PatchKind(StrEnum):
    """The patch's content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class Propagation(StrEnum):
    """What becomes of the objects that a deleted one owns."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


class Client:
    """Safe for any number of concurrent tasks of one loop.

    `timeout_s` bounds each call, its retries included; a list has it for each page, a watch until it begins.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        rng: random.Random,
        user_agent: str = f"aliquot/{__version__}",
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout_s: float = 30.0,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self._caller = Caller(transport, rng=rng, user_agent=user_agent, retry=retry, timeout_s=timeout_s)

    async def close(self) -> None:
        await self._caller.close()

    @overload
    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JsonObject: ...
    @overload
    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, into: type[T]
    ) -> T: ...
    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, into: type[Any] = dict
    ) -> Any:
        return decode(await self._caller.call("GET", resource.path(namespace, name)), into)

    @overload
    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing[JsonObject]: ...
    @overload
    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        into: type[T],
        page_size: int = 500,
    ) -> Listing[T]: ...
    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        into: type[Any] = dict,
        page_size: int = 500,
    ) -> Listing[Any]:
        """All of one kind, as they were at one moment. Items of built-in kinds carry no apiVersion and kind."""
        selectors = {"label_selector": label_selector, "field_selector": field_selector}
        try:
            return await _together(
                self.pages(resource, namespace, **selectors, into=into, page_size=page_size)
            )
        except errors.Gone:
            # The server forgot the list between two pages: take it in one piece.
            return await _together(self.pages(resource, namespace, **selectors, into=into, page_size=0))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        into: type[T],
        page_size: int = 500,
    ) -> AsyncGenerator[Listing[T], None]:
        """`list`, page by page, so that never more than a page is held as bytes. `page_size` 0: in one piece.

        Raises Gone when the server forgets the list half way: what was yielded so far is then void.
        """
        query = _selectors(label_selector, field_selector)
        if page_size:
            query["limit"] = str(page_size)
        while True:
            page = decode_list(await self._caller.call("GET", resource.path(namespace), query), into)
            yield page
            if not page.continue_token:
                return
            query["continue"] = page.continue_token

    @overload
    async def create(
        self,
        resource: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
        subresource: str | None = None,
        name: str | None = None,
    ) -> JsonObject: ...
    @overload
    async def create(
        self,
        resource: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        into: type[T],
        dry_run: bool = False,
        subresource: str | None = None,
        name: str | None = None,
    ) -> T: ...
    async def create(
        self,
        resource: Resource,
        obj: KubeObject,
        namespace: str | None = None,
        *,
        into: type[Any] = dict,
        dry_run: bool = False,
        subresource: str | None = None,
        name: str | None = None,
    ) -> Any:
        """POST. With `subresource` and `name` (eviction, token, ...) the object is sent as it is.

        Repeated only when the server surely has not acted; else Unavailable is raised and the caller looks.
        """
        body = _builtins(obj) if subresource else _identified(resource, obj)
        namespace = namespace or (body.get("metadata") or {}).get("namespace")
        path = resource.path(namespace, name, subresource)
        return decode(await self._caller.call("POST", path, _dry_run(dry_run), body, repeatable=False), into)

    @overload
    async def apply(
        self,
        resource: Resource,
        obj: KubeObject,
        *,
        field_manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> JsonObject: ...
    @overload
    async def apply(
        self,
        resource: Resource,
        obj: KubeObject,
        *,
        field_manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def apply(
        self,
        resource: Resource,
        obj: KubeObject,
        *,
        field_manager: str,
        force: bool = False,
        subresource: str | None = None,
        dry_run: bool = False,
        into: type[Any] = dict,
    ) -> Any:
        """Server-side apply: `obj` names every field that `field_manager` wants to own, and no other.

        Creates the object where it is missing. Raises Conflict when others own a field and `force` is not set.
        """
        body = _identified(resource, obj)
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {"fieldManager": field_manager} | _dry_run(dry_run)
        if force:
            query["force"] = "true"
        answer = await self._caller.call(
            "PATCH", path, query, body, content_type="application/apply-patch+yaml"
        )
        return decode(answer, into)

    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> JsonObject: ...
    @overload
    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str | None = None,
        dry_run: bool = False,
        into: type[T],
    ) -> T: ...
    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str | None = None,
        dry_run: bool = False,
        into: type[Any] = dict,
    ) -> Any:
        """`metadata.resourceVersion` inside a merge patch makes it conditional: Conflict if the object moved on."""
        answer = await self._caller.call(
            "PATCH",
            resource.path(namespace, name, subresource),
            _dry_run(dry_run),
            patch,
            content_type=kind.value,
            # A JSON patch done twice may add twice.
            repeatable=kind is not PatchKind.JSON,
        )
        return decode(answer, into)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: Propagation | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """`uid` and `resource_version` are preconditions: Conflict when they do not hold. NotFound when absent."""
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation is not None:
            options["propagationPolicy"] = propagation.value
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if any(preconditions.values()):
            options["preconditions"] = {name: value for name, value in preconditions.items() if value}
        await self._caller.call("DELETE", resource.path(namespace, name), body=options)

    async def bind(
        self,
        namespace: str,
        pod: str,
        node: str,
        *,
        pod_uid: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Give the pod to the node; `annotations` are merged into the pod's in the same write.

        Raises Conflict when the pod is bound already, or is not the one of `pod_uid`.
        """
        metadata: JsonObject = {"name": pod, "namespace": namespace}
        if pod_uid:
            metadata["uid"] = pod_uid
        if annotations:
            metadata["annotations"] = dict(annotations)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        await self._caller.call("POST", PODS.path(namespace, pod, "binding"), body=binding, repeatable=False)

    async def evict(self, namespace: str, pod: str, *, uid: str = "", dry_run: bool = False) -> None:
        """Ask for the end of the pod, as far as PodDisruptionBudgets allow it.

        Raises TooManyRequests when none allows it now, and Conflict when the pod is not the one of `uid`.
        """
        eviction: JsonObject = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        if uid:
            eviction["deleteOptions"] = {"preconditions": {"uid": uid}}
        path = PODS.path(namespace, pod, "eviction")
        await self._caller.call("POST", path, _dry_run(dry_run), eviction, repeatable=False)

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        tail_lines: int | None = None,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> bytes:
        """What the container has printed so far; `container` may be empty when the pod has one."""
        query = {"container": container} if container else {}
        if tail_lines is not None:
            query["tailLines"] = str(tail_lines)
        if limit_bytes is not None:
            query["limitBytes"] = str(limit_bytes)
        if previous:
            query["previous"] = "true"
        return await self._caller.call("GET", PODS.path(namespace, pod, "log"), query, accept="*/*")

    async def get_raw(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The body of any path: `/version`, `/readyz`, discovery documents."""
        return await self._caller.call("GET", path, query)

    async def server_time_s(self) -> float | None:
        """What time it is for the server, in the whole seconds that it tells; None where its answer has no `Date`.

        Asked once, over a fresh answer: what was waited for would be late.
        """
        try:
            response = await self._caller.open("/version", {})
        except TransportError as error:
            raise errors.Unavailable(f"/version: {error}", code=0) from error
        await response.close()
        try:
            moment = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError):
            return None
        return moment.timestamp() if moment.tzinfo is not None else None

    @overload
    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 300.0,
        send_initial_events: bool = False,
    ) -> AsyncGenerator[WatchEvent[JsonObject] | Bookmark | Unreadable, None]: ...
    @overload
    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        into: type[T],
        timeout_s: float = 300.0,
        send_initial_events: bool = False,
    ) -> AsyncGenerator[WatchEvent[T] | Bookmark | Unreadable, None]: ...
    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        into: type[Any] = dict,
        timeout_s: float = 300.0,
        send_initial_events: bool = False,
    ) -> AsyncGenerator[WatchEvent[Any] | Bookmark | Unreadable, None]:
        """One watch, until the server ends it (about `timeout_s`) or the caller closes it (use `aclosing`).

        Not resumed here: `Cache` does that. Raises Gone when `resource_version` is too old, Unavailable when the
        stream breaks or outlives its time without an end, TooManyRequests and the others as they come.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(timeout_s))),
        }
        if resource_version or not send_initial_events:
            query["resourceVersion"] = resource_version
        if send_initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        path = resource.path(namespace)
        # A connection that died without a word is given up a little after the server should have ended it.
        deadline = asyncio.get_running_loop().time() + timeout_s + _WATCH_GRACE_S
        splitter = watching.LineSplitter()
        try:
            response = await self._caller.open(path, query)
            try:
                chunks = aiter(response.chunks())
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        return
                    for event in watching.events(splitter.feed(chunk), into):
                        yield event
            finally:
                await response.close()
        except TransportError as error:
            raise errors.Unavailable(f"watch {path}: {error}", code=0) from error
        except TimeoutError as error:
            raise errors.Unavailable(f"watch {path}: silent past its end", code=0) from error


async def _together(pages: AsyncGenerator[Listing[T], None]) -> Listing[T]:
    items: list[T] = []
    unreadable: list[Unreadable] = []
    version = ""
    async with aclosing(pages):
        async for page in pages:
            items.extend(page.items)
            unreadable.extend(page.unreadable)
            version = page.resource_version
    return Listing(items, version, unreadable=tuple(unreadable))


def _builtins(obj: KubeObject) -> JsonObject:
    builtins: JsonObject = dict(obj) if isinstance(obj, dict) else msgspec.to_builtins(obj)
    return builtins


def _identified(resource: Resource, obj: KubeObject) -> JsonObject:
    """The object with apiVersion and kind, which a Struct that is only read does not declare."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | _builtins(obj)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def _dry_run(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
