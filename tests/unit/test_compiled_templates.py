"""Templates are compiled once in a process, and never taken for one another."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from newsletter.rendering import compiled
from newsletter.rendering.compiled import CompiledTemplates


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of templates in the order in which they were compiled."""
    names: list[str] = []
    compile_one = jinja2.Environment.compile

    def told(self: jinja2.Environment, source: str, name: str, filename: str) -> object:
        names.append(name)
        return compile_one(self, source, name, filename)

    monkeypatch.setattr(jinja2.Environment, "compile", told)
    return names


def environment(folder: Path, cache: CompiledTemplates) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder)
    return jinja2.Environment(loader=loader, bytecode_cache=cache, autoescape=True)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text(text)
    return folder


def test_a_second_environment_compiles_nothing(tmp_path: Path, compilations: list[str]) -> None:
    cache, folder = CompiledTemplates(), written(tmp_path / "one", "{{ 6 * 7 }}")
    for _ in range(2):
        assert environment(folder, cache).get_template("a.txt").render() == "42"
    assert compilations == ["a.txt"]


def test_a_template_that_was_changed_is_compiled_anew(
    tmp_path: Path, compilations: list[str]
) -> None:
    cache = CompiledTemplates()
    for text in ("before", "after", "before"):
        folder = written(tmp_path / "one", text)
        assert environment(folder, cache).get_template("a.txt").render() == text
    assert compilations == ["a.txt", "a.txt"]


def test_templates_of_one_name_in_two_folders_are_two(
    tmp_path: Path, compilations: list[str]
) -> None:
    cache, same = CompiledTemplates(), "{{ 1 // n }}"
    for folder in (written(tmp_path / "own", same), written(tmp_path / "bundled", same)):
        with pytest.raises(ZeroDivisionError) as fault:
            environment(folder, cache).get_template("a.txt").render(n=0)
        assert fault.traceback[-1].path == folder / "a.txt"  # so that an error names its file
    assert compilations == ["a.txt", "a.txt"]


def test_only_so_many_are_kept(
    tmp_path: Path, compilations: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MOST", 2)
    cache = CompiledTemplates()
    for text in ("one", "two", "three", "three", "one"):
        environment(written(tmp_path / "one", text), cache).get_template("a.txt")
    assert len(compilations) == 4
