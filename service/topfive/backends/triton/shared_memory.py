"""Blocks of system shared memory through which pixels reach a Triton on the same host.

What lives here: the region, its registration with Triton, and who holds which block. What does not: the calls.

A region is a file in /dev/shm only for as long as Triton needs to map it; so nothing is left behind, however this
process ends. A Triton that was restarted knows nothing of it, and is given a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, Final

from tritonclient.grpc import service_pb2 as pb

from topfive.backends.base import Tensor
from topfive.backends.triton.connection import Connection
from topfive.ground.errors import BackendUnreachable, ConfigurationError

_FOLDER: Final = Path("/dev/shm")  # noqa: S108  # where shm_open looks, which Triton calls


class Region:
    """Memory that Triton has mapped too, in `free` blocks."""

    def __init__(self, *, blocks: int, block_bytes: int) -> None:
        self.name = f"topfive-{os.getpid()}-{secrets.token_hex(4)}"
        self.nbytes = blocks * block_bytes
        self.path = _FOLDER / self.name
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self.nbytes)
                self.memory = memoryview(mmap.mmap(descriptor, self.nbytes))
            finally:
                os.close(descriptor)
        except OSError as error:
            self.forget_file()
            raise ConfigurationError(
                f"{self.path}: {self.nbytes} bytes of shared memory cannot be had ({error}); enlarge /dev/shm, or turn "
                "triton_shared_memory off"
            ) from error
        self.free = deque(Block(self, number * block_bytes, block_bytes) for number in range(blocks))

    def forget_file(self) -> None:
        """Let the memory go with the last who has mapped it."""
        self.path.unlink(missing_ok=True)


class Block:
    """A part of a region for the pixels of one call; whoever took it from `SharedMemory` calls `hold`, once."""

    def __init__(self, region: Region, offset: int, nbytes: int) -> None:
        self.offset = offset
        self._region = region
        self._memory = region.memory[offset : offset + nbytes]

    @property
    def region(self) -> str:
        """The name by which Triton knows where it is."""
        return self._region.name

    def write(self, tensors: Sequence[Tensor]) -> int:
        """Put `tensors` there, one after the other; how many bytes they are."""
        at = 0
        for tensor in tensors:
            self._memory[at : at + tensor.nbytes] = tensor.ravel().data  # a copy only if it is not contiguous
            at += tensor.nbytes
        return at

    def hold(self, call: Awaitable[Any]) -> asyncio.Future[Any]:
        """Run `call`, during which Triton may read the block; it is free again when that has ended."""
        running = asyncio.ensure_future(call)
        running.add_done_callback(self._release)
        return running

    def _release(self, call: asyncio.Future[Any]) -> None:
        if not call.cancelled():
            call.exception()  # retrieved: whoever waited for it may be gone
        self._region.free.append(self)


class SharedMemory:
    """As many `blocks` as there may be calls at once."""

    def __init__(self, connection: Connection, *, blocks: int, block_bytes: int) -> None:
        self._connection = connection
        self._blocks = blocks
        self._block_bytes = block_bytes
        self._region: Region | None = None

    def take(self) -> Block | None:
        """A block; None if calls that were given up still have all, or Triton has none yet."""
        return self._region.free.popleft() if self._region is not None and self._region.free else None

    async def ensure_registered(self) -> None:
        """Make Triton map the region, if it has not; raises `BackendUnreachable`, or `ConfigurationError`."""
        if self._region is not None:
            request = pb.SystemSharedMemoryStatusRequest()
            known = await self._connection.ask("SystemSharedMemoryStatus", request, pb.SystemSharedMemoryStatusResponse)
            if self._region.name in known.regions:
                return
        self._region = None
        region = Region(blocks=self._blocks, block_bytes=self._block_bytes)
        try:
            request = pb.SystemSharedMemoryRegisterRequest(
                name=region.name, key=f"/{region.name}", byte_size=region.nbytes
            )
            await self._connection.ask("SystemSharedMemoryRegister", request, pb.SystemSharedMemoryRegisterResponse)
        finally:
            region.forget_file()
        self._region = region

    async def close(self) -> None:
        """Make Triton forget the region."""
        region, self._region = self._region, None
        if region is not None:
            request = pb.SystemSharedMemoryUnregisterRequest(name=region.name)
            with contextlib.suppress(BackendUnreachable):  # then it has forgotten already
                await self._connection.ask(
                    "SystemSharedMemoryUnregister", request, pb.SystemSharedMemoryUnregisterResponse
                )
