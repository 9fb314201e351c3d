#!/usr/bin/env bash
# tests/wheel.sh with each newer Python that is here, and the newest rasterio that it takes.
# A Python that is absent, or whose packages cannot be had, is passed over, and it is said.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
needed_gigabytes=10
# PyTorch's default build is several gigabytes, for each Python another.
export PIP_NO_CACHE_DIR=1
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
grep -v '^rasterio' "$root/constraints.txt" > "$constraints"

for version in 3.12 3.13 3.14; do
    python=$(compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version.*/bin/python" | tail -n 1 || true)
    python=${python:-$(command -v "python$version" || true)}
    free=$(df --output=avail -BG "${TMPDIR:-/tmp}" | tail -n 1 | tr -dc 0-9)
    if [ -z "$python" ] || ! "$python" -c "import venv" 2> /dev/null; then
        echo "Python $version: passed over, it is not installed"
    elif [ "$free" -lt "$needed_gigabytes" ]; then
        echo "Python $version: passed over, $free GB are free and PyTorch may need $needed_gigabytes"
    else
        code=0
        bash "$root/tests/wheel.sh" "$python" "$constraints" || code=$?
        case $code in
            0) echo "Python $version: ok" ;;
            3) echo "Python $version: passed over, its packages cannot be installed" ;;
            *) echo "Python $version: failed"; exit 1 ;;
        esac
    fi
done
