"""The nano CLIP: its shape, and the two forward passes that training needs.

The model is an ordinary `open_clip.CLIP`, so that it loads like any other; only the passes are
ours. Both share every block but the last.
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name)

CONTEXT = 77
PAD = 0


@dataclass(frozen=True)
class NanoShape:
    """Sizes of the two towers."""

    embed_dim: int = 64
    image_size: int = 64
    patch_size: int = 8
    width: int = 160
    layers: int = 6
    head_width: int = 32
    text_width: int = 64
    text_layers: int = 2
    text_heads: int = 4

    @property
    def grid(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    def model_cfg(self) -> dict[str, Any]:
        """The `model_cfg` of open_clip's config JSON."""
        return {
            "embed_dim": self.embed_dim,
            "quick_gelu": False,
            "vision_cfg": {
                "image_size": self.image_size,
                "patch_size": self.patch_size,
                "width": self.width,
                "layers": self.layers,
                "head_width": self.head_width,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": self.text_heads,
                "layers": self.text_layers,
                "mlp_ratio": 2.0,
            },
        }


def build(shape: NanoShape, seed: int) -> nn.Module:
    """A freshly initialised `open_clip.CLIP` of this shape, in fp32, the same for the same seed."""
    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**shape.model_cfg())
    # The dense path has no residual around the last block, so a random last block would hide the
    # patches from the loss. Start with values that pass through and q-q attention that looks
    # mostly at the patch itself.
    last, width = model.visual.transformer.resblocks[-1].attn, shape.width
    with torch.no_grad():
        nn.init.orthogonal_(last.in_proj_weight[:width], gain=1.5)
        nn.init.eye_(last.in_proj_weight[2 * width :])
        nn.init.eye_(last.out_proj.weight)
    return cast(nn.Module, model)


def deepen(model: Any, shape: NanoShape, layers: int) -> Any:
    """A model with `layers` blocks in its image tower that computes what `model` does.

    Copies of blocks are spread before the last one; their output projections are zero, so that
    each starts as the identity (as in Net2Net, Chen et al. 2016).

    Raises:
        ValueError: `layers` is less than the model has, or twice that or more.
    """
    blocks = list(model.visual.transformer.resblocks)
    more = layers - len(blocks)
    if not 0 <= more < len(blocks):
        raise ValueError(f"a tower of {len(blocks)} blocks cannot be made {layers} blocks deep")
    deeper: Any = build(replace(shape, layers=layers), 0)
    followed = {round((k + 1) * (len(blocks) - 1) / more) - 1 for k in range(more)}
    order = [n for n in range(len(blocks)) for _ in range(1 + (n in followed))]
    copied = [n > 0 and order[n] == order[n - 1] for n in range(layers)]
    image_blocks = "visual.transformer.resblocks."
    rest = {k: v for k, v in model.state_dict().items() if not k.startswith(image_blocks)}
    deeper.load_state_dict(rest, strict=False)
    for block, number, new in zip(deeper.visual.transformer.resblocks, order, copied, strict=True):
        block.load_state_dict(blocks[number].state_dict())
        if new:
            for layer in (block.attn.out_proj, block.mlp.c_proj):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
    return deeper


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, heads, width // heads).transpose(1, 2)


def _attend(block: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of (B, N, C) projections through the block's output projection."""
    heads = block.attn.num_heads
    mixed = F.scaled_dot_product_attention(
        _heads(query, heads), _heads(key, heads), _heads(value, heads)
    )
    return cast(Tensor, block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))


def _project(block: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (B, N, C) of LN1(x)."""
    q, k, v = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias).chunk(
        3, dim=-1
    )
    return q, k, v


def _mlp(block: Any, x: Tensor) -> Tensor:
    hidden: Tensor = block.mlp(block.ln_2(x))
    return x + hidden


def to_last_block(model: Any, images: Tensor) -> Tensor:
    """Tokens (B, 1 + N, C), CLS first, as they enter the last block; images as `encode_image`."""
    visual = model.visual
    # One product per patch: on the CPU much faster than a strided convolution's backward pass.
    size = visual.patch_size[0]
    patches = F.unfold(images, size, stride=size).transpose(1, 2)
    tokens = patches @ visual.conv1.weight.flatten(1).T
    cls = visual.class_embedding.expand(len(images), 1, -1)
    x: Tensor = visual.ln_pre(torch.cat([cls, tokens], dim=1) + visual.positional_embedding)
    for block in visual.transformer.resblocks[:-1]:
        q, k, v = _project(block, x)
        x = _mlp(block, x + _attend(block, q, k, v))
    return x


def encode_image(model: Any, images: Tensor, attention: str = "qq") -> tuple[Tensor, Tensor]:
    """Dense ClearCLIP features and the ordinary image embedding, from one pass.

    Args:
        model: The nano CLIP.
        images: float32 (B, 3, S, S), normalised by the model's mean and standard deviation.
        attention: "qq" is ClearCLIP (q-q, no residual, no FFN); "qk" is the vanilla last block.

    Returns:
        Patch features (B, N, D) row-major and the CLS embedding (B, D), both of unit length.
    """
    return last_block(model, to_last_block(model, images), attention)


def last_block(model: Any, x: Tensor, attention: str = "qq") -> tuple[Tensor, Tensor]:
    """What `encode_image` returns, from the tokens (B, 1 + N, C) that enter the last block."""
    visual = model.visual
    last = visual.transformer.resblocks[-1]
    q, k, v = _project(last, x)
    if attention == "qq":
        patches = _attend(last, q[:, 1:], q, v)
        cls = _mlp(last, x[:, :1] + _attend(last, q[:, :1], k, v))
        x = torch.cat([cls, patches], dim=1)
    else:
        x = _mlp(last, x + _attend(last, q, k, v))
    features: Tensor = F.normalize(visual.ln_post(x) @ visual.proj, dim=-1)
    return features[:, 1:], features[:, 0]


def encode_text(model: Any, tokens: Tensor) -> Tensor:
    """Unit text embeddings (B, D) of token ids (B, 77).

    The padding after the longest prompt is cut: the mask is causal and the embedding is read at
    the end token, so nothing after it matters.
    """
    length = int((tokens != PAD).sum(dim=1).max())
    tokens = tokens[:, :length]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    mask = model.attn_mask[:length, :length]
    for block in model.transformer.resblocks:
        x = block(x, attn_mask=mask)
    x = model.ln_final(x)
    x = x[torch.arange(len(x)), tokens.argmax(dim=-1)]
    return F.normalize(x @ model.text_projection, dim=-1)
