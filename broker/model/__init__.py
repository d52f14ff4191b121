"""The vocabulary every layer shares: values without behaviour that needs I/O.

Time is integer microseconds since the epoch (`at`) or of a session's own clock (`t`).
"""
