"""Load a model onto the CPU, its weights checked. Nothing here reaches for the network."""

import hashlib
import json
import statistics
from pathlib import Path
from typing import Any

from rsclip.errors import ModelError, is_memory_error, out_of_memory, warn
from rsclip.model.backbone import Backbone
from rsclip.model.blip import Blip, WordPieces
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights.architecture import Architecture
from rsclip.model.weights.blip import renamed
from rsclip.model.weights.files import as_float, file_sha256, load_weights
from rsclip.model.weights.find import ModelFiles, find_model
from rsclip.model.weights.names import AUTO, DEFAULT, NANO
from rsclip.model.weights.origin import verified_sha256

__all__ = ["load_backbone"]


def load_backbone(name: str | Path = AUTO, weights: str | Path | None = None) -> Backbone:
    """Load a frozen model onto the CPU.

    Args:
        name: "auto", "nano", ARCH/TAG, an alias, hf-hub:OWNER/NAME, a folder in open_clip's hub
            form, or (with `weights`) an architecture or its config file; see
            `rsclip.model.weights.names`.
        weights: A bundle, safetensors or torch state-dict file, in place of the named model's own.
            With "auto" the file says what it is, or its tensors' shapes do.

    Raises:
        ModelError: The name is unknown, the weights are absent, damaged or do not fit, it is open
            with which activation they were trained, or the model has no plain ViT with a CLS
            token.
        RunError: The memory does not suffice.
    """
    files = find_model(name, weights)
    blip, tokenizer = files.architecture.blip, None
    text_identity = files.architecture.text_identity
    if blip is not None:
        text = files.architecture.config["text_cfg"]
        tokenizer = WordPieces(blip, text["context_length"], text["vocab_size"])
        text_identity = hashlib.sha256(f"{text_identity} {tokenizer.sha256}".encode()).hexdigest()
    digest = verified_sha256(files.weights, files.name, files.pinned)
    try:
        state = as_float(files.read())
        model = _build(files.architecture, files.name)
        if blip is not None:
            state = renamed(state)
        load_weights(model, state, files.weights, files.name)
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        remedy = "Close other programs, use fewer --jobs, or choose a smaller model (--model)."
        raise out_of_memory(files.name, "to load the model", remedy) from error
    embedded = str(name) in (NANO, AUTO) and files.name == NANO and weights is None
    limits = _limits(files) if embedded else None
    if limits:
        warn(limits)
    return Backbone(
        model,
        tokenizer,
        name=files.name,
        source="embedded" if embedded else str(files.weights),
        hasher=lambda: digest or file_sha256(files.weights.resolve()),
        vocabulary=files.vocabulary,
        text_identity=text_identity,
        defaults=files.architecture.defaults,
        limits=limits,
    )


def _limits(nano: ModelFiles) -> str:
    """Say what nano is good for, by the scores that lie beside its weights."""
    path = nano.weights.with_name("figures.json")
    figures = json.loads(path.read_text(encoding="utf-8")).values()
    masks, chips = (
        statistics.mean(each[key] for each in figures if key in each)
        for key in ("miou", "majority")
    )
    low, high = nano.architecture.defaults.gsd_range or (0, 0)
    return (
        "using nano, the small model that comes with rsclip, for a first look at land cover at "
        f"{low:g} to {high:g} m a pixel: much of it is wrong. On images of places that were new "
        f"to it, its mean IoU was {masks:.2f}, and it told {chips:.0%} of chips at 10 m right "
        f"(docs/nano.md).\nFor a real CLIP: `rsclip models fetch {DEFAULT}`"
    )


def _build(architecture: Architecture, where: str) -> Any:
    open_clip = import_open_clip()
    config = {key: value for key, value in architecture.config.items() if key != "custom_text"}
    try:
        model = Blip(config) if architecture.blip else open_clip.model.CLIP(**config)
    except (TypeError, ValueError, KeyError, AssertionError, RuntimeError) as error:
        if is_memory_error(error):
            raise
        raise ModelError(f"not an architecture of open_clip ({error})", where=where) from error
    model.visual.preprocess_cfg = {
        key: architecture.preprocess[key]
        for key in ("mean", "std")
        if architecture.preprocess.get(key) is not None
    }
    return model
