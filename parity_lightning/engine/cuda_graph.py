"""What a function launches on an NVIDIA GPU, recorded once and launched again as one CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch


class Recorder(Protocol):
    """Records functions."""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Records a function of tensors that stay where they are; it is called several times for that.

        Args:
            function: What it does must depend on these tensors' values by operations on the GPU alone.

        Returns:
            Does the same again, for the values that the tensors have then.
        """
        ...


class GraphRecorder:
    """Records CUDA graphs.

    All graphs of a recorder share the memory for what is between a function's inputs and outputs, so they must not run
    at the same time, nor may what a function computes be looked at but in tensors that were there before.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = _stream_of(device)
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Records a function; see `Recorder`.

        Raises:
            RuntimeError: If it waits for the GPU, or does something else that a graph cannot hold.
        """
        # The last context sets the stream back, which PyTorch does not do if recording fails.
        with torch.cuda.device(self._device), torch.cuda.stream(torch.cuda.current_stream(self._device)):
            self._warm_up(function)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                function()
        return graph.replay

    def _warm_up(self, function: Callable[[], None]) -> None:
        """Calls a function as it will be recorded: first for all that happens once, then to see that it never waits."""
        before = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(before)
        mode = torch.cuda.get_sync_debug_mode()
        with torch.cuda.stream(self._stream):
            function()
            # An error here leaves everything in order; one while a graph is recorded need not.
            try:
                with warnings.catch_warnings():
                    # PyTorch warns that this is a prototype.
                    warnings.simplefilter("ignore")
                    torch.cuda.set_sync_debug_mode("error")
                function()
            finally:
                torch.cuda.set_sync_debug_mode(mode)
        before.wait_stream(self._stream)


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """The stream on which is recorded, as PyTorch asks for one of its own.

    It is one for all, and functions are tried on it, too: cuBLAS's memory for a stream is there when recording begins,
    and is there once.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
