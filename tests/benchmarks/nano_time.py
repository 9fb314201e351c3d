"""Time of nano's image tower for a million pixels: `python tests/benchmarks/nano_time.py`.

Version 1 had 6 layers. Both take turns; the least processor time of each counts, as machines are
busy with other things too.
"""

import time

import torch

from rsclip.nano.model import NanoShape, build, encode_image

ROUNDS = 12
WINDOWS = 64
OVERLAP = 4
"""Windows that read each pixel, at the default overlap of one half."""


def main() -> None:
    """Print seconds of one core, and the ratio."""
    torch.set_num_threads(1)
    towers = {layers: build(NanoShape(layers=layers), 0).eval() for layers in (6, 9)}
    side = NanoShape().image_size
    images = torch.zeros(WINDOWS, 3, side, side)
    times: dict[int, list[float]] = {layers: [] for layers in towers}
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for layers, tower in towers.items():
                begin = time.process_time()
                encode_image(tower, images)
                times[layers].append(time.process_time() - begin)
    million = WINDOWS * side * side / OVERLAP / 1e6
    for layers, found in times.items():
        print(f"{layers} layers: {min(found) / million:.1f} s of one core for a million pixels")
    print(f"ratio: {min(times[9]) / min(times[6]):.2f}")


if __name__ == "__main__":
    main()
