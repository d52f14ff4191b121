"""`./dev bench [SCENARIO…] [OPTIONS]`: this checkout beside direct sshd and what people use instead.

The harness is the team's own, beside the repository (`../shared/bench`); `bartizan.json` tells it how to
start this checkout as it is shipped: policy, vault and recording on. Read ratios, not absolute numbers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HARNESS = ROOT.parent / "shared" / "bench" / "sshbench.py"
SYSTEMS = "direct,proxyjump,script,bartizan"


def main() -> None:
    if not HARNESS.is_file():
        sys.exit(f"dev bench: the harness is not there ({HARNESS}); it is shared beside the repository.")
    own = Path(__file__).with_name("bartizan.json")
    arguments = sys.argv[1:] or ["connect", "echo", "bulk", "exec"]
    if not any(argument.startswith("--systems") for argument in arguments):
        arguments += ["--systems", SYSTEMS]
    os.execv(sys.executable, [sys.executable, str(HARNESS), "--json", f"bartizan={own}", *arguments])


main()
