"""Calls that mypy checks: it refuses an ignored error that is none (`make types`)."""

import rsclip
from rsclip.study.diagnose import study


def right() -> None:
    rsclip.segment("a.tif", "water", overlap=0.25)
    rsclip.compare("a.tif", "water", "clip", overlap=0.25, sieve=4, model="nano")
    rsclip.polygonize("a.tif", smooth=True)
    rsclip.write_polygons("a.tif", overwrite=True)
    study("a.tif", "out", window=224)


def wrong() -> None:
    rsclip.segment("a.tif", "water", overlapp=0.25)  # type: ignore[call-arg]
    rsclip.compare("a.tif", "water", "clip", preview=True)  # type: ignore[call-arg]
    rsclip.polygonize("a.tif", smooth="yes")  # type: ignore[arg-type]
    rsclip.polygonize("a.tif", overwrite=True)  # type: ignore[call-arg]
    study("a.tif", "out", threshold=0.5)  # type: ignore[call-arg]
