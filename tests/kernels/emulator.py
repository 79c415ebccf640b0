"""The CUDA source compiled as C++: the threads of a block are threads of the machine, blocks run one after the other.

Synchronisation, shared memory and atomic operations are real, so that a missing barrier or a sum that is added twice
shows here as it would on a device.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np

from kernels.cuda.program import PROGRAMS, Shape, source

SHAPE = Shape(threads=4, rows=32, tile=4, wide=32)
"""Small, so that few rows already make several blocks, tiles and rounds."""
TYPES = {"int": ctypes.c_int, "int64": ctypes.c_longlong, "double": ctypes.c_double}

PRELUDE = r"""
#include <atomic>
#include <cmath>
#include <cstring>
#include <pthread.h>
#include <thread>
#include <vector>
#define __global__
#define __device__ static
#define __shared__ static
#define __restrict__
#define SHARED_COUNTS static unsigned shared_counts[12288];
struct Place { unsigned x, y; };
static thread_local Place threadIdx, blockIdx;
static Place blockDim;
static pthread_barrier_t fence;
static void __syncthreads() { pthread_barrier_wait(&fence); }
static long long __double_as_longlong(double x) { long long bits; std::memcpy(&bits, &x, 8); return bits; }
static double __longlong_as_double(long long bits) { double x; std::memcpy(&x, &bits, 8); return x; }
template <class T> T atomicAdd(T* to, T amount) { return __atomic_fetch_add(to, amount, __ATOMIC_SEQ_CST); }
static unsigned long long atomicCAS(unsigned long long* to, unsigned long long old, unsigned long long made) {
    __atomic_compare_exchange_n(to, &old, made, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old;
}
template <class Body> void launch(unsigned width, unsigned height, unsigned threads, Body body) {
    pthread_barrier_init(&fence, nullptr, threads);
    blockDim = {threads, 1};
    std::vector<std::thread> running;
    for (unsigned thread = 0; thread < threads; thread++)
        running.emplace_back([&, thread] {
            threadIdx = {thread, 0};
            for (unsigned y = 0; y < height; y++)
                for (unsigned x = 0; x < width; x++) {
                    blockIdx = {x, y};
                    body();
                    __syncthreads();
                }
        });
    for (auto& one : running) one.join();
    pthread_barrier_destroy(&fence);
}
"""
HEAD = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')


class Emulator:
    """What `kernels.cuda.device.Device` asks for, without a device. Copies and kernels are done when begun."""

    xp = np
    name = "emulator"
    shape = SHAPE

    def __init__(self, compiler: str, folder: Path) -> None:
        """`compiler` is a path of g++; `folder` takes what it makes."""
        self._kernels = {}
        for program, names in PROGRAMS.items():
            library = ctypes.CDLL(str(compiled(program, compiler, folder)))
            self._kernels |= {name: library[f"run_{name}"] for name in names}

    def pinned(self, size):
        return np.empty(size, np.uint8)

    def upload(self, to, pinned):
        to[:] = pinned

    def launch(self, kernel, grid, threads, shared, *arguments):
        call = self._kernels[kernel]
        call(*grid, threads, *(_argument(value) for value in arguments))

    def mark(self):
        return lambda: None

    def download(self, array):
        return array.copy()

    def computing(self):
        return contextlib.nullcontext()


class LateEmulator(Emulator):
    """Does nothing until somebody waits for it: what relies on copies that are not done yet counts wrong."""

    def __init__(self, compiler: str, folder: Path) -> None:
        super().__init__(compiler, folder)
        self._queue = collections.deque()
        self._begun = self._done = 0

    def upload(self, to, pinned):
        self._later(super().upload, to, pinned)

    def launch(self, *arguments):
        self._later(super().launch, *arguments)

    def mark(self):
        begun = self._begun
        return lambda: self._catch_up(begun)

    def download(self, array):
        self._catch_up(self._begun)
        return super().download(array)

    def computing(self):
        self._catch_up(self._begun)
        return super().computing()

    def _later(self, work, *arguments):
        self._queue.append((work, arguments))
        self._begun += 1

    def _catch_up(self, to):
        while self._done < to:
            work, arguments = self._queue.popleft()
            work(*arguments)
            self._done += 1


def compiled(program: str, compiler: str, folder: Path) -> Path:
    """A shared library with a function run_NAME(width, height, threads, arguments…) for each kernel."""
    text = source(program, SHAPE)
    runs = []
    for name, parameters in HEAD.findall(text):
        names = [re.split(r"[ *]+", part.strip())[-1] for part in parameters.split(",")]
        runs.append(
            f'extern "C" void run_{name}(unsigned width, unsigned height, unsigned threads, {parameters}) '
            f"{{ launch(width, height, threads, [=] {{ {name}({', '.join(names)}); }}); }}"
        )
    path, library = folder / f"{program}.cpp", folder / f"{program}.so"
    path.write_text("\n".join([PRELUDE, text, *runs]), encoding="utf-8")
    options = [
        "-std=c++20",
        "-O1",
        "-ffp-contract=off",
        "-Wall",
        "-Wno-unused-function",
        "-Werror",
        "-shared",
        "-fPIC",
        "-pthread",
    ]
    subprocess.run([compiler, *options, path, "-o", library], check=True, timeout=120)
    return library


def _argument(value):
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous, "a kernel takes an address and no strides"
        return ctypes.c_void_p(value.ctypes.data)
    kinds = {np.int32: ctypes.c_int, np.int64: ctypes.c_longlong, np.float64: ctypes.c_double}
    return kinds[type(value)](value)
