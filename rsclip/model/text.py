"""Words to features: the text tower of a CLIP."""

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.errors import ModelError, warn

__all__ = [
    "context_tower",
    "count_tokens",
    "default_tokenizer",
    "prompt_feature",
    "rare_words",
    "warn_of_cuts",
]

_CHUNK = 128
# A word in so many pieces was rare in what the tokenizer was made from.
_PIECES = 4


def default_tokenizer(open_clip: Any, model: Any) -> Any | None:
    """Return CLIP's own tokenizer at the model's context length; None where it does not fit."""
    own = open_clip.tokenizer.SimpleTokenizer
    # open_clip makes one as it is imported; to make another takes a quarter of a second.
    made = getattr(open_clip.tokenizer, "_tokenizer", None)
    tokenizer: Any = copy.copy(made) if type(made) is own else own()
    tokenizer.context_length = model.context_length
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
    tokens = tokenizer(list(prompts)).to(model.token_embedding.weight.device)
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
    return _read(model, model.token_embedding(tokens[:, :length]), ends)


def context_tower(
    model: Any, tokenizer: Any | None, context: str, words: Sequence[str]
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the embeddings of a context, and what encodes words behind it when it is changed.

    Args:
        model: A CLIP.
        tokenizer: Its tokenizer.
        context: What stands before each word, "a photo of a".
        words: Q texts.

    Returns:
        float32 (M, W), one row for each token of the context; and a function from such rows, or
        rows for each word (Q, M, W), to unit features (Q, D), through which gradients flow.

    Raises:
        ModelError: The model's text tower is of another kind.
    """
    if tokenizer is None or model.attn_mask is None or model.text_pool_type != "argmax":
        raise ModelError(
            "the model's text tower is not CLIP's: it takes no learned context",
            remedy="Choose another --kind or --model.",
        )
    device = model.token_embedding.weight.device
    count = int(tokenizer([context]).argmax()) - 1
    tokens = tokenizer([f"{context} {word}." for word in words]).to(device)
    ends = tokens.argmax(dim=-1)
    x = model.token_embedding(tokens[:, : int(ends.max()) + 1])

    def encode(rows: Tensor) -> Tensor:
        rows = rows.to(device, x.dtype).expand(len(x), count, -1)
        changed = torch.cat([x[:, :1], rows, x[:, 1 + count :]], dim=1)
        return _read(model, changed, ends)

    return x[0, 1 : 1 + count].detach(), encode


def _read(model: Any, x: Tensor, ends: Tensor) -> Tensor:
    """Return unit features (N, D) of embeddings (N, length, W), read at the end tokens."""
    length = x.shape[1]
    x = x + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    x = model.ln_final(x)[torch.arange(len(x), device=x.device), ends]
    projection = model.text_projection
    if isinstance(projection, torch.nn.Linear):
        x = projection(x)
    elif projection is not None:
        x = x @ projection
    return F.normalize(x.float(), dim=-1)


def warn_of_cuts(model: Any, tokenizer: Any | None, prompts: Sequence[str]) -> None:
    """Say if a prompt is cut at the context length; open_clip's tokenizer does so silently."""
    limit = model.context_length
    for prompt in prompts:
        if count_tokens(tokenizer, prompt, limit) > limit:
            warn(f"a prompt is cut at the model's {limit} tokens: {prompt[:60]}...")
            return


def count_tokens(tokenizer: Any | None, prompt: str, limit: int = 0) -> int:
    """Return the tokens of a prompt, start and end included.

    Args:
        tokenizer: One of CLIP's kind; any other gives 0.
        prompt: The text.
        limit: A prompt too short to reach it is not counted, but gives its length in bytes.
    """
    # No token is shorter than a byte.
    length = len(prompt.encode()) + 2
    if length <= limit:
        return length
    encode = getattr(tokenizer, "encode", None)
    return len(encode(prompt)) + 2 if encode is not None else 0


def rare_words(tokenizer: Any | None, text: str) -> list[str]:
    """Return the words of a text that CLIP's tokenizer has only in many pieces."""
    found = re.findall(r"[A-Za-z]+", text)
    return [word for word in found if count_tokens(tokenizer, word) - 2 >= _PIECES]
