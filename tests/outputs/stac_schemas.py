"""What the STAC extensions that an item names ask of it, as JSON schemas by address.

Written for these tests from the extensions' texts (projection 2.0, raster 2.0, classification 2.0,
mlm 1.5): the published schemas lie on the network, which tests never ask. They are stricter in one
thing: fields with an extension's prefix that the extension does not have are refused.
"""

from typing import Any

Schema = dict[str, Any]

BASE = "https://stac-extensions.github.io"
TEXT = {"type": "string", "minLength": 1}
NUMBERS = {"type": "array", "items": {"type": "number"}}
DATA_TYPE = {
    "enum": [
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *("float16", "float32", "float64", "cint16", "cint32", "cfloat32", "cfloat64", "other"),
    ]
}
TASKS = {"type": "array", "uniqueItems": True, "minItems": 1, "items": TEXT}


def only(prefix: str, fields: Schema) -> Schema:
    """Return a schema of an object whose fields with a prefix are these."""
    return {
        "type": "object",
        "properties": fields,
        "patternProperties": {f"^(?!{prefix}:)": {}},
        "additionalProperties": False,
    }


def required(*names: str, **properties: Any) -> Schema:
    return {"type": "object", "required": [*names], "properties": properties}


PROJ = only(
    "proj",
    {
        "proj:code": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9]+:[A-Za-z0-9_.-]+$"},
        "proj:wkt2": {"type": ["string", "null"]},
        "proj:projjson": {"type": ["object", "null"]},
        "proj:geometry": {"type": "object"},
        "proj:bbox": NUMBERS,
        "proj:centroid": required("lat", "lon"),
        "proj:shape": {
            "type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
        },
        "proj:transform": {**NUMBERS, "oneOf": [{"minItems": n, "maxItems": n} for n in (6, 9)]},
    },
)  # fmt: skip
# Version 2 leaves type, nodata and unit to the common `bands`.
BAND = {
    **only("raster", {"raster:sampling": {"enum": ["area", "point"]}}),
    "minProperties": 1,
}
BAND["properties"] |= {
    "data_type": DATA_TYPE,
    "nodata": {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]},
    "unit": TEXT,
}
RASTER = only("raster", {})
RASTER["properties"] = {"bands": {"type": "array", "minItems": 1, "items": BAND}}
CLASSES = {
    "type": "array",
    "uniqueItems": True,
    "minItems": 1,
    "items": required(
        "value",
        "name",
        value={"type": "integer"},
        name={"type": "string", "pattern": "^[0-9A-Za-z_-]+$"},
        title=TEXT,
        description=TEXT,
        color_hint={"type": "string", "pattern": "^[0-9A-F]{6}$"},
        nodata={"type": "boolean"},
        percentage={"type": "number", "minimum": 0, "maximum": 100},
        count={"type": "integer", "minimum": 0},
    ),
}
CLASSIFICATION = only(
    "classification", {"classification:classes": CLASSES, "classification:bitfields": {}}
)
TENSOR = required(
    "shape",
    "dim_order",
    "data_type",
    shape={"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": -1}},
    dim_order={
        "type": "array", "minItems": 1, "uniqueItems": True,
        "items": {"type": "string", "pattern": "^[a-z_-]+$"},
    },
    data_type=DATA_TYPE,
)  # fmt: skip
MLM = {
    **required("mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"),
    "properties": {
        "mlm:name": {"type": "string", "pattern": "^[a-zA-Z][a-zA-Z0-9_. -]+[a-zA-Z0-9]$"},
        "mlm:architecture": TEXT,
        "mlm:framework": TEXT,
        "mlm:tasks": TASKS,
        "mlm:pretrained": {"type": "boolean"},
        "mlm:input": {
            "type": "array",
            "items": required(
                "name", "bands", "input", name=TEXT, bands={"type": "array"}, input=TENSOR
            ),
        },
        "mlm:output": {
            "type": "array",
            "items": required(
                "name", "tasks", "result",
                name=TEXT, tasks=TASKS, result=TENSOR, **{"classification:classes": CLASSES},
            ),
        },
        "mlm:hyperparameters": {
            "type": "object", "minProperties": 1,
            "patternProperties": {"^[0-9a-zA-Z_.-]+$": {}}, "additionalProperties": False,
        },
    },
}  # fmt: skip
# At least one asset is the model, and says of what kind its file is.
NO_MODEL = {
    "not": required(
        "roles", "mlm:artifact_type", roles={"type": "array", "contains": {"const": "mlm:model"}}
    )
}


def _item(address: str, properties: Schema, assets: Schema, **more: Schema) -> Schema:
    whole = required(
        "type",
        "properties",
        "assets",
        "stac_extensions",
        type={"const": "Feature"},
        properties=properties,
        assets={"type": "object", "additionalProperties": assets},
        stac_extensions={"type": "array", "contains": {"const": address}},
    )
    return {"$schema": "http://json-schema.org/draft-07/schema#", "$id": address, **whole, **more}


def _address(name: str) -> str:
    return f"{BASE}/{name}/schema.json"


_MODEL_ASSET = {"not": required(assets={"type": "object", "additionalProperties": NO_MODEL})}

SCHEMAS = {
    schema["$id"]: schema
    for schema in (
        _item(_address("projection/v2.0.0"), PROJ, PROJ),
        _item(_address("raster/v2.0.0"), {}, RASTER),
        _item(_address("classification/v2.0.0"), CLASSIFICATION, CLASSIFICATION),
        _item(_address("mlm/v1.5.0"), MLM, {}, allOf=[_MODEL_ASSET]),
    )
}
