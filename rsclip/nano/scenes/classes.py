"""The land-cover classes and their label values."""

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

# Only varied scenes have these; their label values follow those of CLASSES.
MORE_CLASSES: tuple[str, ...] = (
    "wetland",
    "shrubland",
    "rock",
    "snow",
    "burnt area",
    "cloud",
)

BUILDING, ROAD, WATER, FOREST, GRASSLAND, CROPLAND, BARE_SOIL = range(1, 8)
PARKING, SAND, POOL, SOLAR, RAILWAY, ORCHARD, GREENHOUSE = range(8, 15)
WETLAND, SHRUBLAND, ROCK, SNOW, BURNT, CLOUD_COVER = range(15, 21)

NODATA_LABEL = 255
