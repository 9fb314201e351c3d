"""`rsclip models list`, `info` and `bundle`: which models there are, and facts of each."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsclip.errors import ModelError
from rsclip.files import check_new_file, is_forbidden
from rsclip.model.checks import check_config
from rsclip.model.open_clip_catalog import open_clip_catalog
from rsclip.model.weights.architecture import (
    Architecture,
    activation,
    architecture_of,
    is_open_activation,
)
from rsclip.model.weights.bundle import write_bundle
from rsclip.model.weights.files import file_sha256, looks_whole
from rsclip.model.weights.find import find_model, model_outline
from rsclip.model.weights.names import CONFIG_NAME, HUB, NANO, ModelName, parse_name
from rsclip.model.weights.origin import Origin, cached_weights, known_sha256, origin_of
from rsclip.model.weights.registry import Vit, checkpoints, vits
from rsclip.model.weights.second import (
    load_second_vit,
    read_second_vit,
    second_vit_of,
    vit_weights,
)

__all__ = ["ListedModel", "bundle_model", "describe_model", "list_models"]

# The same weights as without it: our own choice of activation follows the tag.
_TWIN = "-quickgelu"
_FLOAT_MB = 4 / 2**20


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can be named.

    Attributes:
        name: What --model takes.
        patch: Side of a patch in pixels.
        image: Side of the window it was trained on, in pixels.
        megabytes: Its weights in memory (float32), roughly.
        licence: Of the weights, "" if unknown.
        path: Where its weights are on this machine, or None.
        size: Of that file in bytes, or None.
        sha256: Of that file, or None.
        damaged: That file is cut short, or no weights at all: seen without reading it whole.
    """

    name: str
    patch: int
    image: int
    megabytes: int
    licence: str
    path: str | None
    size: int | None
    sha256: str | None
    damaged: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def _listed_vits() -> Iterator[ListedModel]:
    for row in vits().values():
        place = _place(vit_weights(row), hashed=False)
        megabytes = round(row.parameters * _FLOAT_MB)
        yield ListedModel(row.name, row.patch, row.image, megabytes, row.licence, **place)


def list_models(*, here: bool = False) -> list[ListedModel]:
    """Return every model that can be named: nano, aliases, open_clip's, fetched ones, second ViTs.

    Args:
        here: Only models whose weights are on this machine.

    Raises:
        ModelError: A registry file is broken.
    """
    clips = (item for name in _known_names() for item in _listed(name))
    return [item for item in (*clips, *_listed_vits()) if item.path or not here]


def describe_model(name: str, weights: str | Path | None = None) -> dict[str, Any]:
    """Return what is known of a model: plain values, ready for JSON.

    Args:
        name: As `load_backbone` takes it; its weights need not be here, except for hf-hub: names.
        weights: A file of weights in place of its own.

    Raises:
        ModelError: The name is unknown, or the file does not say what it is.
    """
    if (row := second_vit_of(name, weights)) is not None:
        path = vit_weights(row) if weights is None else Path(weights)
        return {**_vit_facts(row), **_place(path)}
    if weights is not None:
        files = find_model(name, weights)
        if files.bundle is not None:
            # Reading it compares its tensors with its hash.
            files.read()
        elif not looks_whole(files.weights):
            raise ModelError("the weights are cut short or damaged", where=files.weights)
        facts = _tower_facts(files.name, files.architecture)
        about = files.bundle.facts if files.bundle else {}
        return {
            **facts,
            "licence": about.get("licence", ""),
            "source": about.get("source", ""),
            "bundle": files.bundle is not None,
            **_place(files.weights),
        }
    parsed = parse_name(name)
    architecture = architecture_of(parsed)
    check_config(architecture.config, name)
    origin = origin_of(parsed)
    bare: dict[str, Any] = {}
    if parsed.kind == "arch" and parsed.tag is None:
        bare["tags"] = open_clip_catalog().list_pretrained_tags_by_model(parsed.arch)
        if is_open_activation(parsed.arch):
            # Weights of one architecture were trained with either: a run would not guess.
            bare["activation"] = "that of the weights"
    return {
        **_tower_facts(name, architecture),
        **bare,
        "licence": "Apache-2.0" if name == NANO else origin.licence,
        "source": "rsclip, drawn scenes and open imagery" if name == NANO else origin.source,
        "repository": origin.repository or origin.url,
        **_place(_weights_here(parsed)),
    }


