"""Which models serve: CLIPs with a plain ViT and a CLS token. The others are told why not."""

from collections.abc import Mapping
from typing import Any

from rsclip.errors import ModelError

__all__ = ["check_config", "check_model"]

_VISION_NUMBERS = ("layers", "width", "patch_size")
_TEXT_NUMBERS = ("layers", "width")
_REMEDY = "Choose a CLIP with a plain ViT, such as ViT-B-16/openai or ViT-L-14/openai."
_TIMM = "its image tower is a timm model (SigLIP, EVA, ConvNeXt, MobileCLIP and others)"
_RESNET = "its image tower is a ResNet, which has no patch tokens"
_COCA = "CoCa pools its tokens through an attentional pooler"


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Refuse an architecture before it is built (open_clip's `model_cfg` form).

    Raises:
        ModelError: The architecture cannot serve; the message says why.
    """
    vision, text = config.get("vision_cfg"), config.get("text_cfg")
    if not isinstance(vision, Mapping) or not isinstance(text, Mapping):
        raise ModelError("an architecture needs embed_dim, vision_cfg and text_cfg", where=where)
    if "multimodal_cfg" in config:
        raise _refuse(_COCA, where)
    if vision.get("timm_model_name"):
        raise _refuse(_TIMM, where)
    if isinstance(vision.get("layers"), list | tuple):
        raise _refuse(_RESNET, where)
    if text.get("hf_model_name") or config.get("custom_text"):
        raise _refuse("its text tower is not CLIP's own", where)
    if text.get("hf_tokenizer_name"):
        raise _refuse(f"its text tower needs the tokenizer {text['hf_tokenizer_name']}", where)
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
    if isinstance(model, open_clip.coca_model.CoCa):
        return _COCA
    visual = getattr(model, "visual", None)
    if isinstance(visual, open_clip.timm_model.TimmModel):
        return _TIMM
    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        return _RESNET
    if isinstance(model, open_clip.model.CustomTextCLIP):
        return "its text tower is not CLIP's own (open_clip's CustomTextCLIP)"
    if not isinstance(model, open_clip.model.CLIP):
        return f"it is a {type(model).__name__}, not an open_clip.model.CLIP"
    if not isinstance(visual, open_clip.transformer.VisionTransformer):
        return f"its image tower is a {type(visual).__name__}, not open_clip's VisionTransformer"
    if visual.attn_pool is not None:
        return "it pools its tokens through an attentional pooler"
    if visual.pool_type != "tok":
        return f"it has no CLS token to pool by (pool_type {visual.pool_type!r})"
    height, width = visual.patch_size
    if height != width:
        return f"its patches are not square ({height} x {width} pixels)"
    block = open_clip.transformer.ResidualAttentionBlock
    blocks = visual.transformer.resblocks
    if not len(blocks) or not all(type(item) is block for item in blocks):
        return "its attention blocks are not the plain ones of CLIP"
    if not visual.transformer.batch_first:
        return "its transformer is not batch-first"
    return None
