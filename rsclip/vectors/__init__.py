"""From a label raster to polygons, a strip of rows at a time.

components -> cracks -> (reshape: simplify, smooth) -> stream -> trace -> features
"""
