"""Writing recordings: accepted cheaply on the event loop, encoded and written by one thread for all."""

from recorder.writer.live import Closed, LiveRecording
from recorder.writer.opening import open_recording
from recorder.writer.pump import RecorderPump

__all__ = ["Closed", "LiveRecording", "RecorderPump", "open_recording"]
