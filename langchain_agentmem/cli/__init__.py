"""The command line, `agentmem`. Needs the extra `cli`, which brings typer and rich."""

from __future__ import annotations

import atexit
import gc
import sys

from langchain_agentmem.stop_signals import INTERRUPTED as INTERRUPTED


def main() -> None:
    """Run the command line, as the `agentmem` script does; without its packages, say how to install them."""
    try:
        from langchain_agentmem.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print('agentmem needs typer and rich: pip install "langchain-agentmem[cli]"', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # as early as this
        sys.exit(INTERRUPTED)
    # Else Python looks through everything that was imported once more before it ends: a quarter of `recall`.
    atexit.register(gc.freeze)
    app(prog_name="agentmem")
