#!/bin/sh
# Install a headless browser for tests/browser, where there is none and this machine's packages have one.
# The tests are skipped without a browser, so a failure here is told and is no error.
for name in chromium-headless-shell chromium google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "No browser: tests/browser is skipped. On Debian: apt-get install chromium-headless-shell"
  exit 0
fi
echo "Installing a headless browser for tests/browser."
export DEBIAN_FRONTEND=noninteractive
{ timeout 60 apt-get update -qq &&
  timeout 180 apt-get install -qq -y --no-install-recommends chromium-headless-shell \
    fonts-dejavu-core fonts-wqy-zenhei; } >/dev/null 2>&1 ||
  echo "No browser could be installed: tests/browser is skipped."
