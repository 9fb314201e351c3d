#!/usr/bin/env bash
# Build the wheel, install it into an empty environment and use it outside the checkout.
#   tests/wheel.sh [PYTHON [CONSTRAINTS]]; exit code 3: what it depends on cannot be installed.
set -euo pipefail
python=${1:-python3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
constraints=$(realpath "${2:-$root/constraints.txt}")

# From the committed tree: leftovers of a build in the checkout would slip into the wheel.
mkdir "$work/src"
git -C "$root" archive HEAD | tar -x -C "$work/src"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" "$work/src" || exit 3
"$python" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --no-deps "$work"/dist/*.whl
"$work/env/bin/pip" install --quiet --constraint "$constraints" "$work"/dist/*.whl || exit 3
cd "$work"
"$work/env/bin/python" -m pip check
"$work/env/bin/rsclip" --help
"$work/env/bin/rsclip" segment --help > /dev/null
"$work/env/bin/rio" rsclip --version
"$work/env/bin/python" - <<'PY'
import importlib.util
from rsclip.files import config_path, data_path
from rsclip.words.legend import load_legend
assert importlib.util.find_spec("cli") is None, "cli/ must not install as a module named cli"
assert importlib.util.find_spec("configs") is None
assert importlib.util.find_spec("rsclip.nano") is None, "the training of nano needs a checkout"
assert len(load_legend("set:landcover").foreground) == 14
assert config_path("templates", "imagenet80.txt").is_file()
assert data_path("nano", "open_clip_model.safetensors").is_file(), "nano is not in the wheel"
PY
"$work/env/bin/rsclip" segment "$root/sample_tiles/town_river.tif" --classes set:landcover \
    --model nano --quiet -o "$work/out"
test -s "$work/out/town_river_mask.tif"
mkdir "$work/qgis"
"$work/env/bin/rsclip" qgis install --qgis-home "$work/qgis"
grep -q "$work/env/bin/rsclip" "$work"/qgis/profiles/default/python/plugins/rsclip_qgis/installed.json
test -s "$work/qgis/profiles/default/python/plugins/rsclip_qgis/icon.svg"
echo "wheel: ok"
