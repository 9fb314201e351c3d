"""A BLIP in the form of transformers: what its config says, and its tensors by our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsclip.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BLIP_CONFIG", "BLIP_WEIGHTS", "open_clip_form", "renamed"]

BLIP_CONFIG = "config.json"
BLIP_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CLASS = "BlipForImageTextRetrieval"
# What transformers takes where a config leaves it out.
_VISION = {
    "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "patch_size": 16,
    "image_size": 384, "intermediate_size": 3072, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
}  # fmt: skip
_TEXT = {
    "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 8, "vocab_size": 30524,
    "max_position_embeddings": 512, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}  # fmt: skip
# The parts that look at image and text together, and a table that is no weight.
_LEFT_OUT = re.compile(r"itm_head\.|.*\.crossattention\.|.*\.position_ids$")
_NAMES = (
    (r"vision_model\.embeddings\.class_embedding", "visual.class_embedding"),
    (r"vision_model\.embeddings\.position_embedding", "visual.positional_embedding"),
    (r"vision_model\.embeddings\.patch_embedding\.weight", "visual.conv1.weight"),
    (r"vision_model\.post_layernorm", "visual.ln_post"),
    (r"vision_model\.encoder\.layers", "visual.transformer.resblocks"),
    (r"(visual.*)\.self_attn\.qkv\.", r"\1.attn.in_proj_"),
    (r"(visual.*)\.self_attn\.projection", r"\1.attn.out_proj"),
    (r"(visual.*)\.layer_norm", r"\1.ln_"),
    (r"(visual.*)\.mlp\.fc1", r"\1.mlp.c_fc"),
    (r"(visual.*)\.mlp\.fc2", r"\1.mlp.c_proj"),
    (r"vision_proj\.weight", "visual.proj"),
    (r"vision_proj\.bias", "visual.proj_bias"),
    (r"text_encoder\.embeddings\.word_embeddings", "token_embedding"),
    (r"text_encoder\.embeddings\.position_embeddings", "text_positions"),
    (r"text_encoder\.embeddings\.LayerNorm", "text_norm"),
    (r"text_encoder\.encoder\.layer\.", "text.layers."),
    (r"(text\..*)\.attention\.output\.dense", r"\1.self_attn.out_proj"),
    (r"(text\..*)\.attention\.output\.LayerNorm", r"\1.norm1"),
    (r"(text\..*)\.intermediate\.dense", r"\1.linear1"),
    (r"(text\..*)\.output\.dense", r"\1.linear2"),
    (r"(text\..*)\.output\.LayerNorm", r"\1.norm2"),
)


def open_clip_form(content: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Return open_clip's `model_cfg` of what a BLIP's config.json says.

    Raises:
        ModelError: It is a BLIP for another task, or of another kind.
    """
    kinds = content.get("architectures") or [_CLASS]
    if kinds != [_CLASS]:
        raise ModelError(
            f"a BLIP of the kind {kinds!r} has no feature that words and images share",
            where=where,
            remedy="Use one for retrieval, such as Salesforce/blip-itm-base-coco.",
        )
    try:
        vision = {**_VISION, **(content.get("vision_config") or {})}
        text = {**_TEXT, **(content.get("text_config") or {})}
        if {vision["hidden_act"], text["hidden_act"]} != {"gelu"}:
            raise ValueError("`hidden_act` is not gelu")
        width, wide = vision["hidden_size"], text["hidden_size"]
        return {
            "embed_dim": content.get("image_text_hidden_size", 256),
            "quick_gelu": False,
            "vision_cfg": {
                "layers": vision["num_hidden_layers"],
                "width": width,
                "head_width": width // vision["num_attention_heads"],
                "mlp_ratio": vision["intermediate_size"] / width,
                "patch_size": vision["patch_size"],
                "image_size": vision["image_size"],
                "no_ln_pre": True,
                "norm_kwargs": {"eps": vision["layer_norm_eps"]},
            },
            "text_cfg": {
                "layers": text["num_hidden_layers"],
                "width": wide,
                "heads": text["num_attention_heads"],
                "mlp_ratio": text["intermediate_size"] / wide,
                "context_length": text["max_position_embeddings"],
                "vocab_size": text["vocab_size"],
                "norm_kwargs": {"eps": text["layer_norm_eps"]},
            },
        }
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ModelError(f"this is no config of a BLIP ({error})", where=where) from error


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a BLIP's tensors by the names and in the shapes of `rsclip.model.blip.Blip`.

    What has no place there keeps its name.
    """
    import torch

    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if _LEFT_OUT.match(name):
            continue
        for pattern, ours in _NAMES:
            name = re.sub(f"^{pattern}", ours, name)
        found[name] = value
    for name in [each for each in found if each.endswith(".attention.self.query.weight")]:
        start = name.removesuffix("attention.self.query.weight")
        for kind in ("weight", "bias"):
            parts = [f"{start}attention.self.{each}.{kind}" for each in ("query", "key", "value")]
            if all(part in found for part in parts):
                joined = torch.cat([found.pop(part) for part in parts])
                found[f"{start}self_attn.in_proj_{kind}"] = joined
    for name in ("visual.class_embedding", "visual.positional_embedding"):
        if name in found:
            found[name] = found[name].flatten(0, -2).squeeze(0)
    if "visual.proj" in found:
        found["visual.proj"] = found["visual.proj"].T
    # open_clip's patches have no bias of their own: it goes with their positions.
    bias = found.pop("vision_model.embeddings.patch_embedding.bias", None)
    if bias is not None and "visual.positional_embedding" in found:
        positions = found["visual.positional_embedding"].clone()
        positions[1:] += bias
        found["visual.positional_embedding"] = positions
    return found
