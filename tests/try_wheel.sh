#!/bin/sh
# Build the wheel, install it into an empty environment, and use it outside the repository.
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
.venv/bin/python -m pip wheel --quiet --no-deps -c constraints.txt --wheel-dir dist .
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --disable-pip-version-check --quiet -c constraints.txt dist/gptrace-*.whl
largest=20000000
test "$(wc -c < "$(ls dist/gptrace-*.whl)")" -le $largest || { echo "the wheel has more than $largest bytes"; exit 1; }
cd "$work"
venv/bin/gptrace run "Hello"
venv/bin/gptrace generate "The little girl"
