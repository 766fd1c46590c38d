"""Which features of HTML and CSS a mail uses, by the names caniemail gives them.

Conservative on purpose: what a mail program reads, not what stands in conditional comments for
Outlook, nor the `-webkit-` and `mso-` properties, which are only ever hints to one program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from newsletter.rendering.quality.css import Declaration, Sheet, StyleRule, declarations
from newsletter.rendering.quality.tree import Element

# Features of CSS whose name is not that of the one property they are about.
_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "css-block-inline-size": ("block-size", "inline-size"),
    "css-border-inline-block": ("border-inline", "border-block"),
    "css-border-inline-block-individual": (
        "border-block-end", "border-block-start", "border-inline-end", "border-inline-start",
    ),
    "css-border-inline-block-longhand": (
        "border-block-color", "border-block-style", "border-block-width",
        "border-inline-color", "border-inline-style", "border-inline-width",
    ),
    "css-border-radius-logical": (
        "border-end-end-radius", "border-end-start-radius",
        "border-start-end-radius", "border-start-start-radius",
    ),
    "css-column-layout-properties": (
        "columns", "column-fill", "column-rule", "column-span", "column-width",
    ),
    "css-gap": ("gap", "column-gap", "row-gap"),
    "css-grid-template": (
        "grid-template", "grid-template-areas", "grid-template-columns", "grid-template-rows",
    ),
    "css-left-right-top-bottom": ("left", "right", "top", "bottom"),
    "css-margin-block-start-end": ("margin-block-start", "margin-block-end"),
    "css-margin-inline-block": ("margin-inline", "margin-block"),
    "css-margin-inline-start-end": ("margin-inline-start", "margin-inline-end"),
    "css-padding-block-start-end": ("padding-block-start", "padding-block-end"),
    "css-padding-inline-block": ("padding-inline", "padding-block"),
    "css-padding-inline-start-end": ("padding-inline-start", "padding-inline-end"),
}  # fmt: skip
# Longhands that caniemail has no page of; their shorthand's page speaks for them.
_SHORTHANDS = ("border", "margin", "padding", "list-style", "transition", "animation", "outline")
_VALUES: Mapping[tuple[str, str], str] = {
    ("display", "flex"): "css-display-flex",
    ("display", "inline-flex"): "css-display-flex",
    ("display", "grid"): "css-display-grid",
    ("display", "inline-grid"): "css-display-grid",
    ("display", "none"): "css-display-none",
}
_FUNCTIONS: Mapping[str, str] = {
    "calc": "css-unit-calc", "clamp": "css-function-clamp", "max": "css-function-max",
    "min": "css-function-min", "light-dark": "css-function-light-dark", "var": "css-variables",
    "rgb": "css-rgb", "rgba": "css-rgba", "hwb": "css-modern-color", "lab": "css-modern-color",
    "lch": "css-modern-color", "oklab": "css-modern-color", "oklch": "css-modern-color",
    "linear-gradient": "css-linear-gradient", "radial-gradient": "css-radial-gradient",
    "conic-gradient": "css-conic-gradient",
}  # fmt: skip
_KEYWORDS: Mapping[str, str] = {
    "initial": "css-unit-initial", "fit-content": "css-intrinsic-size",
    "min-content": "css-intrinsic-size", "max-content": "css-intrinsic-size",
    "system-ui": "css-sytem-ui", "ui-serif": "css-sytem-ui", "ui-sans-serif": "css-sytem-ui",
}  # fmt: skip
_COMBINATORS: Mapping[str, str] = {
    ">": "css-selector-child", "+": "css-selector-adjacent-sibling",
    "~": "css-selector-general-sibling", " ": "css-selector-descendant",
}  # fmt: skip
_TAGS: Mapping[str, str] = {
    **dict.fromkeys(("ul", "ol", "dl"), "html-lists"),
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "html-h1-h6"),
    **dict.fromkeys(
        ("article", "aside", "details", "figcaption", "figure", "footer", "header", "main",
         "mark", "nav", "section", "summary", "time"),
        "html-semantics",
    ),
    "map": "html-image-maps",
}  # fmt: skip
_ATTRIBUTES: Mapping[str, str] = {
    "loading": "html-loading-attribute", "srcset": "html-srcset", "sizes": "html-srcset",
    "inert": "css-inert-attribute",
}  # fmt: skip
_PLAIN_ATTRIBUTES = frozenset(
    {"align", "aria-describedby", "aria-hidden", "aria-label", "aria-labelledby", "aria-live"}
    | {"background", "cellpadding", "cellspacing", "dir", "height", "hidden", "lang", "popover"}
    | {"required", "role", "target", "valign", "width"}
)
_UNIT = re.compile(r"(?<![\w#-])[+-]?(?:\d+\.?\d*|\.\d+)(%|[a-zA-Z]+)")
_FUNCTION = re.compile(r"([a-zA-Z-]+)\(")
_WORD = re.compile(r"[a-zA-Z-]+")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MEDIA = re.compile(r"\(\s*(?:-webkit-)?(?:min-|max-)?(prefers-color-scheme|prefers-reduced-motion"
                    r"|orientation|hover|device-pixel-ratio)")  # fmt: skip
_PSEUDO = re.compile(r"(::?)([a-z-]+)")
_COMBINATOR = re.compile(r"\s*([>+~])\s*|\s+")
_IMAGE = re.compile(r"\.(apng|avif|bmp|gif|hdr|heif|ico|jpe?g|mp4|png|svg|tiff|webp)(?:[?#]|$)")


def used(elements: Iterable[Element], sheets: Iterable[Sheet]) -> dict[str, Element | int]:
    """Each feature the mail uses, with the element, or the line of the HTML, of its first use."""
    places: dict[str, Element | int] = {}
    for element in elements:
        for feature in _of_element(element):
            places.setdefault(feature, element)
    for feature, line in _of_sheets(sheets):
        places.setdefault(feature, line)
    return places


def _of_element(element: Element) -> Iterator[str]:
    if element.tag == "#document":
        return
    yield _TAGS.get(element.tag, f"html-{element.tag}")
    for name, value in element.attributes.items():
        if name in _PLAIN_ATTRIBUTES:
            yield f"html-{name}"
        elif name in _ATTRIBUTES:
            yield _ATTRIBUTES[name]
        elif name == "style":
            yield from _of_declarations(value)
        elif name == "type" and element.tag in {"input", "button"}:
            yield f"html-{element.tag}-{value.lower()}"
        elif name == "href" and element.tag == "a":
            yield from _of_address(value)
        elif name == "src" and element.tag == "img":
            yield from _of_image(value)
        elif (name, value) == ("name", "color-scheme") and element.tag == "meta":
            yield "html-meta-color-scheme"


def _of_address(href: str) -> Iterator[str]:
    if href.startswith("#"):
        yield "html-anchor-links"
    elif href.lower().startswith("mailto:"):
        yield "html-mailto-links"


def _of_image(src: str) -> Iterator[str]:
    if src.startswith("data:"):
        yield "image-base64"
    elif match := _IMAGE.search(src.lower()):
        yield f"image-{match[1].replace('jpeg', 'jpg')}"


@lru_cache(maxsize=2048)  # inlined styles repeat
def _of_declarations(style: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(feature for one in declarations(style) for feature in _of_declaration(one))
    )


def _of_declaration(declaration: Declaration) -> Iterator[str]:
    name, value = declaration.name, declaration.value.lower()
    if name.startswith("--"):
        yield "css-variables"
        return
    if name.startswith(("-", "mso-")):
        return
    yield from _of_property(name)
    if declaration.important:
        yield "css-important"
    if (name, value) in _VALUES:
        yield _VALUES[name, value]
    bare = _QUOTED.sub(" ", value)
    for unit in _UNIT.findall(bare):
        yield "css-unit-percent" if unit == "%" else f"css-unit-{unit}"
    for function in _FUNCTION.findall(bare):
        if function in _FUNCTIONS:
            yield _FUNCTIONS[function]
    for word in _WORD.findall(bare):
        if word in _KEYWORDS:
            yield _KEYWORDS[word]


@lru_cache(maxsize=512)
def _of_property(name: str) -> tuple[str, ...]:
    return tuple(_by_property(name))


def _by_property(name: str) -> Iterator[str]:
    yield f"css-{name}"
    yield from (feature for feature, names in _PROPERTIES.items() if name in names)
    for shorthand in _SHORTHANDS:
        if name.startswith(f"{shorthand}-"):
            yield f"css-{shorthand}"


def _of_sheets(sheets: Iterable[Sheet]) -> Iterator[tuple[str, int]]:
    for sheet in sheets:
        if sheet.has_comments:
            yield "css-comments", 1
        for prelude, line, _around in sheet.at_rules:
            name = prelude[1:].split(" ")[0].split("(")[0]
            yield f"css-at-{name}", line
            for feature in _MEDIA.findall(prelude):
                yield f"css-at-media-{feature}", line
        for rule in sheet.rules:
            for feature in _of_rule(rule):
                yield feature, rule.line


def _of_rule(rule: StyleRule) -> Iterator[str]:
    for declaration in rule.declarations:
        yield from _of_declaration(declaration)
    if len(rule.selectors) > 1:
        yield "css-selector-grouping"
    for selector in rule.selectors:
        yield from _of_selector(selector)


@lru_cache(maxsize=512)
def _of_selector(selector: str) -> tuple[str, ...]:
    bare = re.sub(r"\[[^\]]*\]", "[]", selector)
    found = [_COMBINATORS[match[1] or " "] for match in _COMBINATOR.finditer(bare.strip())]
    if "[]" in bare:
        found.append("css-selector-attribute")
    if "." in bare:
        found.append("css-selector-class")
    if "#" in bare:
        found.append("css-selector-id")
    if "*" in bare:
        found.append("css-selector-universal")
    if re.search(r"(?:^|[\s>+~])[a-z]", bare):
        found.append("css-selector-type")
    if re.search(r"[\w\]][.#\[]", bare):
        found.append("css-selector-chaining")
    for colons, name in _PSEUDO.findall(bare):
        kind = "element" if colons == "::" or name in {"before", "after"} else "class"
        found.append(f"css-pseudo-{kind}-{name}")
    return tuple(found)