def bundle_model(
    name: str, output: str | Path, weights: str | Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write a model that is on this machine into one file that another machine can use.

    Args:
        name: As `load_backbone` takes it.
        output: The file, best ending in .safetensors.
        weights: A file of weights in place of its own.
        overwrite: Replace a file that exists.

    Returns:
        The file.

    Raises:
        ModelError: The model is not here, or is damaged.
        OutputError: The file exists or cannot be written.
    """
    # Before the work: a model takes its time to load.
    path = check_new_file(output, "model.safetensors", overwrite=overwrite)
    if (row := second_vit_of(name, weights)) is not None:
        return _bundle_vit(row, path, weights, overwrite=overwrite)
    from rsclip.model.weights.load import load_backbone

    # Loaded once: what would not load there shall not be carried there.
    backbone = load_backbone(name, weights)
    files = find_model(name if weights is not None else backbone.name, weights)
    if files.architecture.blip is not None:
        raise ModelError(
            "a BLIP cannot be bundled: its tokenizer is a file of its own",
            where=files.architecture.blip,
            remedy="To use it on another machine, carry its folder there.",
        )
    # "auto" is known by what it stood for.
    about = describe_model(name if weights is not None else files.name, weights)
    facts = {
        "name": files.name,
        "model_cfg": dict(files.architecture.config),
        "preprocess_cfg": {"mean": list(backbone.mean), "std": list(backbone.std)},
        "licence": about["licence"],
        "source": about["source"],
        "repository": about.get("repository", ""),
        "file_sha256": backbone.weights_sha256,
        "vocabulary": files.vocabulary,
        **asdict(files.architecture.defaults),
    }
    write_bundle(path, files.read(), facts, overwrite=overwrite)
    return path


def _bundle_vit(row: Vit, path: Path, weights: str | Path | None, *, overwrite: bool) -> Path:
    # Loaded as a run would: what would not load there shall not be carried there.
    found = load_second_vit(row.name if weights is None else str(weights))
    about = _vit_facts(row)
    kept = ("name", "timm", "licence", "source", "repository")
    facts = {**{key: about[key] for key in kept}, "file_sha256": found.weights_sha256}
    write_bundle(path, read_second_vit(Path(found.source)), facts, overwrite=overwrite)
    return path


def _vit_facts(row: Vit) -> dict[str, Any]:
    return {
        "name": row.name,
        "timm": row.timm,
        "patch": row.patch,
        "image": row.image,
        "image_tower": {"layers": 12, "width": row.width},
        "licence": row.licence,
        "source": row.source,
        "repository": row.repository,
    }


def _known_names() -> Iterator[str]:
    yield NANO
    yield from checkpoints()
    for arch, tag in open_clip_catalog().list_pretrained():
        if not arch.endswith(_TWIN):
            yield f"{arch}/{tag}"
    yield from _cached_repositories()


def _cached_repositories() -> Iterator[str]:
    """Name the repositories in open_clip's form in the hub cache that no tag stands for."""
    from huggingface_hub import constants

    tagged = {
        origin_of(parse_name(f"{arch}/{tag}")).repository
        for arch, tag in open_clip_catalog().list_pretrained()
    }
    hub = Path(constants.HF_HUB_CACHE)
    for folder in [] if is_forbidden(hub) else sorted(hub.glob("models--*--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        if repository not in tagged and next(folder.glob(f"snapshots/*/{CONFIG_NAME}"), None):
            yield HUB + repository


def _listed(name: str) -> Iterator[ListedModel]:
    """Yield the model, or nothing where it could not be used."""
    try:
        parsed = parse_name(name)
        outline = model_outline(name)
        place = _place(_weights_here(parsed), hashed=False)
        licence = "Apache-2.0" if name == NANO else origin_of(parsed).licence
    except ModelError:
        return
    yield ListedModel(
        name,
        outline.patch,
        outline.window[0],
        round(outline.parameters * _FLOAT_MB),
        licence,
        **place,
    )


def _tower_facts(name: str, architecture: Architecture) -> dict[str, Any]:
    open_clip = open_clip_catalog()
    config = architecture.config
    vision, text = config["vision_cfg"], config["text_cfg"]

    def statistics(key: str, default: Any) -> list[float]:
        value = architecture.preprocess.get(key)
        return list(default if value is None else value)

    return {
        "name": name,
        "patch": vision["patch_size"],
        "image": vision.get("image_size", 224),
        "image_tower": {"layers": vision["layers"], "width": vision["width"]},
        "text_tower": {
            "layers": text["layers"],
            "width": text["width"],
            "context": text.get("context_length", 77),
        },
        "dimensions": config["embed_dim"],
        **asdict(architecture.defaults),
        "activation": activation(config),
        "mean": statistics("mean", open_clip.OPENAI_DATASET_MEAN),
        "std": statistics("std", open_clip.OPENAI_DATASET_STD),
    }


def _weights_here(parsed: ModelName) -> Path | None:
    if parsed.kind in ("folder", "blip"):
        return find_model(parsed.text).weights
    origin: Origin = origin_of(parsed)
    return cached_weights(parsed) if origin.repository or origin.url else None


def _place(path: Path | None, *, hashed: bool = True) -> Mapping[str, Any]:
    """Return where a file is, its size, its hash, and whether it is not what was fetched.

    Args:
        path: The file.
        hashed: Read it whole; else the hash is the one that it was fetched with, where known.
    """
    if path is None:
        return {"path": None, "size": None, "sha256": None, "damaged": False}
    blob = path.resolve()
    known = known_sha256(path)
    digest = file_sha256(blob) if hashed or known is None else known
    return {
        "path": str(path),
        "size": blob.stat().st_size,
        "sha256": digest,
        "damaged": known not in (None, digest) or not looks_whole(path),
    }
