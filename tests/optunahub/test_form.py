"""The folders keep the rules of the OptunaHub registry, and tell the truth about the classes.

The rules: "How to Register Your Package with OptunaHub" in optunahub's tutorials for contributors,
CONTRIBUTING.md and header_confirm.py of optuna/optunahub-registry.
"""

from __future__ import annotations

import inspect
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.optunahub.packages import FOLDERS, PACKAGES, REPOSITORY, Package

FILES = {"README.md", "LICENSE", "__init__.py", "example.py", "requirements.txt"}
SECTIONS = ["Abstract", "APIs", "Installation", "Example", "Others"]
TAGS = {"samplers": "sampler", "pruners": "pruner"}

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

each_package = pytest.mark.parametrize("package", PACKAGES, ids=str)


def test_every_folder_for_the_registry_is_tested_here() -> None:
    found = {path.parent for path in FOLDERS.glob("*/*/README.md")}
    assert found == {package.folder for package in PACKAGES}


@each_package
def test_a_folder_has_the_files_of_the_registry(package: Package) -> None:
    files = {path.name for path in package.folder.iterdir() if path.is_file()}
    assert files == FILES
    assert list((package.folder / "tests").glob("test_*.py"))


@each_package
def test_the_front_matter_has_what_the_hub_shows(package: Package) -> None:
    matter = package.front_matter
    texts = {name: value for name, value in matter.items() if isinstance(value, str)}
    assert texts.keys() == {"author", "title", "description", "license"}
    assert all(text and "\n" not in text for text in texts.values())
    assert texts["license"] == "MIT License"
    assert matter.keys() - texts.keys() == {"tags", "optuna_versions"}
    for words in (matter["tags"], matter["optuna_versions"]):
        assert words and all(isinstance(word, str) for word in words)
    assert TAGS[package.category] in matter["tags"]


@each_package
def test_the_title_is_no_class_name_and_the_description_one_sentence(package: Package) -> None:
    matter = package.front_matter
    assert matter["title"] not in {cls.__name__ for cls in package.classes}
    assert re.fullmatch(r"[A-Z][^.]*\.", matter["description"])


@each_package
def test_the_versions_of_optuna_are_supported_and_one_is_that_of_these_tests(
    package: Package,
) -> None:
    versions = package.front_matter["optuna_versions"]
    (needed,) = [
        each for each in map(Requirement, PROJECT["dependencies"]) if each.name == "optuna"
    ]
    assert all(needed.specifier.contains(version) for version in versions)
    pins = dict(
        re.findall(r"^([\w-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.M)
    )
    assert pins["optuna"] in versions


@each_package
def test_the_licence_is_that_of_the_repository(package: Package) -> None:
    assert (package.folder / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()


@each_package
def test_the_requirement_is_this_package_in_a_version_that_exists(package: Package) -> None:
    (line,) = (package.folder / "requirements.txt").read_text().splitlines()
    requirement = Requirement(line)
    assert requirement.name == PROJECT["name"]
    assert requirement.specifier.contains(PROJECT["version"])
    assert f"pip install {PROJECT['name']}\n" in package.sections["Installation"]


@each_package
def test_the_readme_has_the_sections_in_order_and_no_html(package: Package) -> None:
    assert list(package.sections) == SECTIONS
    text = re.sub(r"```.*?```|`[^`]*`", "", package.readme, flags=re.DOTALL)
    assert re.findall(r"</?[a-zA-Z!][^>]*>", text) == []


@each_package
def test_every_argument_is_in_the_readme_with_its_default(package: Package) -> None:
    apis = package.sections["APIs"]
    for cls in package.classes:
        (signature,) = re.findall(rf"^- `{cls.__name__}\((.*?)\)`", apis, re.MULTILINE)
        shown = [each for each in signature.split(", ") if each != "*"]
        parameters = inspect.signature(cls).parameters.values()
        assert [each.split("=")[0] for each in shown] == [each.name for each in parameters]
        for text, parameter in zip(shown, parameters, strict=True):
            if "=" in text and parameter.name != "options":  # a record: its name is shown
                default = text.split("=")[1].replace('"', "'")
                assert default == repr(parameter.default), parameter.name
            assert re.search(rf"^  - .*`{parameter.name}`", apis, re.MULTILINE), parameter.name


@each_package
def test_nothing_loads_the_package_from_anywhere_but_the_registry(package: Package) -> None:
    """Local folders and forks have no place in what the hub shows."""
    for code in (package.code, (package.folder / "example.py").read_text()):
        assert re.findall(r"load\w*module\(.*?\)", code, re.DOTALL) == [
            f'load_module(package="{package.name}")'
        ]
