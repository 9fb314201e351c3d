"""Words to features: the text tower of a CLIP."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.errors import ModelError, RsclipWarning

__all__ = ["default_tokenizer", "prompt_feature"]

_CHUNK = 128


def default_tokenizer(open_clip: Any, model: Any) -> Any | None:
    """Return CLIP's own tokenizer at the model's context length; None where it does not fit."""
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=model.context_length)
    return tokenizer if tokenizer.vocab_size == model.vocab_size else None


def prompt_feature(model: Any, tokenizer: Any | None, prompts: Sequence[str]) -> Tensor:
    """Return the mean of the prompts' L2-normalised embeddings, L2-normalised: float32 (D,).

    What else is encoded never matters: one set of prompts always gives the same bits.

    Raises:
        ModelError: The model has no tokenizer.
    """
    if tokenizer is None:
        raise ModelError(
            f"the model's vocabulary ({model.vocab_size} tokens) is not that of CLIP's tokenizer",
            remedy="Pass its own: rsclip.wrap(model, tokenizer=...).",
        )
    tokens = tokenizer(list(prompts))
    _warn_of_cuts(tokenizer, tokens, prompts)
    tokens = tokens.to(model.token_embedding.weight.device)
    parts = [_encode(model, chunk) for chunk in tokens.split(_CHUNK)]
    return F.normalize(torch.cat(parts).mean(dim=0), dim=0)


def _encode(model: Any, tokens: Tensor) -> Tensor:
    """Return unit embeddings (N, D) of token ids (N, context)."""
    if model.attn_mask is None or model.text_pool_type != "argmax":
        return F.normalize(model.encode_text(tokens).float(), dim=-1)
    # The mask is causal and the embedding is read at the end token (the highest id), so that
    # nothing after it matters: without the padding the tower runs several times faster.
    ends = tokens.argmax(dim=-1)
    length = int(ends.max()) + 1
    x = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    x = model.ln_final(x)[torch.arange(len(x), device=x.device), ends]
    projection = model.text_projection
    if isinstance(projection, torch.nn.Linear):
        x = projection(x)
    elif projection is not None:
        x = x @ projection
    return F.normalize(x.float(), dim=-1)


def _warn_of_cuts(tokenizer: Any, tokens: Tensor, prompts: Sequence[str]) -> None:
    """Say which prompts open_clip's tokenizer cut at the context length; it does so silently."""
    if not hasattr(tokenizer, "encode"):
        return
    limit = tokens.shape[1]
    for row, prompt in zip(tokens, prompts, strict=True):
        if row[-1] != 0 and len(tokenizer.encode(prompt)) + 2 > limit:
            warnings.warn(
                f"a prompt is cut at the model's {limit} tokens: {prompt[:60]}...",
                RsclipWarning,
                stacklevel=2,
            )
            return
