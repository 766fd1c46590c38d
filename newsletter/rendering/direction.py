"""Which way a language is written."""

from __future__ import annotations

_LANGUAGES = frozenset(
    {"ar", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"}  # ku is written in Latin
)
_SCRIPTS = frozenset({"adlm", "arab", "hebr", "nkoo", "rohg", "syrc", "thaa"})


def is_right_to_left(language: str) -> bool:
    """Of a BCP 47 tag: by its script where it names one (`az-Arab`), else by its language."""
    parts = language.lower().split("-")
    scripts = [part for part in parts[1:] if len(part) == 4 and part.isalpha()]
    return scripts[0] in _SCRIPTS if scripts else parts[0] in _LANGUAGES
