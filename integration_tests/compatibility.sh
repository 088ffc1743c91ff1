#!/bin/sh
# Runs tests/, and the integration tests of the transport, of working memory and of agents, on the oldest and the
# newest supported redis-py, with each supported Python on the PATH (PYTHONS names others). Every combination gets a
# virtual environment in .venv-compat/, without the extra `local` and without torch, and with the newest MCP SDK.
#
#   sh integration_tests/compatibility.sh [arguments for pytest]
set -eu
cd "$(dirname "$0")/.."

# The first is the lower bound of `redis` in pyproject.toml; the second is whatever its upper bound allows.
OLDEST="redis==6.3.*"
NEWEST="redis"
TESTS="tests integration_tests/transport integration_tests/working integration_tests/agents"

pythons="${PYTHONS:-}"
if [ -z "$pythons" ]; then
  for version in 3.10 3.11 3.12 3.13; do
    ! "python$version" -c "" 2>/dev/null || pythons="$pythons python$version"  # pyenv leaves some that do not run
  done
fi
[ -n "$pythons" ] || { echo "No supported Python on the PATH: name one in PYTHONS." >&2; exit 1; }

failed=""
for python in $pythons; do
  version="$("$python" -c 'import platform; print(platform.python_version())')"
  for pin in "$OLDEST" "$NEWEST"; do
    [ "$pin" = "$OLDEST" ] && name="oldest" || name="newest"
    venv=".venv-compat/python-$version-redis-$name"
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --upgrade "pip>=25.1"
    "$venv/bin/pip" install --quiet --upgrade -e ".[embedded,upstash,demo,agents,mcp]" --group test \
      langchain-tests langmem "$pin"
    echo "== Python $version, redis-py $("$venv/bin/python" -c 'import redis; print(redis.__version__)')"
    # shellcheck disable=SC2086 # a list of folders
    "$venv/bin/python" -m pytest -q -n 2 $TESTS "$@" || failed="$failed $name-on-$version"
  done
done
[ -z "$failed" ] || { echo "Failed:$failed" >&2; exit 1; }
