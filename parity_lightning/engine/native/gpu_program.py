"""Kernels for NVIDIA's GPUs, compiled once and kept, by the compiler that comes with PyTorch."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch

from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.native.build import build_once
from parity_lightning.engine.not_compiled import NotCompiled

TYPES = {torch.float32: "float", torch.float64: "double"}
"""The kinds of number that there are kernels for, by their names there."""

# What sources include.
_HEADERS = ("arithmetic.h", "examples.h", "block.h", "tiles.h", "units.h")
# The first GPUs whose tensor cores multiply bfloat16.
_WITH_BFLOAT16 = (8, 0)


class Program(Protocol):
    """Kernels that can be launched."""

    version: str
    """Names the code and what it was compiled by and for."""

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, memory: int, arguments: Sequence[ctypes._CData]
    ) -> None:
        """Starts a kernel, after all that was started before.

        Args:
            name: Which.
            grid: How many blocks.
            threads: How many threads a block has.
            memory: How many bytes of its own memory a block has.
            arguments: Of the kernel.
        """
        ...


class Gpu(Protocol):
    """What kernels are compiled for."""

    most_memory: int
    """How many bytes of its own memory a block of threads can have."""

    multiplies_bfloat16: bool
    """Whether it has tensor cores that do."""

    def program(self, source: str, *defined: str) -> Program:
        """The kernels of a source, compiled once in a process.

        Args:
            source: The name of its file, beside this one.
            defined: What is defined for the compiler, as ``NAME=VALUE``.

        Raises:
            NotCompiled: If they cannot be compiled.
            SettingError: If others can write to the folder of compiled functions.
        """
        ...


class NvidiaGpu:
    """A `Gpu` of this machine.

    Args:
        device: Which.
    """

    def __init__(self, device: torch.device) -> None:
        properties: Any = torch.cuda.get_device_properties(device)
        self.most_memory: int = properties.shared_memory_per_block_optin
        self.multiplies_bfloat16 = (properties.major, properties.minor) >= _WITH_BFLOAT16
        self._device, self._architecture = device, f"sm_{properties.major}{properties.minor}"
        self._programs: dict[tuple[str, ...], _NvidiaProgram] = {}

    def program(self, source: str, *defined: str) -> Program:
        """Compiles kernels; see `Gpu`."""
        name = (source, *defined)
        if name not in self._programs:
            self._programs[name] = self._compiled(source, defined)
        return self._programs[name]

    def _compiled(self, source: str, defined: Sequence[str]) -> _NvidiaProgram:
        try:
            from cuda.bindings import driver, nvrtc
        except ImportError as error:
            raise NotCompiled("there is no package cuda-bindings; pip install cuda-bindings") from error
        macros = (f"--define-macro={each}" for each in defined)
        options = [f"--gpu-architecture={self._architecture}", "--std=c++17", *macros]
        return _NvidiaProgram(driver, _image(nvrtc, source, options), self._device, self.most_memory)


@cache
def nvidia_gpu(device: torch.device) -> NvidiaGpu:
    """The GPU, with the kernels that were compiled for it in this process."""
    return NvidiaGpu(device)


class _NvidiaProgram:
    """A `Program` of compiled kernels."""

    def __init__(self, driver: Any, image: bytes, device: torch.device, most_memory: int) -> None:
        self.version = f"CUDA {hashlib.sha256(image).hexdigest()[:8]}"
        self._driver, self._device, self._most_memory = driver, device, most_memory
        with torch.cuda.device(device):
            torch.cuda.current_stream().synchronize()
            self._module = _checked(driver.cuModuleLoadData(image))
        self._kernels: dict[str, Any] = {}

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, memory: int, arguments: Sequence[ctypes._CData]
    ) -> None:
        """Starts a kernel; see `Program`."""
        with torch.cuda.device(self._device):
            if name not in self._kernels:
                kernel = _checked(self._driver.cuModuleGetFunction(self._module, name.encode()))
                attribute = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
                _checked(self._driver.cuFuncSetAttribute(kernel, attribute, self._most_memory))
                self._kernels[name] = kernel
            stream = torch.cuda.current_stream().cuda_stream
            places = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
            _checked(
                self._driver.cuLaunchKernel(
                    self._kernels[name], *grid, 1, threads, 1, 1, memory, stream, ctypes.addressof(places), 0
                )
            )


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a call, if there was no error."""
    error, *values = result
    if error.value:
        raise NotCompiled(f"a call of CUDA failed: {error.name}")
    return values[0] if values else None


def _image(nvrtc: Any, source: str, options: Sequence[str]) -> bytes:
    """The kernels for these options; compiled if that has not been done before."""
    compiler = nvrtc.nvrtcVersion()[1:]
    texts = [Path(__file__).with_name(name).read_bytes() for name in (source, *_HEADERS)]
    digest = hashlib.sha256(b"\0".join([*texts, repr((options, compiler)).encode()])).hexdigest()
    path = private_cache() / f"{digest[:32]}.cubin"

    def build(new: Path) -> None:
        new.write_bytes(_compile(nvrtc, source, texts, options))

    build_once(path, build, "kernels for this GPU")
    return path.read_bytes()


def _compile(nvrtc: Any, source: str, texts: Sequence[bytes], options: Sequence[str]) -> bytes:
    """Compiles a source, whose text is the first, with all headers."""
    names = [name.encode() for name in _HEADERS]
    program = _checked(nvrtc.nvrtcCreateProgram(texts[0], source.encode(), len(names), texts[1:], names))
    error = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])[0]
    if error.value:
        log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
        _checked(nvrtc.nvrtcGetProgramLog(program, log))
        message = " ".join(log.decode(errors="replace").replace("\0", " ").split())
        raise NotCompiled(f"NVRTC failed: {message[:300]}")
    image: bytes = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
    _checked(nvrtc.nvrtcGetCUBIN(program, image))
    return image
