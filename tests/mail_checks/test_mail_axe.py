"""axe-core on every mail, in chromium, at two widths and in both palettes: no violation."""

from __future__ import annotations

import checked_mails
import pytest
from outside_tools import AXE, require_node_packages
from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# All rules but two of its best practices, which are about whole pages: a mail is shown inside a
# mail program's page, which has its `main` already; in it, the mail is an article (`role`).
RUN = """
async () => {
  const off = {enabled: false};
  const rules = {'landmark-one-main': off, 'region': off};
  const {violations, incomplete, passes} = await axe.run(document, {rules});
  const told = (rule) => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 200)}`);
  return {
    violations: violations.flatMap(told),
    undecided: incomplete.filter(rule => rule.id === 'color-contrast').flatMap(told),
    passed: passes.map(rule => rule.id),
  };
}
"""


@pytest.fixture
def axe(page: Page) -> Page:
    """A page that has axe-core; what is in it is replaced by each mail."""
    require_node_packages()
    page.add_init_script(path=AXE)
    page.goto("about:blank")
    return page


def _look(page: Page, html: str) -> dict[str, list[str]]:
    page.set_content(html)
    return page.evaluate(RUN)


@pytest.mark.parametrize("name", checked_mails.NAMES)
def test_axe_finds_nothing(axe: Page, name: str) -> None:
    found = _look(axe, checked_mails.checked(name).html)
    assert found["violations"] == []
    assert found["undecided"] == []
    assert {"color-contrast", "document-title", "html-has-lang"} <= set(found["passed"])


@pytest.mark.parametrize("width", [375], indirect=True)
def test_axe_notices_faint_text_in_either_palette(axe: Page, palette: str) -> None:
    mail = checked_mails.checked("confirm").html
    near = {"light": "#eeeeee", "dark": "#2a2f2d"}[palette]  # to the ground of either
    faint = mail.replace("</head>", f"<style>h1 {{ color:{near} !important }}</style></head>")
    assert faint != mail
    assert any("color-contrast" in fault for fault in _look(axe, faint)["violations"])


@pytest.mark.parametrize("width", [375], indirect=True)
@pytest.mark.parametrize("palette", ["light"], indirect=True)
@pytest.mark.parametrize(
    ("part", "bad", "rule"),
    [
        (' alt=""', "", "image-alt"),
        (' lang="en"', "", "html-has-lang"),
        ("<h2", "<h4", "heading-order"),
        ("<title>", "<title></title><script>", "document-title"),
        ('scope="col"', 'scope="sideways"', "scope-attr-valid"),
    ],
)
def test_axe_notices_what_is_taken_away(axe: Page, part: str, bad: str, rule: str) -> None:
    mail = checked_mails.checked(checked_mails.ONE).html
    assert part in mail
    assert any(rule in fault for fault in _look(axe, mail.replace(part, bad))["violations"])
