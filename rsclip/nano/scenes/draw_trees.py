"""Forests, orchards and single trees: crowns lit from the sun's side."""

from dataclasses import replace

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Patch, Trees
from rsclip.nano.scenes.classes import BARE_SOIL, FOREST, GRASSLAND, ORCHARD, PARKING, SAND
from rsclip.nano.scenes.noise import Array
from rsclip.nano.scenes.palette import TREES, jitter, pick

OPEN_GROUND = (GRASSLAND, BARE_SOIL, PARKING, SAND)


def _lattice(canvas: Canvas, patch: Patch, step: float, wobble: float) -> tuple[Array, Array]:
    """Points about `step` metres apart in the patch; x and y in metres."""
    rng = canvas.rng
    rows, cols = patch.window
    top, bottom = rows.start * canvas.gsd, rows.stop * canvas.gsd
    left, right = cols.start * canvas.gsd, cols.stop * canvas.gsd
    ys = np.arange(top + step / 2, bottom, step, dtype=np.float32)
    xs = np.arange(left + step / 2, right, step, dtype=np.float32)
    x, y = np.meshgrid(xs, ys)
    x[1::2] += np.float32(step / 2)
    x += (rng.random(x.shape, np.float32) - np.float32(0.5)) * np.float32(wobble * step)
    y += (rng.random(y.shape, np.float32) - np.float32(0.5)) * np.float32(wobble * step)
    return _inside(canvas, patch, x.ravel(), y.ravel())


def _inside(canvas: Canvas, patch: Patch, x: Array, y: Array) -> tuple[Array, Array]:
    """The points that fall on the patch's pixels."""
    rows, cols = patch.window
    row = np.floor(y / np.float32(canvas.gsd)).astype(np.intp) - rows.start
    col = np.floor(x / np.float32(canvas.gsd)).astype(np.intp) - cols.start
    tall, wide = patch.shape
    good = (row >= 0) & (row < tall) & (col >= 0) & (col < wide)
    good[good] = patch.mask[row[good], col[good]]
    return x[good], y[good]


def draw_forest(canvas: Canvas, patch: Patch) -> None:
    """Closed canopy over dark ground; the crowns are drawn by `paint_trees`."""
    rng, palette = canvas.rng, canvas.palette
    cone = bool(rng.random() < palette.conifer * 0.7)
    step = 3.4 + (1.2 if cone else 3.4) * rng.random()
    floor = jitter(rng, palette.trees[0] * np.float32(0.45))
    shade = 1 + canvas.cut(0, patch.shape) * np.float32(0.15)
    canvas.fill(patch, FOREST, floor, shade)
    x, y = _lattice(canvas, patch, step, 0.75)
    radius = np.float32(step) * (
        np.float32(0.5) + np.float32(0.28) * rng.random(x.size, np.float32)
    )
    colours = palette.trees if rng.random() < 0.7 else palette.trees[:1]
    height = 9 + 7 * rng.random()
    canvas.trees.append(Trees(x, y, radius, FOREST, colours, cone, height, (FOREST,)))


def draw_orchard(canvas: Canvas, patch: Patch) -> None:
    """Equal round crowns in a square grid along the parcel, over grass or tilled soil."""
    rng, palette, shape = canvas.rng, canvas.palette, patch.shape
    ground = palette.grass if rng.random() < 0.5 else palette.soil
    shade = 1 + canvas.cut(1, shape) * np.float32(0.05) + canvas.cut(-1, shape) * np.float32(0.05)
    canvas.fill(patch, ORCHARD, jitter(rng, ground, 0.15), shade)
    step_u = 4.0 + 3.5 * rng.random()
    step_v = step_u * (1.0 + 0.4 * rng.random())
    us, vs = np.meshgrid(
        np.arange(step_u / 2 - patch.half_u, patch.half_u, step_u),
        np.arange(step_v / 2 - patch.half_v, patch.half_v, step_v),
    )
    # The patch's frame may be turned: its axes are read off the u and v of three pixels.
    u0, v0 = float(patch.u[0, 0]), float(patch.v[0, 0])
    tall, wide = shape
    du = (
        (float(patch.u[0, -1]) - u0) / max(1, wide - 1),
        (float(patch.u[-1, 0]) - u0) / max(1, tall - 1),
    )
    scale = du[0] * du[0] + du[1] * du[1]
    if scale <= 0:
        return
    a, b = us.ravel() - u0, vs.ravel() - v0
    cols = (a * du[0] - b * du[1]) / scale + patch.window[1].start + 0.5
    rows = (a * du[1] + b * du[0]) / scale + patch.window[0].start + 0.5
    x = (cols * canvas.gsd + 0.25 * rng.standard_normal(cols.size)).astype(np.float32)
    y = (rows * canvas.gsd + 0.25 * rng.standard_normal(rows.size)).astype(np.float32)
    x, y = _inside(canvas, patch, x, y)
    kept = rng.random(x.size) < 0.97
    x, y = x[kept], y[kept]
    base = np.float32(step_u * (0.30 + 0.14 * rng.random()))
    radius = base * (np.float32(0.9) + np.float32(0.2) * rng.random(x.size, np.float32))
    colour = jitter(rng, palette.trees[0], 0.2) if rng.random() < 0.6 else pick(rng, TREES)
    canvas.trees.append(Trees(x, y, radius, ORCHARD, (colour,), False, 3.5, (ORCHARD,)))


