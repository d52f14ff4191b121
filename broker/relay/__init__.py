"""The SSH side: what comes in (`server`, `channel`, `attach`), where it goes (`door`), what it becomes
(`portal`, `session`, `runner`) and how the target is reached (`target`). I/O only; decisions are elsewhere.
"""
