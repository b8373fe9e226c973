"""One process that shares a GPU, for `benchmarks.sharing`: the same kernel again and again, each launch timed.

Speaks to the driver library itself, so that nothing but the driver has to be installed. Says `ready` when the kernel
is loaded and warm, starts at a line on its standard input, and ends with its figures as one line of JSON.
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable

KERNEL = b"""
.version 6.0
.target sm_70
.address_size 64
.visible .entry turn(.param .u64 results, .param .u32 rounds)
{
    .reg .pred %again;
    .reg .b32 %left, %block, %threads, %thread, %number;
    .reg .f32 %value, %factor, %summand;
    .reg .b64 %base, %offset;
    ld.param.u64 %base, [results];
    ld.param.u32 %left, [rounds];
    mov.u32 %block, %ctaid.x;
    mov.u32 %threads, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.u32 %number, %block, %threads, %thread;
    cvt.rn.f32.u32 %value, %number;
    mov.f32 %factor, 0f3F7FF972;
    mov.f32 %summand, 0f3A83126F;
TURN:
    fma.rn.f32 %value, %value, %factor, %summand;
    fma.rn.f32 %value, %value, %factor, %summand;
    fma.rn.f32 %value, %value, %factor, %summand;
    fma.rn.f32 %value, %value, %factor, %summand;
    sub.u32 %left, %left, 1;
    setp.ne.u32 %again, %left, 0;
    @%again bra TURN;
    cvta.to.global.u64 %base, %base;
    mul.wide.u32 %offset, %number, 4;
    add.u64 %base, %base, %offset;
    st.global.f32 [%base], %value;
    ret;
}
"""
"""Arithmetic alone, each thread its own: nothing but the GPU's processors is shared between the processes."""

THREADS = 256
BLOCKS_PER_PROCESSOR = 8
"""As many threads as one of the GPU's processors holds at once."""
ROUNDS = 1 << 16
WARM_UP = 20
_MULTIPROCESSOR_COUNT = 16
"""CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"""


class CudaError(Exception):
    """One line: the call, and what the driver said."""


class Cuda:
    """A context on the first GPU that CUDA_VISIBLE_DEVICES lets this process see."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise CudaError(f"the driver's library: {error}") from error
        self._call("cuInit", ctypes.c_uint(0))
        device, context, module = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self._call("cuCtxCreate_v2", ctypes.byref(context), ctypes.c_uint(0), device)
        count = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(count), ctypes.c_int(_MULTIPROCESSOR_COUNT), device)
        self.processors = count.value
        """Of the GPU, or of the slice or share of it that this process has."""
        self._function = ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(KERNEL))
        self._call("cuModuleGetFunction", ctypes.byref(self._function), module, ctypes.c_char_p(b"turn"))

    def launcher(self, blocks: int) -> Callable[[], None]:
        """Launches the kernel and waits for its end."""
        results = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(results), ctypes.c_size_t(4 * blocks * THREADS))
        values = (results, ctypes.c_uint32(ROUNDS))
        shape = [ctypes.c_uint(n) for n in (blocks, 1, 1, THREADS, 1, 1, 0)]

        def launch() -> None:
            parameters = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
            self._call("cuLaunchKernel", self._function, *shape, None, parameters, None)
            self._call("cuCtxSynchronize")

        return launch

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            raise CudaError(f"{name}: {(text.value or b'error %d' % code).decode()}")


def launches_ms(launch: Callable[[], None], seconds: float, now: Callable[[], float]) -> list[float]:
    """How long each launch took that began within `seconds`."""
    took_ms = []
    end = now() + seconds
    while (began := now()) < end:
        launch()
        took_ms.append((now() - began) * 1e3)
    return took_ms


def main(blocks: int, seconds: float) -> None:
    """`blocks` 0: only tell how many would fill the GPU."""
    try:
        cuda = Cuda()
        if not blocks:
            print(cuda.processors * BLOCKS_PER_PROCESSOR)
            return
        launch = cuda.launcher(blocks)
        for _ in range(WARM_UP):
            launch()
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(launches_ms(launch, seconds, time.perf_counter)))
    except CudaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
