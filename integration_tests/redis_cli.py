"""The real redis-cli, where there is one."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from langchain_agentmem.embedded.binaries import find_candidates


@cache
def redis_cli() -> Path | None:
    """A redis-cli that runs here: on the PATH, or beside a server that the package finds."""
    on_path = shutil.which("redis-cli")
    beside = [one.server.with_name("redis-cli") for one in find_candidates(search=True)]
    for found in [*([Path(on_path)] if on_path else []), *beside]:
        if found.is_file() and not subprocess.run([found, "--version"], capture_output=True).returncode:
            return found
    return None
