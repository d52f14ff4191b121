"""Strict line mode: the broker edits the line, and the shell's own editor takes nothing else.

`editor` is pure: keys in, a line and what to draw out. `prompting` hands a line that was judged to the hooked
shell in a frame that only this session can make; `gate` holds the states. While a program runs, keys go to
it as in guard mode (`gate.lines.watching`).
"""
