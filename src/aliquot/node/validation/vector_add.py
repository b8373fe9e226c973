"""Adds numbers on the first GPU that this process sees: through libcuda alone, with a kernel that the driver compiles.

Proves what no question to the driver does: that memory of the GPU can be had, and a kernel runs on it and is right.
"""

import ctypes
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

LIBRARY = "libcuda.so.1"
COUNT = 1 << 20
_BLOCK = 256

# PTX is compiled by the driver, for whichever GPU there is of this architecture or later.
_PTX = b"""
.version 6.3
.target sm_60
.address_size 64

.visible .entry vector_add(
    .param .u64 left, .param .u64 right, .param .u64 sum, .param .u32 count)
{
    .reg .pred %outside;
    .reg .b32 %index, %block, %size, %thread, %count, %one, %other;
    .reg .b64 %left, %right, %sum, %offset;

    mov.u32 %block, %ctaid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.u32 %index, %block, %size, %thread;
    ld.param.u32 %count, [count];
    setp.ge.u32 %outside, %index, %count;
    @%outside bra done;

    ld.param.u64 %left, [left];
    ld.param.u64 %right, [right];
    ld.param.u64 %sum, [sum];
    cvta.to.global.u64 %left, %left;
    cvta.to.global.u64 %right, %right;
    cvta.to.global.u64 %sum, %sum;
    mul.wide.u32 %offset, %index, 4;
    add.u64 %left, %left, %offset;
    add.u64 %right, %right, %offset;
    add.u64 %sum, %sum, %offset;
    ld.global.u32 %one, [%left];
    ld.global.u32 %other, [%right];
    add.u32 %one, %one, %other;
    st.global.u32 [%sum], %one;
done:
    ret;
}
\0"""
_KERNEL = b"vector_add"

_WHAT_TO_DO = {
    2: "another process has its memory",
    3: "the driver is going down",
    35: "the driver is older than libcuda: was it upgraded under this container?",
    100: "no GPU was given to this container: see the toolkit, and the agent of this node",
    101: "no GPU was given to this container: see the toolkit, and the agent of this node",
    222: "the driver is older than this program needs: R410 or later",
    801: "this GPU is not of Pascal or later",
    802: "the fabric between the GPUs is not up: see nv-fabricmanager on this node",
    803: "the driver and libcuda are not of one version: was the driver upgraded under this container?",
}
"""By the driver's number."""


class CudaError(Exception):
    """One line: the call, what the driver says, and what may be done."""


class WrongSum(CudaError):
    """The GPU counts wrong."""


@dataclass(frozen=True, slots=True)
class Done:
    device: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} numbers added on {self.device}"


def load(name: str = LIBRARY) -> ctypes.CDLL:
    """Raises CudaError."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise CudaError(
            f"{name} cannot be loaded ({error}): the toolkit puts it into containers that have a GPU; see the toolkit's pod "
            "on this node, and whether this pod has the runtime class nvidia"
        ) from error


def vector_add(library: ctypes.CDLL, count: int = COUNT) -> Done:
    """Raises CudaError."""
    cuda = _Cuda(library)
    with ExitStack() as stack:
        device, name = cuda.first_device()
        context = cuda.taken(ctypes.c_void_p, "cuDevicePrimaryCtxRetain", device)
        stack.callback(cuda.quietly, "cuDevicePrimaryCtxRelease_v2", device)
        cuda.call("cuCtxSetCurrent", context)
        module = cuda.taken(ctypes.c_void_p, "cuModuleLoadData", ctypes.c_char_p(_PTX))
        stack.callback(cuda.quietly, "cuModuleUnload", module)
        kernel = cuda.taken(ctypes.c_void_p, "cuModuleGetFunction", module, ctypes.c_char_p(_KERNEL))

        left, right = array("I", range(count)), array("I", range(0, 2 * count, 2))
        size = ctypes.c_size_t(count * left.itemsize)
        addresses = []
        for _ in range(3):
            addresses.append(cuda.taken(ctypes.c_uint64, "cuMemAlloc_v2", size))
            stack.callback(cuda.quietly, "cuMemFree_v2", addresses[-1])
        for address, numbers in zip(addresses, (left, right), strict=False):
            cuda.call("cuMemcpyHtoD_v2", address, _bytes(numbers), size)

        cuda.launch(kernel, -(-count // _BLOCK), [*addresses, ctypes.c_uint32(count)])
        cuda.call("cuCtxSynchronize")
        found = array("I", bytes(size.value))
        cuda.call("cuMemcpyDtoH_v2", _bytes(found), addresses[2], size)
    wrong = [index for index in range(count) if found[index] != 3 * index]
    if wrong:
        index = wrong[0]
        raise WrongSum(
            f"{name} adds wrong: {len(wrong)} of {count} sums; {left[index]} + {right[index]} gave {found[index]}: take the "
            "GPU out of service, and run NVIDIA's diagnostics (dcgmi diag -r 3)"
        )
    return Done(name, count)


class _Cuda:
    """Every argument has its type: what is passed is what the C interface takes."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def first_device(self) -> tuple[ctypes.c_int, str]:
        self.call("cuInit", ctypes.c_uint(0))
        count = self.taken(ctypes.c_int, "cuDeviceGetCount")
        if count.value < 1:
            raise CudaError(f"cuDeviceGetCount: 0: {_WHAT_TO_DO[100]}")
        device = self.taken(ctypes.c_int, "cuDeviceGet", ctypes.c_int(0))
        name = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", name, ctypes.c_int(len(name)), device)
        return device, name.value.decode(errors="replace")

    def launch(self, kernel: Any, blocks: int, parameters: Sequence[Any]) -> None:
        pointers = (ctypes.c_void_p * len(parameters))(*(ctypes.addressof(one) for one in parameters))
        one, none = ctypes.c_uint(1), ctypes.c_void_p()
        grid = (ctypes.c_uint(blocks), one, one)
        block = (ctypes.c_uint(_BLOCK), one, one)
        self.call("cuLaunchKernel", kernel, *grid, *block, ctypes.c_uint(0), none, pointers, none)

    def taken(self, kind: type[Any], name: str, *arguments: Any) -> Any:
        """What the call writes to where its first argument points."""
        found = kind()
        self.call(name, ctypes.byref(found), *arguments)
        return found

    def call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise CudaError(
                f"{name}: this libcuda does not have it: it is older than R410, or none"
            ) from None
        function.restype = ctypes.c_int
        if code := function(*arguments):
            to_do = f": {_WHAT_TO_DO[code]}" if code in _WHAT_TO_DO else ""
            raise CudaError(f"{name}: {self._told(code)}{to_do}")

    def quietly(self, name: str, *arguments: Any) -> None:
        """What is given back at the end: the process ends anyway."""
        if (function := getattr(self._library, name, None)) is not None:
            function(*arguments)

    def _told(self, code: int) -> str:
        texts = []
        for name in ("cuGetErrorName", "cuGetErrorString"):
            text = ctypes.c_char_p()
            function = getattr(self._library, name, None)
            if function is not None and not function(ctypes.c_int(code), ctypes.byref(text)) and text.value:
                texts.append(text.value.decode(errors="replace"))
        return f"{texts[0]} ({texts[1]})" if len(texts) == 2 else f"error {code}"


def _bytes(numbers: "array[int]") -> Any:
    return (ctypes.c_char * (len(numbers) * numbers.itemsize)).from_buffer(numbers)
