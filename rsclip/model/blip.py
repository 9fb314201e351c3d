"""BLIP as a CLIP: the image tower, text tower and projections that were trained to match.

Its image tower is built as open_clip's, so that every dense method reads it; its text tower is a
BERT, whose first token is projected. The parts that look at image and text together are left out.

Source: Li et al., BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language
Understanding and Generation, ICML 2022.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from rsclip.errors import ModelError, first_line
from rsclip.model.open_clip_import import import_open_clip

__all__ = ["Blip", "WordPieces"]

_PAD = 0
# Tokens that BLIP has beside the words of its BERT: [DEC] and [ENC].
_OWN_TOKENS = 2


class Blip(nn.Module):
    """A BLIP for retrieval, with what `Backbone` asks of an open_clip model.

    Args:
        config: In open_clip's form, as `rsclip.model.weights.blip` makes it.
    """

    attn_mask = None
    text_pool_type = "first"

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        text, dim = config["text_cfg"], config["embed_dim"]
        self.context_length, self.vocab_size = text["context_length"], text["vocab_size"]
        small = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
        # Of open_clip's model only the image tower is kept.
        self.visual = import_open_clip().model.CLIP(dim, config["vision_cfg"], small).visual
        self.visual.proj_bias = nn.Parameter(torch.zeros(dim))
        width, eps = text["width"], text["norm_kwargs"]["eps"]
        self.token_embedding = nn.Embedding(self.vocab_size, width)
        self.text_positions = nn.Embedding(self.context_length, width)
        self.text_norm = nn.LayerNorm(width, eps)
        layer = nn.TransformerEncoderLayer(
            width, text["heads"], round(width * text["mlp_ratio"]), dropout=0, activation="gelu",
            layer_norm_eps=eps, batch_first=True,
        )  # fmt: skip
        self.text = nn.TransformerEncoder(layer, text["layers"], enable_nested_tensor=False)
        self.text_proj = nn.Linear(width, dim)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Return features (N, D) of token ids int64 (N, L), padded with 0."""
        x = self.token_embedding(tokens) + self.text_positions.weight[: tokens.shape[1]]
        x = self.text(self.text_norm(x), src_key_padding_mask=tokens == _PAD)
        return cast(Tensor, self.text_proj(x[:, 0]))


class WordPieces:
    """BERT's tokenizer, from the files beside a BLIP's weights.

    Args:
        folder: It holds vocab.txt or tokenizer.json.
        limit: The most tokens of a prompt, start and end included.
        size: How many tokens the model knows.

    Attributes:
        sha256: Of what decides which tokens a prompt is.

    Raises:
        ModelError: Neither file is there or fits, or the package tokenizers is not.
    """

    def __init__(self, folder: Path, limit: int, size: int) -> None:
        try:
            import tokenizers
        except ImportError as error:
            raise ModelError(
                "BLIP's words need a package that is not installed: tokenizers",
                where=folder,
                remedy='Install it: pip install "rsclip[blip]".',
            ) from error
        path = folder / "vocab.txt"
        if not path.is_file():
            path = folder / "tokenizer.json"
        try:
            if path.suffix == ".txt":
                own = tokenizers.BertWordPieceTokenizer(str(path), lowercase=True)
            else:
                own = tokenizers.Tokenizer.from_file(str(path))
            own.enable_padding(pad_id=_PAD)
            own.enable_truncation(limit)
        # Of its own it raises plain exceptions.
        except Exception as error:
            raise ModelError(
                f"the tokenizer cannot be read ({first_line(error)})",
                where=path,
                remedy="Copy vocab.txt or tokenizer.json from where the weights come from.",
            ) from error
        count = max(own.get_vocab().values(), default=-1) + 1
        if not size - _OWN_TOKENS <= count <= size:
            raise ModelError(
                f"the tokenizer has {count:,} tokens, and the model {size:,}: the file is another "
                "model's, or was cut short",
                where=path,
                remedy="Copy vocab.txt or tokenizer.json from where the weights come from.",
            )
        self._own = own
        self.sha256 = hashlib.sha256(own.to_str().encode()).hexdigest()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return token ids int64 (N, L), padded with 0 to the longest."""
        return torch.tensor([each.ids for each in self._own.encode_batch(list(texts))])
