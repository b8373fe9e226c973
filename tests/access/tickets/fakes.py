"""ServiceNow's Table API and Jira Cloud's REST API 3, as small as they can be and still be wrong where the real ones are."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

USER, SECRET = "aliquot", "s3cret-of-a-ticket-system"


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class _Fake:
    problems: list[web.Response] = field(default_factory=list)
    """Given as answers, one after the other, before anything else is."""
    asked: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._first])
        self.routes(application)
        return application

    def routes(self, application: web.Application) -> None:
        raise NotImplementedError

    @web.middleware
    async def _first(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.rel_url.raw_path}")
        if self.problems:
            return self.problems.pop(0)
        expected = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return web.json_response({"error": {"message": "User Not Authenticated"}}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer


@dataclass
class FakeServiceNow(_Fake):
    records: list[dict[str, str]] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    """By sys_id, the newest first."""

    def routes(self, application: web.Application) -> None:
        application.router.add_get("/api/now/table/{table}", self._list)
        application.router.add_get("/api/now/table/{table}/{id}", self._one)
        application.router.add_patch("/api/now/table/{table}/{id}", self._patch)

    async def _list(self, request: web.Request) -> web.Response:
        found = [one for one in self.records if one["table"] == request.match_info["table"]]
        for condition in re.split(r"(?<!\^)\^(?!\^)", request.query.get("sysparm_query", "")):
            name, operator, value = condition.partition("=")
            # What it does not understand it leaves out.
            if operator and any(name in one for one in found):
                found = [one for one in found if one.get(name) == value.replace("^^", "^")]
        found = found[: int(request.query.get("sysparm_limit", "10000"))]
        names = request.query["sysparm_fields"].split(",")
        return web.json_response({"result": [{n: one[n] for n in names if n in one} for one in found]})

    async def _one(self, request: web.Request) -> web.Response:
        notes = self.notes.get(request.match_info["id"], [])
        shown = (
            "\n\n".join(f"2026-11-29 06:40:00 - Aliquot (Work notes)\n{one}" for one in notes)
            if request.query.get("sysparm_display_value") == "true"
            else ""
        )
        return web.json_response({"result": {"work_notes": shown}})

    async def _patch(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.notes.setdefault(request.match_info["id"], []).insert(0, body["work_notes"])
        return web.json_response({"result": {"sys_id": request.match_info["id"]}})


@dataclass
class FakeJira(_Fake):
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    comments: dict[str, list[Any]] = field(default_factory=dict)
    """By key, the oldest first."""
    approvals: dict[str, list[str]] = field(default_factory=dict)

    def routes(self, application: web.Application) -> None:
        application.router.add_get("/rest/api/3/issue/{key}", self._issue)
        application.router.add_get("/rest/api/3/issue/{key}/comment", self._comments)
        application.router.add_post("/rest/api/3/issue/{key}/comment", self._comment)
        application.router.add_get("/rest/servicedeskapi/request/{key}/approval", self._approvals)

    def _key(self, request: web.Request) -> str:
        key = request.match_info["key"]
        key = self.moved.get(key, key)
        if key not in self.issues:
            text = '{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}'
            raise web.HTTPNotFound(text=text, content_type="application/json")
        return key

    async def _issue(self, request: web.Request) -> web.Response:
        key = self._key(request)
        names = request.query["fields"].split(",")
        fields = {name: value for name, value in self.issues[key].items() if name in names}
        return web.json_response({"id": "10001", "key": key, "fields": fields})

    async def _comments(self, request: web.Request) -> web.Response:
        found = list(self.comments.get(self._key(request), []))
        if request.query.get("orderBy") == "-created":
            found.reverse()
        start, most = int(request.query["startAt"]), min(int(request.query["maxResults"]), 100)
        page = [{"id": str(number), "body": body} for number, body in enumerate(found)][start : start + most]
        answer = {"startAt": start, "maxResults": most, "total": len(found), "comments": page}
        return web.json_response(answer)

    async def _comment(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["body"]["type"] == "doc"
        self.comments.setdefault(self._key(request), []).append(body["body"])
        return web.json_response({"id": "1"}, status=201)

    async def _approvals(self, request: web.Request) -> web.Response:
        found = self.approvals.get(self._key(request), [])
        start = int(request.query["start"])
        # Fewer than were asked for, as the real one does when it likes.
        page = found[start : start + 2]
        values = [{"id": str(start + n), "finalDecision": one} for n, one in enumerate(page)]
        last = start + len(page) >= len(found)
        return web.json_response(
            {"size": len(page), "start": start, "limit": 2, "isLastPage": last, "values": values}
        )
