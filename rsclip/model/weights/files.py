"""Weights from a file: safetensors or a torch state dict, never a program."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsclip.errors import ModelError, first_line, is_memory_error

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "as_float",
    "file_sha256",
    "load_weights",
    "looks_like",
    "looks_whole",
    "read_weights",
]

# OpenAI's state dicts carry these beside the weights; none is a parameter.
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
_SHOWN = 3
_LONGEST_HEADER = 100_000_000  # as safetensors itself has it
# Under what training scripts keep the weights beside the optimiser and the like.
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict onto the CPU, in the types of the file.

    Args:
        path: A safetensors file, or a torch file that holds tensors only (bare, or under
            "state_dict" or "model"; a "module." prefix goes).

    Raises:
        ModelError: The file is missing, damaged, a TorchScript program, or holds no state dict.
    """
    from torch import Tensor

    if path.is_dir():
        raise ModelError(
            "this is a folder, not a file of weights",
            where=path,
            remedy="Give a folder in open_clip's form to --model; otherwise name the file in it.",
        )
    if not path.is_file():
        raise ModelError(
            "there is no such file of weights",
            where=path,
            remedy="--weights takes a safetensors or torch file.",
        )
    if foreign := looks_like(path):
        raise ModelError(
            f"not a file of weights: it looks like {foreign}",
            where=path,
            remedy="--weights takes a bundle, safetensors or a torch state dict.",
        )
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    if isinstance(content, Mapping):
        inner = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        content = content if inner is None else content[inner]
    if not isinstance(content, Mapping) or not content:
        raise ModelError("the file holds no state dict", where=path)
    weights = {str(name): value for name, value in content.items()}
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    weights = {name: value for name, value in weights.items() if name not in _NOT_WEIGHTS}
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise ModelError(f"{name} in the file is not a tensor", where=path)
    return weights


def looks_whole(path: Path) -> bool:
    """Tell whether a file of weights has its end, without reading its middle."""
    try:
        if not _is_safetensors(path):
            # Torch's older form has no end to be seen.
            with path.open("rb") as file:
                return zipfile.is_zipfile(path) or file.read(2) == b"\x80\x02"
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = json.loads(file.read(min(length, _LONGEST_HEADER)))
        ends = [each["data_offsets"][1] for key, each in entries.items() if key != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def as_float(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with floating point as float32."""
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in weights.items()
    }


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Put weights into a model, every parameter exactly once.

    Raises:
        ModelError: Names or shapes differ; the message names a few.
    """
    own = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    # Some checkpoints keep the logit scale as one number, some as a vector of one.
    fitting = {
        key: value.reshape(own[key]) if value.numel() == 1 and key in own else value
        for key, value in weights.items()
    }
    differing = [
        f"{key} is {tuple(value.shape)} in the file, {own[key]} in the model"
        for key, value in fitting.items()
        if key in own and tuple(value.shape) != own[key]
    ]
    missing = [key for key in own if key not in fitting]
    unknown = [key for key in fitting if key not in own]
    parts = [
        f"{begin}{_some(items, comma)}"
        for begin, items, comma in (
            ("", differing, "; "), ("without ", missing, ", "), ("unknown ", unknown, ", ")
        )
        if items
    ]  # fmt: skip
    if parts:
        raise ModelError(
            f"the weights do not fit {name}: {'; '.join(parts)}",
            where=path,
            remedy="Name the architecture that the weights belong to with --model.",
        )
    if whole := [key for key, value in fitting.items() if not value.is_floating_point()]:
        what = f"the file has whole numbers in place of weights: {_some(whole)}"
        raise ModelError(what, where=path, remedy="Save them as float32 or float16.")
    if broken := [key for key, value in fitting.items() if not value.isfinite().all()]:
        what = f"the weights hold NaN or infinity: {_some(broken)}"
        raise ModelError(what, where=path, remedy="Train again, or copy the file again.")
    model.load_state_dict(fitting)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _some(items: list[str], comma: str = ", ") -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return comma.join(items[:_SHOWN]) + more


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(9)
    # An 8-byte length, then JSON: cache files and copies need not carry the suffix.
    return path.suffix == ".safetensors" or head[8:] == b"{"


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_torch(path: Path) -> Any:
    import torch

    if _is_torchscript(path):
        raise ModelError(
            "this is a TorchScript program (as OpenAI's original .pt files are), not weights",
            where=path,
            remedy="Use the safetensors form of the same model (open_clip_model.safetensors).",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise ModelError(
                "the file holds more than tensors, which rsclip does not run",
                where=path,
                remedy="Save its state dict alone, best as safetensors.",
            ) from error
        raise _damaged(path, error) from error
    except Exception as error:
        if is_memory_error(error):
            raise
        # A damaged pickle raises whatever its bytes happen to lead to.
        raise _damaged(path, error) from error


def _is_torchscript(path: Path) -> bool:
    return any(name.endswith("/constants.pkl") or "/code/" in name for name in _members(path))


def _members(path: Path) -> list[str]:
    """Return the names in a zip archive; none for a damaged one or another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _damaged(path: Path, error: Exception) -> ModelError:
    reason = first_line(error).partition(". ")[0]
    return ModelError(
        f"the weights file is damaged, cut short or not a weights file ({reason})",
        where=path,
        remedy="Copy or download it again.",
    )


_HEAD = 512
# Beginnings of files that people take for weights.
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of git LFS: the file itself was not fetched"),
    (b"<", "a web page or XML"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"GGUF", "GGUF, the form of language models"),
)
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")


def looks_like(path: Path) -> str | None:
    """Name what a file is in place of weights; None for one that may hold them.

    Args:
        path: A file that is there.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "an empty file"
    # Safetensors begin with a length, which may read like anything, and then JSON.
    if head[6:9] == b"\0\0{":
        return None
    for beginning, what in _BEGINNINGS:
        if head.lstrip().startswith(beginning):
            return what
    # Torch's own archives hold a pickle; TorchScript is refused by its own name.
    members = _members(path) if head.startswith(b"PK\3\4") else []
    if members and not any(name.endswith(".pkl") for name in members):
        return "a zip archive without weights of torch: unpack it first"
    if _is_text(head):
        return "JSON" if head.lstrip()[:1] in (b"{", b"[") else "text"
    return None


def _is_text(head: bytes) -> bool:
    try:
        # The last character may be cut.
        head[: max(len(head) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.intersection(head)
