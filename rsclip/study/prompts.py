"""What a model makes of a legend's words, before any pixel is spent on them."""

import itertools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsclip.config import SegmentConfig
from rsclip.errors import OutputError, RsclipWarning
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend, LegendSpec, load_legend
from rsclip.words.prompts import (
    Query,
    class_queries,
    load_templates,
    owners_of,
    word_prompts,
)
from rsclip.words.unreadable_words import Flag, check_legend
from rsclip.words.vocabulary import check_words

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["ClosePair", "PromptReport", "check_picture", "report_prompts", "write_matrix"]

# What a model's cosines mean is its own: CLIPs on web images give any two nouns 0.7 and more. Its
# scale is read off pairs of words that are known to be synonyms or unrelated.
_SYNONYMS = (
    ("building", "house"), ("road", "street"), ("forest", "woodland"), ("grass", "lawn"),
    ("farmland", "cropland"), ("bare soil", "bare ground"), ("sea", "ocean"),
)  # fmt: skip
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClosePair:
    """Two classes that the model can hardly tell apart by their words.

    Attributes:
        first, second: Names of the classes.
        cosine: Of their closest words.
        words: These words.
    """

    first: str
    second: str
    cosine: float
    words: tuple[str, str]

    @property
    def advice(self) -> str:
        """What to do about it."""
        first, second = self.words
        named = zip(self.words, (self.first, self.second), strict=True)
        spare = " or ".join(f'"{word}"' for word, name in named if word != name)
        drop = f"leave out {spare} if its class has other words, or " if spare else ""
        # A comma would part the classes of a list.
        comma = "," in self.first + self.second
        one = self.words if comma else (self.first, self.second)
        return (
            f'by "{first}" and "{second}"; if they are one class, merge them as '
            f'"{"|".join(one)}"; else {drop}write what tells '
            f"{self.first} from {self.second} in the image (a narrower word, a description)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "classes": [self.first, self.second],
            "cosine": round(self.cosine, 4),
            "words": list(self.words),
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class PromptReport:
    """What a model makes of a legend's words.

    Attributes:
        model: Name of the model.
        templates: In use.
        legend: The classes.
        queries: Words and descriptions with their prompts, in the order of the classes.
        cosines: float32 (K, K), of the closest words of two classes, -1..1.
        apart: The same with `decorrelate`; None without it.
        different: The model's mean cosine of words for different things.
        same: Its mean cosine of synonyms.
        pairs: Classes nearer than halfway from `different` to `same` by words that the model has
            learned, closest first.
        unlearned_pairs: How many more are so near only by words that it has not learned, whose
            cosines mean little.
        flags: Words that will not do what they say.
    """

    model: str
    templates: Sequence[str]
    legend: Legend
    queries: Sequence[Query]
    cosines: Matrix = field(repr=False)
    apart: Matrix | None = field(repr=False)
    different: float
    same: float
    pairs: Sequence[ClosePair]
    unlearned_pairs: int
    flags: Sequence[Flag]

    @property
    def limit(self) -> float:
        """Cosine above which two classes are too close."""
        return (self.different + self.same) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        names = [item.name for item in self.legend.classes]
        return {
            "model": self.model,
            "templates": list(self.templates),
            "queries": [
                {
                    "class": names[query.class_index],
                    "text": query.text,
                    **({"negative": True} if query.negative else {}),
                    "prompts": list(query.prompts),
                }
                for query in self.queries
            ],
            "classes": names,
            "cosines": _rounded(self.cosines),
            **({} if self.apart is None else {"decorrelated": _rounded(self.apart)}),
            "cosine_of_different_things": round(self.different, 4),
            "cosine_of_synonyms": round(self.same, 4),
            "too_close_above": round(self.limit, 4),
            "too_close": [pair.to_dict() for pair in self.pairs],
            "too_close_by_words_not_learned": self.unlearned_pairs,
            "flags": [flag.to_dict() for flag in self.flags],
        }


def report_prompts(
    classes: LegendSpec, config: SegmentConfig, backbone: "Backbone | None" = None
) -> PromptReport:
    """Encode a legend's words and say how well the model will tell them apart.

    Args:
        classes: As `rsclip.segment` takes them.
        config: For model, weights, templates, background, decorrelate and device.
        backbone: A ready model, in place of the configuration's.

    Raises:
        InputError: Classes, templates, model or device are wrong.
    """
    from rsclip.methods.device import parse_device
    from rsclip.model import load_backbone

    legend = load_legend(classes, background=config.background, english=False)
    templates = load_templates(config.templates)
    queries = class_queries(legend, templates)
    device = parse_device(config.device)
    backbone = (backbone or load_backbone(config.model, config.weights)).to(device)
    with _cuts_are_flags():
        features = _features(backbone, [query.prompts for query in queries])
        model_flags = _model_flags(backbone, legend, queries)
        different, same = _scale(backbone, templates)
    strange = {flag.text for flag in model_flags if flag.kind == "unlearned"}
    matrix, pairs, unlearned = _compare(features, queries, strange, legend, (different + same) / 2)
    apart = None
    if config.decorrelate:
        import torch

        from rsclip.methods.decorrelation import decorrelated

        moved = decorrelated(torch.from_numpy(features), owners_of(queries), config.decorrelate)
        apart = _compare(moved.numpy(), queries, strange, legend, np.inf)[0]
    flags = [*check_legend(legend), *model_flags]
    return PromptReport(
        backbone.name,
        templates,
        legend,
        queries,
        matrix,
        apart,
        different,
        same,
        pairs,
        unlearned,
        flags,
    )


@contextmanager
def _cuts_are_flags() -> Iterator[None]:
    """Keep the warning of a cut prompt back: the report flags the word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a prompt is cut", RsclipWarning)
        yield


def check_picture(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a picture that is there already, before any word is encoded.

    Raises:
        OutputError: The file exists.
    """
    if os.path.lexists(path) and not overwrite:
        raise OutputError(
            "the picture exists already",
            where=path,
            remedy="Replace it with --overwrite, or give --png another name.",
        )


def write_matrix(report: PromptReport, path: str | Path, *, overwrite: bool = False) -> Path:
    """Draw the matrix of a report as PNG.

    Raises:
        OutputError: The file exists, or its folder cannot be written.
        WriteError: The file cannot be finished.
    """
    from rsclip.outputs.files.staging import Staging
    from rsclip.outputs.pictures.matrix import render_matrix
    from rsclip.outputs.pictures.preview import write_preview

    path = Path(path)
    check_picture(path, overwrite=overwrite)
    names = [item.name for item in report.legend.classes]
    plain = [
        next((word for word in item.words if word.isascii()), f"class {number}")
        for number, item in enumerate(report.legend.classes, 1)
    ]
    title = f"Cosine of class words, {report.model}"
    picture = render_matrix(report.cosines, names, plain, title, report.different, report.limit)
    with Staging.for_file(path, "matrix", flag="--png", overwrite=overwrite) as staging:
        write_preview(staging.path("matrix"), picture)
        staging.publish()
    return path


def _rounded(matrix: Matrix) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in matrix]


