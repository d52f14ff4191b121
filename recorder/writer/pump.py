"""The one thread that writes all live recordings."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from recorder.writer.live import LiveRecording, ignore

_log = logging.getLogger(__name__)


class RecorderPump:
    """Writes what is pending in batches, and brings each recording to the disk at least every second.

    Only recordings with something pending are looked at, so hundreds of quiet ones cost nothing.

    A recording that fails takes no other with it; its `on_fail` is called on this thread.
    """

    def __init__(self, window: float = 0.050, sync_every: float = 1.0) -> None:
        """window: seconds in which output is gathered into one batch. sync_every: seconds between fsyncs."""
        self._window, self._sync_every = window, sync_every
        self._live: dict[LiveRecording, None] = {}
        self._dirty: deque[LiveRecording] = deque()
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._urgent = threading.Event()
        self._stopping = False
        self._synced = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write and sync everything pending, then end the thread. Blocks."""
        self._stopping = True
        self._urgent.set()
        self._work.set()
        self._thread.join()

    def register(self, recording: LiveRecording) -> None:
        """Write this recording from now on."""
        with self._lock:
            self._live[recording] = None
        recording.hooks.wake = partial(self._wake, recording)
        self._wake(recording, False)

    def unregister(self, recording: LiveRecording) -> None:
        """Leave this recording alone; what is still pending is written by its `close`."""
        recording.hooks.wake = ignore
        with self._lock:
            self._live.pop(recording, None)

    def _wake(self, recording: LiveRecording, urgent: bool) -> None:
        if not recording.queued:
            recording.queued = True
            self._dirty.append(recording)
        if urgent and not self._urgent.is_set():
            self._urgent.set()
        if not self._work.is_set():
            self._work.set()

    def _run(self) -> None:
        while not self._stopping:
            self._work.wait(self._patience())
            if self._work.is_set():
                self._urgent.wait(self._window)
            self._flush()
            if time.monotonic() - self._synced >= self._sync_every:
                self._sync()
        self._flush()
        self._sync()

    def _patience(self) -> float | None:
        if not any(recording.unsynced for recording in self._registered()):
            return None
        return max(0.0, self._synced + self._sync_every - time.monotonic())

    def _registered(self) -> list[LiveRecording]:
        with self._lock:
            return list(self._live)

    def _flush(self) -> None:
        self._work.clear()
        self._urgent.clear()
        for _ in range(len(self._dirty)):
            recording = self._dirty.popleft()
            recording.queued = False  # before the flush: what comes during it queues it again
            self._guarded(recording, recording.flush)

    def _sync(self) -> None:
        """A slow disk must not hold up the batches of other sessions: they are written in between."""
        self._synced = time.monotonic()
        for recording in self._registered():
            if recording.unsynced:
                self._guarded(recording, recording.sync)
                if self._work.is_set():
                    self._flush()

    def _guarded(self, recording: LiveRecording, action: Callable[[], None]) -> None:
        """Any other error than the disk's is a bug: it ends this recording only."""
        try:
            action()
        except Exception as error:
            _log.exception("recording failed")
            self._guarded_fail(recording, error)

    def _guarded_fail(self, recording: LiveRecording, error: Exception) -> None:
        try:
            recording.fail(error)
        except Exception:
            _log.exception("the callback of a failed recording failed")
