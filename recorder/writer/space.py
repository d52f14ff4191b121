"""Disk space held ahead of what is written, so that what was shown to a user can always be recorded."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
from typing import Protocol

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Space(Protocol):
    """Space promised to one file."""

    def extend(self, written: int, ahead: int) -> None:
        """Hold at least `ahead` bytes beyond `written`. Raises OSError if the disk has no more."""

    def room(self, written: int) -> int:
        """How many bytes beyond `written` are certain to fit."""

    def surrender(self) -> bool:
        """A write found no space: give up what is held elsewhere. True if writing again makes sense."""

    def release(self, written: int) -> None:
        """The file is complete: return what is left over."""


class Preallocated:
    """Blocks allocated to the file itself, beyond its end (fallocate, size kept)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._until = 0

    def extend(self, written: int, ahead: int) -> None:
        """See `Space.extend`. Takes a quarter more where it can, so that few batches cost a system call."""
        if self._until - written >= ahead:
            return
        try:
            self._allocate(written, ahead + ahead // 4)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            self._allocate(written, ahead)

    def _allocate(self, written: int, length: int) -> None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY and written + length > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))  # blocks would be given, the write refused
        if _fallocate is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        while _fallocate(self._fd, _KEEP_SIZE, written, length) != 0:
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number))
        self._until = written + length

    def room(self, written: int) -> int:
        """See `Space.room`."""
        return self._until - written

    def surrender(self) -> bool:
        """The blocks already belong to the file: there is nothing to give up."""
        return False

    def release(self, written: int) -> None:
        """See `Space.release`."""
        os.ftruncate(self._fd, written)


class Ballast:
    """Where the file system cannot preallocate: a file of zeros beside, deleted when its space is needed."""

    def __init__(self, directory: int, name: str) -> None:
        self._name = name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(name, flags, 0o600, dir_fd=directory)
        self._directory = os.dup(directory)
        self._size = 0

    def extend(self, written: int, ahead: int) -> None:
        """See `Space.extend`."""
        if self._size < ahead:
            os.posix_fallocate(self._fd, 0, ahead)
            self._size = ahead

    def room(self, written: int) -> int:
        """See `Space.room`."""
        return self._size

    def surrender(self) -> bool:
        """See `Space.surrender`."""
        held, self._size = self._size, 0
        if held:
            os.ftruncate(self._fd, 0)
        return bool(held)

    def release(self, written: int) -> None:
        """See `Space.release`."""
        os.close(self._fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._directory)
        os.close(self._directory)


class HeldFile:
    """A file that only grows, line by line, with space held ahead of its end."""

    def __init__(self, directory: int, name: str, ahead: int) -> None:
        """Create `name` in the open directory. Raises OSError: it exists, or there is no space."""
        self._directory = directory
        self.name = name
        self.written = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = os.open(name, flags, 0o600, dir_fd=directory)
        self._space: Space = Preallocated(self.fd)
        try:
            self._hold_first(ahead)
        except OSError:
            self.discard()
            raise

    def _hold_first(self, ahead: int) -> None:
        try:
            self.extend(ahead)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._space = Ballast(self._directory, f"{self.name}.ballast")
            self.extend(ahead)

    def extend(self, ahead: int) -> None:
        """Hold at least `ahead` bytes more than is written. Raises OSError."""
        self._space.extend(self.written, ahead)

    @property
    def room(self) -> int:
        """Bytes that are certain to fit."""
        return self._space.room(self.written)

    def write(self, lines: bytes) -> None:
        """Append whole lines, all of them or none. Raises OSError."""
        view = memoryview(lines)
        try:
            while view:
                view = view[self._write_some(view) :]
        except OSError:
            os.ftruncate(self.fd, self.written)
            os.lseek(self.fd, self.written, os.SEEK_SET)
            raise
        self.written += len(lines)

    def _write_some(self, view: memoryview) -> int:
        try:
            return os.write(self.fd, view)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._space.surrender():
                raise
        return os.write(self.fd, view)

    def sync(self) -> None:
        """Bring it to the disk. Raises OSError."""
        os.fdatasync(self.fd)

    def close(self) -> None:
        """Return the space that was not needed, and close; the lock of the file goes with it."""
        try:
            self._space.release(self.written)
        finally:
            os.close(self.fd)

    def discard(self) -> None:
        """Close and delete a file that never became a recording."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            os.unlink(self.name, dir_fd=self._directory)
