"""Renews the data of the client rules; for maintainers, never at run time.

    python -m newsletter.rendering.quality.renew caniemail PACKAGE_FOLDER
    python -m newsletter.rendering.quality.renew accepted ISSUE.html [MAIL.html ...]

The first distils the data of the npm package `caniemail`, unpacked, to what our rules ask for. The
second writes down what the given mails use and what that costs, as accepted from now on: look at
the difference before committing it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from newsletter.rendering.quality import clients
from newsletter.rendering.quality.anatomy import dissect


def distil(package: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Feature to title and a letter a program: of its newest version, without notes."""
    programs = sorted(clients.shares().by_program)
    return {
        "package": f"{package['name']} {package['version']}",
        "updated": str(data["last_update_date"])[:10],
        "source": "https://www.caniemail.com",
        "licence": "MIT, see caniemail.LICENSE",
        "programs": programs,
        "features": {
            feature["slug"]: [
                feature["title"],
                "".join(_letter(feature["stats"], one) for one in programs),
            ]
            for feature in sorted(data["data"], key=lambda one: str(one["slug"]))
        },
    }


def _letter(stats: Mapping[str, Any], program: str) -> str:
    family, _, platform = program.partition(".")
    versions = stats.get(family, {}).get(platform, {})
    return str(list(versions.values())[-1])[0] if versions else "u"


def accepted_by(mails: Iterable[str]) -> dict[str, float]:
    """What these mails' HTML uses and fewer than all readers see, with its cost in per cent."""
    used = {feature for html in mails for feature in clients.known_features(dissect(html))}
    costs = {feature: clients.cost(feature).share for feature in sorted(used)}
    return {feature: share for feature, share in costs.items() if share >= clients.WORTH_TELLING}


def accepted_file(features: Mapping[str, float]) -> str:
    """The text of data/accepted.json."""
    return json.dumps({**clients.provenance(), "features": features}, indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["caniemail", folder]:
            _write_caniemail(Path(folder))
        case ["accepted", *files] if files:
            mails = [Path(file).read_text(encoding="utf-8") for file in files]
            (clients.DATA / "accepted.json").write_text(accepted_file(accepted_by(mails)))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def _write_caniemail(folder: Path) -> None:
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    source = next(folder.rglob("caniemail.json"))
    distilled = distil(package, json.loads(source.read_text(encoding="utf-8")))
    lines = [
        f"  {json.dumps(slug)}: {json.dumps(one, ensure_ascii=False)}"
        for slug, one in distilled.pop("features").items()
    ]
    head = json.dumps(distilled, indent=1, ensure_ascii=False)[:-2]
    features = ",\n".join(lines)
    (clients.DATA / "caniemail.json").write_text(
        f'{head},\n "features": {{\n{features}\n }}\n}}\n', encoding="utf-8"
    )
    (clients.DATA / "caniemail.LICENSE").write_text(
        next(folder.glob("LICENSE*")).read_text(encoding="utf-8"), encoding="utf-8"
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
