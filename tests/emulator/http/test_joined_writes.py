import asyncio

from aliquot.emulator.http.joined_writes import JoinedWrites


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


async def test_what_one_turn_writes_goes_out_as_one() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.write(b"body")
    assert (wire.written, joined.get_write_buffer_size()) == ([], 9)
    await asyncio.sleep(0)
    joined.write(b"next")
    await asyncio.sleep(0)
    assert wire.written == [b"head body", b"next"]


async def test_a_long_answer_is_not_held_back() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    piece = bytes(1 << 17)
    joined.write(b"head")
    joined.write(memoryview(piece))
    joined.write(piece)
    assert wire.written == [b"head" + piece, piece]
    await asyncio.sleep(0)
    assert len(wire.written) == 2


async def test_a_close_sends_what_was_written_before_it() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"goodbye")
    joined.close()
    assert (wire.written, wire.closed) == ([b"goodbye"], True)


async def test_nothing_is_written_to_a_connection_that_went_meanwhile() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"late")
    wire.close()
    await asyncio.sleep(0)
    assert wire.written == []
