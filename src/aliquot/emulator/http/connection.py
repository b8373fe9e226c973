"""One connection of the HTTPS server, within bounds: nobody holds it for nothing, and none grows without end.

The bounds are kube-apiserver's (Go's `ReadHeaderTimeout` and `MaxHeaderBytes`); for clients that stop reading it has
none of its own, and TCP's would come much later.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aliquot.emulator.http.joined_writes import JoinedWrites

HEADERS_DEADLINE_S = 32.0
"""From a connection's beginning, and from a request's first byte, to the end of its headers."""
MAX_HEADERS_BYTES = 1 << 20
"""Of a request line and its headers."""
STALLED_READER_S = 60.0
"""A client that takes nothing of what was written for it so long is cut off: what waits for it is memory."""

_TOO_LARGE = b"431 Request Header Fields Too Large"


class BoundedProtocol(HttpToolsProtocol):
    _headers_bytes = 0
    _in_headers = True
    _headers_deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoinedWrites(transport, self.loop))
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_arrived()
        self._reader_is_back()
        super().connection_lost(exc)

    # ---- requests that do not come ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._headers_bytes += len(data)
        super().data_received(data)
        # Most requests have come whole by now; the others have a deadline.
        if not self._in_headers or self.transport.is_closing():
            return
        if self._headers_bytes > MAX_HEADERS_BYTES:
            self._refuse_headers()
        elif self._headers_deadline is None:
            self._expect_headers()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        self._headers_arrived()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        self._headers_deadline = self.loop.call_later(HEADERS_DEADLINE_S, self.transport.close)

    def _headers_arrived(self) -> None:
        self._in_headers = False
        self._headers_bytes = 0
        if self._headers_deadline is not None:
            self._headers_deadline.cancel()
            self._headers_deadline = None

    def _refuse_headers(self) -> None:
        head = b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (_TOO_LARGE, len(_TOO_LARGE)) + _TOO_LARGE)
        self.transport.close()

    # ---- clients that do not read ----------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader_is_back()

    def _watch_reader(self) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALLED_READER_S, self._look_at_reader)

    def _look_at_reader(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread_bytes:
            self._watch_reader()
        else:
            self.transport.abort()

    def _reader_is_back(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
