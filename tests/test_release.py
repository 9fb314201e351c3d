"""Files about the project say what the project says of itself."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from rsclip.version import __version__


@pytest.fixture(scope="module")
def project(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version(repository, project):
    cited = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert cited["license"] == project["license"]
    # Its date is that of the newest release in the change log.
    log = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d.*)$", log, re.M)[0] == f"{__version__} - {cited['date-released']}"
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()


def test_the_licence_of_every_dependency_is_told(repository, project):
    page = (repository / "docs/licences.md").read_text(encoding="utf-8").lower()
    for text in project["dependencies"]:
        assert f"| {Requirement(text).name.lower()} |" in page


def test_the_lower_bounds_are_those_that_were_tried(repository, project):
    lines = (repository / "tests/minima.txt").read_text(encoding="utf-8").splitlines()
    tried = [Requirement(line) for line in lines if not line.startswith("#")]
    lowest = {one.name: next(iter(one.specifier)).version for one in tried}
    for text in project["dependencies"]:
        bounds = {one.version for one in Requirement(text).specifier if one.operator == ">="}
        name = Requirement(text).name
        # Of torch one release was at hand.
        if name != "torch":
            assert {Version(one) for one in bounds} == {Version(lowest[name])}


def test_the_source_package_has_no_part_of_the_tests(repository, tmp_path):
    """setuptools would take the test_*.py of the first folder, and nothing that they need."""
    left = shutil.ignore_patterns(".*", "data", "build", "dist", "docs", "*.egg-info")
    shutil.copytree(repository, tmp_path / "src", ignore=left)
    build = "from setuptools.build_meta import build_sdist; build_sdist('..')"
    subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path / "src", check=True, capture_output=True
    )
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"rsclip", "cli", "configs", "README.md", "LICENSE"} <= tops
    assert "tests" not in tops


def test_every_page_is_in_the_site(repository):
    site = yaml.safe_load((repository / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = []
    for part in site["nav"]:
        (entry,) = part.values()
        listed += (
            [entry] if isinstance(entry, str) else [next(iter(page.values())) for page in entry]
        )
    assert sorted(listed) == sorted(path.name for path in (repository / "docs").glob("*.md"))


def test_the_image_is_built_as_the_readme_installs(repository):
    install = "--constraint constraints.txt ."
    for name in ("README.md", "Dockerfile"):
        assert install in (repository / name).read_text(encoding="utf-8")


def test_the_conda_recipe_asks_for_what_the_project_asks_for(repository, project):
    recipe = yaml.safe_load((repository / ".conda/recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == __version__
    there = {"torch": "pytorch"}
    asked = {}
    for one in map(Requirement, project["dependencies"]):
        name = one.name.lower().replace("_", "-")
        asked[there.get(name, name)] = one.specifier
    # conda-forge lacks it.
    letters = asked.pop("fontpkg-noto-sans")
    assert f'"fontpkg-noto-sans{letters}"' in recipe["build"]["script"][1]
    asked["python"] = SpecifierSet(project["requires-python"])
    run = map(Requirement, recipe["requirements"]["run"])
    assert {one.name: one.specifier for one in run} == asked


def test_the_readme_has_the_figures_of_the_accuracy_page(repository):
    page = (repository / "docs/accuracy.md").read_text(encoding="utf-8")
    table = page.split("<!-- real imagery: begin -->")[1].split("<!-- real imagery: end -->")[0]
    held_out = [row for row in table.splitlines() if row.startswith("| ") and "(in" not in row]
    assert len(held_out) == 6
    readme = (repository / "README.md").read_text(encoding="utf-8").splitlines()
    assert set(held_out) <= set(readme)
