"""The fourteen land-cover classes and their label values."""

CLASSES: tuple[str, ...] = (
    "building",
    "road",
    "water",
    "forest",
    "grassland",
    "cropland",
    "bare soil",
    "parking lot",
    "sand",
    "swimming pool",
    "solar panel",
    "railway",
    "orchard",
    "greenhouse",
)

BUILDING, ROAD, WATER, FOREST, GRASSLAND, CROPLAND, BARE_SOIL = range(1, 8)
PARKING, SAND, POOL, SOLAR, RAILWAY, ORCHARD, GREENHOUSE = range(8, 15)

NODATA_LABEL = 255
