#!/bin/sh
# Installs the programs that some tests need and pip cannot bring: a browser, node, and redis-cli. Only as
# root on Debian and its like; elsewhere those tests skip and say why.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
command -v redis-cli >/dev/null 2>&1 || missing="$missing redis-tools"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Not installed:$missing. Tests that need them are skipped."
  exit 0
fi
echo "Installing$missing ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
apt-get install -y -qq --no-install-recommends $missing >/dev/null
