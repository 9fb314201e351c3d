"""The algorithms: which commands they run, and what QGIS has for their options."""

from __future__ import annotations

import html
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
)
from qgis.PyQt.QtGui import QIcon

from . import settings
from .parameters import definition, words
from .process import FACTS, ProcessError, Progress, run, version_problem
from .results import layer_name, load_later

# What has no sense in QGIS, or is given by the plugin itself.
_LEFT_OUT = {
    "as_json", "quiet", "verbose", "progress", "dry_run", "retry_failed", "dask", "half",
    "expected",
}  # fmt: skip
_LOAD = "LOAD"
# Exit code of a batch of which some scenes failed.
_SOME_FAILED = 3
# Lines of click before an error, for whoever types commands.
_USAGE = ("Usage: ", "Try '")
# A batch without a mosaic puts no more scenes than this into the project.
_MOST_SCENES = 50
_OUTPUTS = {
    "raster": QgsProcessingOutputRasterLayer,
    "vector": QgsProcessingOutputVectorLayer,
    "file": QgsProcessingOutputFile,
    "page": QgsProcessingOutputHtml,
    "text": QgsProcessingOutputString,
}


@dataclass(frozen=True)
class Spec:
    """An algorithm.

    Attributes:
        command: The command, as on the command line.
        title: Its name in the toolbox.
        kinds: Option -> what QGIS has for it, in place of a plain value; see `parameters.py`.
        shown: The options that are not folded away, those of `kinds` besides.
        outputs: Key of rsclip's JSON -> kind of the output, which is named like the key.
        defaults: Values that the command line leaves open.
        only: Where given: no other options.
    """

    command: str
    title: str
    kinds: dict[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether QGIS has asked before a file is replaced."""
        return not {"vector_out", "file_out"}.isdisjoint(self.kinds.values())


_SCENE = {"aoi": "extent", "output_dir": "folder_out"}
SPECS = (
    Spec(
        "segment", "Segment",
        {"scenes": "raster", **_SCENE},
        ("classes", "model", "method", "gsd", "threshold", "adapter", "confidence", "margin",
         "overwrite"),
        {"mask": "raster", "polygons": "vector", "confidence": "raster", "margin": "raster",
         "areas": "file", "preview": "file", "record": "file"},
    ),
    Spec(
        "batch", "Segment many scenes (batch)",
        {"inputs": "folder", **_SCENE},
        ("classes", "recursive", "model", "gsd", "threshold", "mosaic", "merge_polygons", "jobs"),
        {"manifest": "file"},
    ),
    Spec(
        "polygonize", "Polygonize",
        {"mask": "raster", "confidence": "raster", "output": "vector_out"},
        ("simplify", "min_area", "sieve"),
        {"polygons": "vector"},
    ),
    Spec(
        "compare", "Compare methods",
        {"scene": "raster", "labels": "layer", **_SCENE},
        ("classes", "methods", "model", "gsd"),
        {"picture": "file", "scores": "file", "agreement": "file", "record": "file"},
        {"methods": "clearclip,sclip"},
    ),
    Spec(
        "evaluate", "Evaluate",
        {"mask": "raster", "labels": "layer", "points": "vector", "confidence": "raster", **_SCENE},
        ("classes",),
        {"page": "page", "errors": "raster", "scores": "file", "record": "file"},
        only=("mask", "labels", "points", "output_dir", "classes", "mapping", "ignore", "aoi",
              "confidence", "boundary", "block", "overwrite"),
    ),
    Spec(
        "sample", "Sample for accuracy",
        {"mask": "raster", "confidence": "raster", "output": "vector_out"},
        ("count", "strata", "seed"),
        {"sample": "vector"},
        {"count": 300},
    ),
    Spec(
        "suggest", "Suggest labels",
        {"scene": "raster", "labels": "vector", "aoi": "extent", "output": "vector_out"},
        ("classes", "count", "adapter", "model", "gsd"),
        {"suggestions": "vector"},
    ),
    Spec(
        "adapt", "Adapt to labels",
        {"scenes": "raster", "labels": "vector", "output": "file_out"},
        ("classes", "kind", "model", "gsd"),
        {"adapter": "file"},
    ),
    Spec("models list", "Models", {}, ("here",), {"models": "text"}),
)  # fmt: skip


class RsclipAlgorithm(QgsProcessingAlgorithm):
    """One command of rsclip as an algorithm of Processing."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self._facts = FACTS["commands"][spec.command]
        out = _LEFT_OUT | ({"overwrite"} if spec.replaces else set())
        self._options = [
            each
            for each in self._facts["options"]
            if each["name"] not in out and (not spec.only or each["name"] in spec.only)
        ]

    def createInstance(self) -> RsclipAlgorithm:  # noqa: N802
        """Return a new algorithm of the same kind."""
        return RsclipAlgorithm(self._spec)

    def name(self) -> str:
        """Return the name in `rsclip:NAME`."""
        return self._spec.command.split()[0]

    def displayName(self) -> str:  # noqa: N802
        """Return the name in the toolbox."""
        return self._spec.title

    def icon(self) -> QIcon:
        """Return rsclip's icon."""
        return settings.icon()

    def shortHelpString(self) -> str:  # noqa: N802
        """Return the command's help, without its examples."""
        return help_page(self._facts["help"])

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802
        """Say whether there is an rsclip to run."""
        try:
            settings.executable()
        except ProcessError as error:
            return False, str(error)
        return True, ""

    def initAlgorithm(self, configuration: Any = None) -> None:  # noqa: N802
        """Declare parameters and outputs: first the shown ones, in the table's order."""
        spec = self._spec
        first = [*spec.kinds, *spec.shown]
        # Arguments, then what is shown, then the rest; outputs come last, as everywhere in QGIS.
        out = ("folder_out", "vector_out", "file_out")
        ranked = sorted(
            self._options,
            key=lambda each: (
                spec.kinds.get(each["name"]) in out,
                each["flag"] is not None,
                not each["required"],
                first.index(each["name"]) if each["name"] in first else len(first),
            ),
        )
        for option in ranked:
            folded = option["name"] not in first and not option["required"]
            made = definition(option, spec.kinds.get(option["name"]), advanced=folded)
            if option["name"] in spec.defaults:
                made.setDefaultValue(spec.defaults[option["name"]])
            self.addParameter(made)
        if self._loads:
            self.addParameter(
                QgsProcessingParameterBoolean(
                    _LOAD, "Load the results", defaultValue=True, optional=True
                )
            )
        there = {each.name() for each in self.outputDefinitions()}
        for key, kind in spec.outputs.items():
            if key.upper() not in there:
                self.addOutput(_OUTPUTS[kind](key.upper(), key.capitalize()))

    def processAlgorithm(self, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:  # noqa: N802
        """Run the command as a process; its messages are shown as they are."""
        if "folder_out" in self._spec.kinds.values():
            # Each question for a temporary folder is answered by a new one.
            folder = self.parameterAsString(parameters, "OUTPUT", context)
            parameters = {**parameters, "OUTPUT": folder}
        try:
            found = self._run(parameters, context, feedback)
        except ProcessError as error:
            raise QgsProcessingException(str(error)) from error
        if found is None:
            return {}
        return self._results(found, parameters, context, feedback)

    def _run(self, parameters: Any, context: Any, feedback: Any) -> Any:
        command = settings.executable()
        if problem := version_problem(command, feedback.isCanceled):
            feedback.pushWarning(problem)
        command += [*self._spec.command.split(), "--json"]
        arguments: list[str] = []
        for option in self._options:
            kind = self._spec.kinds.get(option["name"])
            given = words(self, option, kind, parameters, context)
            (arguments if option["flag"] is None else command).extend(given)
        if self._spec.replaces and self._takes("overwrite"):
            command.append("--overwrite")
        if self._takes("progress"):
            command.append("--progress=json")
        if arguments:
            command += ["--", *arguments]
        feedback.pushCommandInfo(shlex.join(command))
        progress, errors, told = Progress(), [], False

        def listen(line: str) -> None:
            nonlocal told
            message = progress.read(line)
            feedback.setProgress(progress.percent)
            if not message:
                return
            if message.startswith(_USAGE):
                return
            if message.startswith("Error: "):
                errors.append(message[len("Error: ") :])
            elif message.startswith("failed "):
                # A scene of a batch, which goes on with the others.
                feedback.reportError(message)
            elif message.startswith("Warning: "):
                feedback.pushWarning(message[len("Warning: ") :])
            else:
                told = told or message.startswith("Interrupted")
                feedback.pushInfo(message)

        code, said, complaint = run(command, listen, feedback.isCanceled)
        if code and feedback.isCanceled():
            if not told:
                # The signal came before rsclip could hear it, or there are none as on Windows.
                feedback.pushInfo("Interrupted: the process was ended.")
            return None
        if code == _SOME_FAILED and said:
            # The other scenes are done, and their layers wanted.
            feedback.reportError("\n".join(errors))
        elif code:
            lines = errors or complaint.strip().splitlines()[-3:] or [f"exit code {code}"]
            raise ProcessError("\n".join(lines))
        return json.loads(said)

    @property
    def _loads(self) -> bool:
        """Whether we ask if outputs are loaded; QGIS itself asks for its own destinations."""
        return not self._spec.replaces and self._spec.command != "models list"

    def _takes(self, name: str) -> bool:
        return any(each["name"] == name for each in self._facts["options"])

    def _results(self, found: Any, parameters: Any, context: Any, feedback: Any) -> dict[str, Any]:
        command = self._spec.command
        if command == "models list":
            here = [item["name"] for item in found if item["path"]]
            settings.remember_models(here)
            feedback.pushInfo(f"On this machine: {', '.join(here)}.")
            return {"MODELS": ", ".join(item["name"] for item in found)}
        results = {"OUTPUT": self.parameterAsString(parameters, "OUTPUT", context)}
        load = self._loads and self.parameterAsBool(parameters, _LOAD, context)
        for group, outputs in _scenes(command, found, results["OUTPUT"]):
            told = {key: path for key, path in outputs.items() if key in self._spec.outputs}
            results.update({key.upper(): path for key, path in told.items()})
            if self._spec.replaces:
                results["OUTPUT"] = next(iter(told.values()))
            load_later(context, group, outputs, more=load)
        return results


def _scenes(command: str, found: Any, folder: str) -> list[tuple[str, dict[str, str]]]:
    """Return the name and the outputs (key -> path) of every scene in a command's JSON."""
    if command == "segment":
        return [(_group(item["record"]), item["outputs"]) for item in found]
    if command == "batch":
        # Files over all scenes stand for them on the map.
        shared = {Path(path).stem: path for path in found["files"]}
        shared["manifest"] = found["manifest"]
        if any(layer_name(key) for key in shared):
            return [(Path(folder).name, shared)]
        done = [item for item in found["scenes"] if item["outputs"]]
        return [
            ("", shared),
            *(
                (
                    _group(item["outputs"]["record"]),
                    {key: str(Path(folder, path)) for key, path in item["outputs"].items()},
                )
                for item in done[:_MOST_SCENES]
            ),
        ]
    if "outputs" in found:
        return [(_group(found["outputs"]["record"]), found["outputs"])]
    # A file made of a mask or a scene that is there.
    return [(_group(found.pop("mask", None) or found.pop("scene", "")), found)]


def _group(path: str) -> str:
    """Return the scene's name by that of an output."""
    return re.sub(r"((_run|_compare|_evaluation)\.json|(_mask)?\.\w+)$", "", Path(path).name)


def help_page(text: str) -> str:
    """Return a command's help as HTML, without examples and exit codes."""
    kept = []
    for paragraph in text.split("\n\n"):
        if "\b" in paragraph or "Exit codes" in paragraph:
            continue
        kept.append(f"<p>{html.escape(' '.join(paragraph.split()))}</p>")
    return "".join(kept)
