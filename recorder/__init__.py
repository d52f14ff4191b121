"""Recordings of terminal sessions: written as they happen, read back exactly, replayed on any screen.

A recording is two files with one clock. `<id>.cast` is plain asciicast v2, so any player reads it;
`<id>.events` is JSON Lines and keeps what a cast cannot: requests, decisions, exact bytes of invalid UTF-8,
how it ended. The package knows nothing of the broker and works offline. From the bottom up: `cast` (the
formats), `screen` (the terminal emulator), `writer`, `reader` and `salvage` (the files), `replay` (the model
of a player).
"""
