"""An encoder that looks at brightness only and can be told to fail: no model is needed."""

import numpy as np

from rsclip.run.segment import Model
from rsclip.words.prompts import Query


class StubEncoder:
    """Two classes, bright and dark.

    Args:
        calls: Calls after which `fail` is called, once.
        fail: Raises.
    """

    patch = 8
    window = (64, 64)
    queries = 2

    def __init__(self, calls=None, fail=None, batch_size=2):
        self.batch_size = batch_size
        self.calls = 0
        self._fail_at, self._fail = calls, fail

    def similarities(self, images):
        self.calls += 1
        if self.calls == self._fail_at:
            self._fail()
        count, _, height, width = images.shape
        patches = images.mean(1).reshape(count, height // 8, 8, width // 8, 8).mean((2, 4))
        return np.stack([patches, 1 - patches], 1).astype(np.float32)


def loader(encoder):
    queries = [Query("bright", ("bright",), 0), Query("dark", ("dark",), 1)]
    return lambda legend, config: Model(encoder, queries, {"name": "stub"})
