"""Can rsclip use this model? A CLIP with a plain ViT and a CLS token; others are refused."""

from collections.abc import Mapping
from typing import Any

from rsclip.errors import ModelError
from rsclip.model.open_clip_catalog import architecture_keys

__all__ = ["check_config", "check_model"]

_VISION_NUMBERS = ("layers", "width", "patch_size")
_TEXT_NUMBERS = ("layers", "width")
_REMEDY = "Choose a CLIP with a plain ViT, such as ViT-B-16/openai or ViT-L-14/openai."
_TIMM = "its image tower is a timm model (SigLIP, EVA, ConvNeXt, MobileCLIP and others)"
_RESNET = "its image tower is a ResNet, which has no patch tokens"
_POOLER = "it pools its tokens through an attentional pooler"
_BLOCKS = "its attention blocks are not the plain ones of CLIP"
# Each of them makes open_clip build another kind of block.
_CUSTOM = (
    "qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc",
)  # fmt: skip
_COCA = "CoCa pools its tokens through an attentional pooler"


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Refuse an architecture before it is built (open_clip's `model_cfg` form).

    Raises:
        ModelError: The architecture cannot serve; the message says why.
    """
    vision, text = config.get("vision_cfg"), config.get("text_cfg")
    if not isinstance(vision, Mapping) or not isinstance(text, Mapping):
        raise ModelError("an architecture needs embed_dim, vision_cfg and text_cfg", where=where)
    pool, tokenizer = vision.get("pool_type", "tok"), text.get("hf_tokenizer_name")
    other_blocks = vision.get("block_type") not in (None, "default")
    reasons = (
        ("multimodal_cfg" in config, _COCA),
        (vision.get("timm_model_name"), _TIMM),
        (isinstance(vision.get("layers"), list | tuple), _RESNET),
        (
            text.get("hf_model_name") or config.get("custom_text"),
            "its text tower is not CLIP's own",
        ),
        (tokenizer, f"its text tower needs the tokenizer {tokenizer}"),
        (vision.get("attentional_pool"), _POOLER),
        (pool != "tok", _no_token(pool)),
        (other_blocks or any(map(vision.get, _CUSTOM)), _BLOCKS),
    )
    for holds, reason in reasons:
        if holds:
            raise _refuse(reason, where)
    for tower, keys in ((vision, _VISION_NUMBERS), (text, _TEXT_NUMBERS), (config, ("embed_dim",))):
        for key in keys:
            value = tower.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(
                    f"`{key}` of the architecture is {value!r}",
                    where=where,
                    remedy="It is a whole number, 1 or more.",
                )
    size = vision.get("image_size", vision["patch_size"])
    sides = [size] if isinstance(size, int) else size
    if not isinstance(sides, list | tuple) or not all(
        isinstance(side, int) and side >= vision["patch_size"] for side in sides
    ):
        raise ModelError(
            f"`image_size` of the architecture is {size!r}",
            where=where,
            remedy="It is a whole number of pixels, one patch or more.",
        )
    _check_keys(config, where)
    _check_heads(vision, "head_width", 64, where)
    _check_heads(text, "heads", 8, where)


def _check_keys(config: Mapping[str, Any], where: str) -> None:
    """Refuse what open_clip would not build: a key that it does not know."""
    known = architecture_keys()
    unknown = [
        f"{tower}.{key}"
        for tower in ("vision_cfg", "text_cfg")
        for key in config[tower]
        if key not in known[tower]
    ]
    unknown += [key for key in config if key not in known[""] and key != "custom_text"]
    if unknown:
        raise ModelError(
            f"not an architecture of open_clip (it knows no {', '.join(unknown)})", where=where
        )


def _check_heads(tower: Mapping[str, Any], key: str, default: int, where: str) -> None:
    """Refuse heads that do not share the width out evenly (as open_clip counts them)."""
    value, width = tower.get(key, default), tower["width"]
    whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= width
    heads = (width // value if key == "head_width" else value) if whole else 0
    if not heads or width % heads:
        raise ModelError(
            f"`{key}` of the architecture is {value!r}, which does not divide {width} channels",
            where=where,
            remedy="Use a whole number that divides the channels.",
        )


def _no_token(pool: object) -> str:
    return f"it has no CLS token to pool by (pool_type {pool!r})"


def check_model(open_clip: Any, model: object, where: str) -> None:
    """Refuse a built model that the dense methods cannot read.

    Raises:
        ModelError: The model cannot serve; the message says why.
    """
    if reason := _reason(open_clip, model):
        raise _refuse(reason, where)


def _refuse(reason: str, where: str) -> ModelError:
    return ModelError(f"this model cannot be used: {reason}", where=where, remedy=_REMEDY)


def _reason(open_clip: Any, model: Any) -> str | None:
    from rsclip.model.blip import Blip

    if isinstance(model, open_clip.coca_model.CoCa):
        return _COCA
    visual = getattr(model, "visual", None)
    if isinstance(visual, open_clip.timm_model.TimmModel):
        return _TIMM
    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        return _RESNET
    if isinstance(model, open_clip.model.CustomTextCLIP):
        return "its text tower is not CLIP's own (open_clip's CustomTextCLIP)"
    if not isinstance(model, open_clip.model.CLIP | Blip):
        return f"it is a {type(model).__name__}, not an open_clip.model.CLIP"
    if not isinstance(visual, open_clip.transformer.VisionTransformer):
        return f"its image tower is a {type(visual).__name__}, not open_clip's VisionTransformer"
    if visual.attn_pool is not None:
        return _POOLER
    if visual.pool_type != "tok":
        return _no_token(visual.pool_type)
    height, width = visual.patch_size
    if height != width:
        return f"its patches are not square ({height} x {width} pixels)"
    block = open_clip.transformer.ResidualAttentionBlock
    blocks = visual.transformer.resblocks
    if not len(blocks) or not all(type(item) is block for item in blocks):
        return _BLOCKS
    if not visual.transformer.batch_first:
        return "its transformer is not batch-first"
    return None
