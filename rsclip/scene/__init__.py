"""A raster read in windows: bands, valid pixels, one stretch, another pixel size, an area."""

"""A raster read in windows: bands, valid pixels, one stretch, another pixel size, an area."""
