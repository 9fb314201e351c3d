"""Calls that mypy checks: it refuses an ignored error that is none (`make types`)."""

import rsclip
from rsclip.study.diagnose import study


def right() -> None:
    rsclip.segment("a.tif", "water", overlap=0.25)
    rsclip.compare("a.tif", "water", "clip", overlap=0.25, sieve=4, model="nano")
    rsclip.polygonize("a.tif", smooth=True)
    rsclip.write_polygons("a.tif", overwrite=True)
    rsclip.distill("nano", "images", "student", gsd=0.5, resume=True)
    rsclip.suggest("a.tif", "b.gpkg", classes="water", gsd=0.5)
    rsclip.calibrate("a.tif", "few.gpkg", "water, soil", "tuned.yaml", logit_scale=40)
    rsclip.evaluate_dataset("loveda", "root", models=["nano"], threshold=0.5)
    rsclip.try_settings("a.tif", "b.tif", "water", block=64)
    study("a.tif", "out", window=224)


def wrong() -> None:
    rsclip.segment("a.tif", "water", overlapp=0.25)  # type: ignore[call-arg]
    rsclip.compare("a.tif", "water", "clip", preview=True)  # type: ignore[call-arg]
    rsclip.polygonize("a.tif", smooth="yes")  # type: ignore[arg-type]
    rsclip.polygonize("a.tif", overwrite=True)  # type: ignore[call-arg]
    rsclip.distill("nano", "images", "student", model="nano")  # type: ignore[call-arg]
    rsclip.suggest("a.tif", "b.gpkg", threshold=0.5)  # type: ignore[call-arg]
    rsclip.calibrate("a.tif", "few.gpkg", "water", "c.yaml", sieve=4)  # type: ignore[call-arg]
    rsclip.evaluate_dataset("loveda", "root", preview=True)  # type: ignore[call-arg]
    rsclip.try_settings("a.tif", "b.tif", "water", blocks=64)  # type: ignore[call-arg]
    study("a.tif", "out", threshold=0.5)  # type: ignore[call-arg]
