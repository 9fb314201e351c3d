"""Joint bilateral upsampling against the formula, pixel by pixel; windows change nothing."""

import numpy as np
import pytest

from rsclip.errors import OptionError
from rsclip.labelling.bilateral import Guide, JointBilateral, parse_upsampling
from rsclip.types import Rows, Window


class Case:
    """A patch grid over an image whose working pixels are `scale` of its own."""

    def __init__(self, shape, patch, scale=1.0, reach=2, queries=3, seed=0):
        rng = np.random.default_rng(seed)
        self.shape, self.patch, self.reach, self.cell = shape, patch, reach, patch * scale
        self.cells = tuple(int(np.ceil(side / self.cell)) for side in shape)
        self.image = rng.uniform(0.3, 0.5, (3, *shape)).astype(np.float32)
        self.valid = np.ones(shape, bool)
        working = tuple(cell * patch for cell in self.cells)
        self.working = rng.uniform(0.3, 0.5, (3, *working)).astype(np.float32)
        self.working_valid = np.ones(working, bool)
        self.similarities = rng.normal(size=(queries, *self.cells)).astype(np.float32)
        self.covered = np.ones(self.cells, bool)

    def part(self, window, patch=1):
        return np.s_[window.row * patch : window.row_stop * patch,
                     window.col * patch : window.col_stop * patch]  # fmt: skip

    def patches(self, window):
        part = self.part(window, self.patch)
        return self.working[:, *part], self.working_valid[part]

    def pixels(self, window):
        return self.image[:, *self.part(window)], self.valid[self.part(window)]

    def upsampler(self):
        guide = Guide(self.pixels, self.patches)
        return JointBilateral(self.shape, self.cells, (self.cell,) * 2, guide, self.reach)

    def values(self, *window):
        rows = Rows(0, self.similarities, self.covered)
        values, cover = self.upsampler().values(rows, Window(*(window or (0, 0, *self.shape))))
        return np.stack([values(each) for each in range(len(self.similarities))]), cover

    def formula(self, row, col):
        """The sums of one pixel as they are written; None where nothing counts."""
        total, weights = 0.0, 0.0
        place = (np.array([row, col]) + 0.5) / self.cell
        own = np.floor(place).astype(int)
        for r in range(max(own[0] - self.reach, 0), min(own[0] + self.reach + 1, self.cells[0])):
            for c in range(
                max(own[1] - self.reach, 0), min(own[1] + self.reach + 1, self.cells[1])
            ):
                part = self.part(Window(r, c, 1, 1), self.patch)
                valid = self.working_valid[part]
                if not valid.any() or not self.covered[r, c]:
                    continue
                colour = self.working[:, *part][:, valid].mean(axis=1, dtype=float)
                away = np.square(place - 0.5 - [r, c]).sum() / (2 * (self.reach / 2) ** 2)
                unlike = np.square(self.image[:, row, col] - colour).mean() / (2 * 0.1**2)
                weight = np.exp(-away - unlike)
                total, weights = total + weight * self.similarities[:, r, c], weights + weight
        return total / weights if weights else None


@pytest.mark.parametrize(
    ("shape", "patch", "scale", "reach"),
    [
        ((40, 56), 8, 1, 2), ((33, 45), 16, 1, 1), ((50, 30), 20, 1, 5),
        ((41, 37), 8, 1.3, 3), ((13, 9), 8, 0.08, 1), ((1, 1), 8, 1, 4), ((90, 40), 4, 10, 2),
    ],
)  # fmt: skip
def test_the_formula(shape, patch, scale, reach):
    case = Case(shape, patch, scale, reach)
    found, cover = case.values()
    assert cover is None
    rng = np.random.default_rng(1)
    for _ in range(60):
        row, col = (int(rng.integers(side)) for side in shape)
        np.testing.assert_allclose(found[:, row, col], case.formula(row, col), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("patch", "scale"), [(8, 1), (14, 1), (20, 1), (8, 1.3), (8, 0.3), (8, 6)])
def test_a_window_changes_no_last_bit(patch, scale):
    case = Case((150, 170), patch, scale, reach=3, queries=7)
    case.covered[: len(case.covered) // 3, 5:] = False
    case.working_valid[: case.patch * 4, : case.patch * 3] = False
    whole, cover = case.values()
    rng = np.random.default_rng(0)
    for _ in range(12):
        row, col = int(rng.integers(150)), int(rng.integers(170))
        height, width = int(rng.integers(1, 151 - row)), int(rng.integers(1, 171 - col))
        part = np.s_[row : row + height, col : col + width]
        found, some = case.values(row, col, height, width)
        np.testing.assert_array_equal(found, whole[:, *part])
        if some is not None:
            np.testing.assert_array_equal(some > 0, cover[part] > 0)


def test_what_is_not_known_counts_for_nothing():
    case = Case((64, 64), 8)
    case.covered[:, 2] = False
    case.working_valid[:, 40:48] = False
    case.working_valid[3, 20] = False
    found, _ = case.values()
    for row, col in [(5, 17), (20, 40), (30, 44), (63, 30), (3, 28)]:
        np.testing.assert_allclose(found[:, row, col], case.formula(row, col), rtol=0, atol=2e-5)
    # Whatever stands there.
    case.similarities[:, :, [2, 5]] = 1e6
    case.working[:, :, 40:48] = 1e3
    case.working[:, 3, 20] = 0.99
    np.testing.assert_array_equal(case.values()[0], found)


def test_where_nothing_is_known_nothing_is_covered():
    case = Case((64, 96), 8, reach=1)
    case.covered[:, 4:] = False
    found, cover = case.values()
    np.testing.assert_array_equal(cover > 0, np.arange(96) < 40 + np.zeros((64, 1)))
    assert np.isfinite(found).all()


def test_borders_lie_where_the_image_changes():
    """A guess whose patches straddle an edge comes to follow it to the pixel."""
    case = Case((96, 96), 8, queries=1)
    edge = 40 + (np.arange(96) // 12)[:, None]
    truth = np.arange(96) >= edge
    case.image[:] = case.working[:] = np.where(truth, 0.8, 0.2)
    shares = truth.reshape(12, 8, 12, 8).mean(axis=(1, 3))
    case.similarities[0] = np.where(shares > 0.5, 1, -1)
    found = case.values()[0][0]
    plain = np.repeat(np.repeat(case.similarities[0], 8, 0), 8, 1)
    assert ((plain > 0) == truth).mean() < 0.98
    assert ((found > 0) == truth).mean() > 0.999


def test_how_it_is_written():
    assert [parse_upsampling(text) for text in ("bilinear", "jbu", " jbu: 5 ", "jbu:10")] == [
        0, 3, 5, 10
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "nearest", "jbu:", "jbu:0", "jbu:11", "jbu:2.5", "jbu:-1", "bilinear:2", "JBU"]
)
def test_what_is_no_upsampling(text):
    with pytest.raises(OptionError, match=r"upsample.*bilinear, jbu, or jbu:5"):
        parse_upsampling(text)
