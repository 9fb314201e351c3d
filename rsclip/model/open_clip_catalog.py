"""What open_clip knows of models: architectures, pretrained weights, tokenizer; without torch.

Importing open_clip takes seconds, for torch and torchvision. Its architectures are JSON files and
its list of pretrained weights is a module that needs neither, so that both are read from where it
is installed. Where a release keeps them otherwise, open_clip is imported after all.
"""

import ast
import builtins
import copy
import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from rsclip.model.open_clip_import import import_open_clip, knows_models

__all__ = ["architecture_keys", "open_clip_catalog", "tokenizer_facts"]

_PARTS = ("embed_dim", "vision_cfg", "text_cfg")
_COPY = "_rsclip_open_clip"
# Not needed to name weights; open_clip's module can do without them.
_HEAVY = ("torch", "safetensors", "huggingface_hub")
_MERGES = "bpe_simple_vocab_16e6.txt.gz"


def open_clip_catalog() -> Any:
    """Return what lists models as open_clip does, under the names that open_clip has.

    They are list_models, get_model_config, list_pretrained, list_pretrained_tags_by_model,
    get_pretrained_cfg, OPENAI_DATASET_MEAN and OPENAI_DATASET_STD.

    Raises:
        ModelError: open_clip has to be imported, and torchvision does not load.
    """
    # Architectures may have been added to it.
    return import_open_clip() if knows_models() else _read() or import_open_clip()


class _Catalog:
    """Architectures from their files; all else from the module of pretrained weights."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]], pretrained: ModuleType) -> None:
        self._configs = configs
        self._pretrained = pretrained

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pretrained, name)

    def list_models(self) -> list[str]:
        return list(self._configs)

    def get_model_config(self, arch: str) -> dict[str, Any] | None:
        return copy.deepcopy(dict(self._configs[arch])) if arch in self._configs else None


def architecture_keys() -> dict[str, set[str]]:
    """Return the keys that open_clip knows of an architecture, its image tower and its text tower.

    Raises:
        ModelError: See `open_clip_catalog`.
    """
    if not knows_models() and (found := _keys_read()):
        return found
    model = import_open_clip().model
    return {
        "": set(inspect.signature(model.CLIP).parameters),
        "vision_cfg": {item.name for item in fields(model.CLIPVisionCfg)},
        "text_cfg": {item.name for item in fields(model.CLIPTextCfg)},
    }


@functools.cache
def tokenizer_facts() -> dict[str, str]:
    """Return what tells one tokenizer from another: its kind and the SHA-256 of its merges."""
    merges = _folder() / _MERGES
    if not merges.is_file():
        merges = Path(import_open_clip().tokenizer.default_bpe())
    digest = hashlib.sha256(merges.read_bytes()).hexdigest()
    return {"kind": "CLIP byte pair encoding", "merges_sha256": digest}


@functools.cache
def _folder() -> Path:
    spec = importlib.util.find_spec("open_clip")
    places = (spec.submodule_search_locations if spec else None) or [""]
    return Path(places[0])


@functools.cache
def _read() -> Any:
    """Return the catalog read from open_clip's files; None where they are not as expected."""
    try:
        configs = {
            path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((_folder() / "model_configs").glob("*.json"), key=_natural)
        }
        return _Catalog(
            {name: each for name, each in configs.items() if all(part in each for part in _PARTS)},
            _pretrained(),
        )
    except Exception:
        # Another release may do anything here; what it is called then says what is wrong.
        return None


def _natural(path: Path) -> list[int | str]:
    parts = re.split(r"(\d+)", path.stem.lower())
    return [int(part) if part.isdigit() else part for part in parts]


def _pretrained() -> ModuleType:
    """Run open_clip's module of pretrained weights on its own, in a package of another name."""
    package = ModuleType(_COPY)
    package.__path__ = [str(_folder())]
    sys.modules[_COPY] = package
    spec = importlib.util.find_spec(f"{_COPY}.pretrained")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import_light}
    spec.loader.exec_module(module)
    module.OPENAI_DATASET_MEAN, module.OPENAI_DATASET_STD  # noqa: B018 (missing: not as expected)
    return module


def _import_light(name: str, *how: Any) -> Any:
    if name.partition(".")[0] in _HEAVY and not (len(how) > 3 and how[3]):
        raise ImportError(name)
    return builtins.__import__(name, *how)


@functools.cache
def _keys_read() -> dict[str, set[str]] | None:
    """Return `architecture_keys` from open_clip's source; None where it is not as expected."""
    try:
        tree = ast.parse((_folder() / "model.py").read_text(encoding="utf-8"))
        classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
        build = next(node for node in classes["CLIP"] if getattr(node, "name", "") == "__init__")
        assert isinstance(build, ast.FunctionDef)
        return {
            "": {each.arg for each in (*build.args.args, *build.args.kwonlyargs)} - {"self"},
            **{
                key: {
                    node.target.id
                    for node in classes[name]
                    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
                }
                for key, name in (("vision_cfg", "CLIPVisionCfg"), ("text_cfg", "CLIPTextCfg"))
            },
        }
    except (OSError, SyntaxError, KeyError, StopIteration, AssertionError):
        return None