def _features(backbone: "Backbone", prompts: Sequence[Sequence[str]]) -> Matrix:
    features: Matrix = backbone.text_features(prompts).cpu().numpy()
    return features


def _scale(backbone: "Backbone", templates: Sequence[str]) -> tuple[float, float]:
    """Return the model's mean cosine of words for different things, and of synonyms."""
    words = [word for pair in _SYNONYMS for word in pair]
    features = _features(backbone, [word_prompts(word, templates) for word in words])
    cosines = features @ features.T
    kin = np.arange(len(words)) // 2
    upper = np.triu(np.ones_like(cosines, dtype=bool), 1)
    same = upper & (kin[:, None] == kin)
    return float(cosines[upper & ~same].mean()), float(cosines[same].mean())


def _compare(
    features: Matrix,
    queries: Sequence[Query],
    strange: Set[str],
    legend: Legend,
    limit: float,
) -> tuple[Matrix, list[ClosePair], int]:
    """Return cosines of classes, pairs above the limit, how many are so by strange words alone."""
    count = len(legend.classes)
    cosines = features @ features.T
    # A word that the model has not learned lies near anything.
    learned = np.array([query.text not in strange for query in queries])
    telling = np.where(np.outer(learned, learned), cosines, -np.inf)
    members = Layout.of(legend, queries).words
    matrix = np.eye(count, dtype=np.float32)
    pairs, unlearned = [], 0
    for a, b in itertools.combinations(range(count), 2):
        both = np.ix_(members[a], members[b])
        matrix[a, b] = matrix[b, a] = cosines[both].max()
        both_behind = legend.classes[a].background and legend.classes[b].background
        # Which of two background classes wins makes no difference: both are written as 0.
        if matrix[a, b] <= limit or both_behind:
            continue
        block = telling[both]
        row, col = np.unravel_index(block.argmax(), block.shape)
        if block[row, col] <= limit:
            unlearned += 1
            continue
        words = queries[members[a][row]].text, queries[members[b][col]].text
        first, second = legend.classes[a].name, legend.classes[b].name
        pairs.append(ClosePair(first, second, float(block[row, col]), words))
    return matrix, sorted(pairs, key=lambda pair: -pair.cosine), unlearned


def _model_flags(backbone: "Backbone", legend: Legend, queries: Sequence[Query]) -> list[Flag]:
    from rsclip.model.text import count_tokens, rare_words

    limit = int(backbone.model.context_length)
    flags = []
    for query in queries:
        name = legend.classes[query.class_index].name
        cut = [p for p in query.prompts if count_tokens(backbone.tokenizer, p, limit) > limit]
        if cut:
            reason = f"{len(cut)} of its prompts are cut at the model's {limit} tokens: shorten it"
            flags.append(Flag(name, query.text, "cut", reason))
        rare = rare_words(backbone.tokenizer, query.text)
        if rare:
            pieces = [
                f"{word} (in {count_tokens(backbone.tokenizer, word) - 2} pieces)" for word in rare
            ]
            reason = f"{', '.join(pieces)}: rare to CLIP or not English"
            flags.append(Flag(name, query.text, "rare", reason))
    return [*flags, *_far_words(backbone, legend)]


def _far_words(backbone: "Backbone", legend: Legend) -> list[Flag]:
    vocabulary: Mapping[str, Any] | None = backbone.vocabulary
    if vocabulary is None:
        return []
    owner = {word: item.name for item in legend.classes for word in item.words}
    unknown = check_words(
        lambda prompts: _features(backbone, [[prompt] for prompt in prompts]),
        list(owner),
        vocabulary,
    )
    return [
        Flag(
            owner[item.word],
            item.word,
            "unlearned",
            f'{backbone.name} has not learned it (nearest: "{item.nearest}"): take a larger model',
        )
        for item in unknown
    ]