def scatter_trees(canvas: Canvas, patch: Patch, count: int) -> None:
    """Single trees of 2.5 to 5 m radius at random places of the patch that are not locked."""
    rng = canvas.rng
    if count <= 0:
        return
    rows, cols = patch.window
    x = (cols.start + (cols.stop - cols.start) * rng.random(count, np.float32)) * canvas.gsd
    y = (rows.start + (rows.stop - rows.start) * rng.random(count, np.float32)) * canvas.gsd
    open_ground = patch.only(~canvas.locked[patch.window])
    x, y = _inside(canvas, open_ground, x.astype(np.float32), y.astype(np.float32))
    radius = np.float32(2.5) + np.float32(2.5) * rng.random(x.size, np.float32)
    canvas.trees.append(Trees(x, y, radius, FOREST, canvas.palette.trees, False, 7.0, OPEN_GROUND))


def _still_standing(canvas: Canvas, trees: Trees) -> Trees:
    """The crowns whose middle still lies on the ground they were planted on."""
    rows, cols = canvas.labels.shape
    row = np.clip(np.floor(trees.y / np.float32(canvas.gsd)).astype(np.intp), 0, rows - 1)
    col = np.clip(np.floor(trees.x / np.float32(canvas.gsd)).astype(np.intp), 0, cols - 1)
    kept = np.isin(canvas.labels[row, col], trees.ground)
    return replace(trees, x=trees.x[kept], y=trees.y[kept], radius=trees.radius[kept])


def paint_trees(canvas: Canvas) -> None:
    """Draw all crowns collected on the canvas, the higher over the lower."""
    if not canvas.trees:
        return
    groups = [_still_standing(canvas, group) for group in canvas.trees]
    x = np.concatenate([group.x for group in groups])
    if not x.size:
        return
    y = np.concatenate([group.y for group in groups])
    radius = np.concatenate([group.radius for group in groups])
    sizes = [group.x.size for group in groups]
    label = np.repeat(np.array([group.label for group in groups], np.uint8), sizes)
    cone = np.repeat(np.array([group.cone for group in groups]), sizes)
    tall = np.repeat(np.array([group.height for group in groups], np.float32), sizes)
    rng = canvas.rng
    colour = np.concatenate(
        [
            np.array(group.colours, np.float32)[rng.integers(0, len(group.colours), group.x.size)]
            for group in groups
        ]
    )
    colour *= np.float32(1) + np.float32(0.12) * rng.standard_normal((x.size, 1), dtype=np.float32)
    top = tall * (np.float32(0.8) + np.float32(0.4) * rng.random(x.size, np.float32))

    owner = _splat(canvas, x, y, radius, top)
    pixels = np.flatnonzero(owner >= 0)
    tree = owner[pixels]
    cols = canvas.labels.shape[1]
    dx = (canvas.x[0][pixels % cols] - x[tree]) / radius[tree]
    dy = (canvas.y[:, 0][pixels // cols] - y[tree]) / radius[tree]
    far = np.minimum(dx * dx + dy * dy, 1)
    sun = canvas.palette.sun
    up = np.where(cone[tree], np.float32(0.6), np.sqrt(1 - far * np.float32(0.85)))
    lit = dx * np.float32(sun[0]) + dy * np.float32(sun[1]) + up * np.float32(sun[2])
    grain = canvas.bank.white[: canvas.labels.shape[0], :cols].ravel()[pixels] * np.float32(0.09)
    leaves = canvas.bank.fields[0][: canvas.labels.shape[0], :cols].ravel()[pixels]
    shade = np.clip(np.float32(0.42) + np.float32(0.85) * lit, 0.25, 1.6)
    shade = shade * (1 + grain + leaves * np.float32(0.13))
    for band in range(4):
        canvas.refl[band].reshape(-1)[pixels] = colour[tree, band] * shade
    canvas.labels.reshape(-1)[pixels] = label[tree]
    heights = top[tree] * (1 - far * np.where(cone[tree], np.float32(0.6), np.float32(0.35)))
    canvas.height.reshape(-1)[pixels] = np.maximum(heights, canvas.height.reshape(-1)[pixels])


def _splat(canvas: Canvas, x: Array, y: Array, radius: Array, top: Array) -> np.ndarray:
    """Number of the crown seen in each pixel, (H * W,) int64, -1 for none."""
    rows, cols = canvas.labels.shape
    gsd = np.float32(canvas.gsd)
    best = np.full(rows * cols, -1, np.int64)
    reach = np.ceil(radius / gsd).astype(np.intp)
    for size in np.unique(reach):
        some = np.flatnonzero(reach == size)
        span = np.arange(-size, size + 1)
        row = np.floor(y[some] / gsd).astype(np.intp)[:, None, None] + span[None, :, None]
        col = np.floor(x[some] / gsd).astype(np.intp)[:, None, None] + span[None, None, :]
        dy = (row.astype(np.float32) + np.float32(0.5)) * gsd - y[some][:, None, None]
        dx = (col.astype(np.float32) + np.float32(0.5)) * gsd - x[some][:, None, None]
        far = (dx * dx + dy * dy) / (radius[some] * radius[some])[:, None, None]
        good = (far <= 1) & (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        tall = top[some][:, None, None] * (1 - np.float32(0.5) * far)
        # Height in the upper bits and the crown's number in the lower: the maximum keeps both.
        key = ((tall * 1000).astype(np.int64) << 24) | some[:, None, None]
        np.maximum.at(best, (row * cols + col)[good], key[good])
    return np.where(best >= 0, best & 0xFFFFFF, -1)
