"""A rehearsal from beginning to end: `rehearse` gives its certificate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from newsletter.app import App
from newsletter.errors import RefusedError
from newsletter.rehearsal import account, room, stage, supervisor
from newsletter.rehearsal.certificate import Certificate, Evidence, certify
from newsletter.rehearsal.room import Script, Stagecraft
from newsletter.rehearsal.stage_log import StageLog
from newsletter.rehearsal.supervisor import Plan
from newsletter.rehearsal.zygote import Zygote

Tell = Callable[[str], None]


def _say_nothing(_sentence: str) -> None:
    """For who only wants the certificate."""


def rehearse(
    app: App, ref: str, plan: Plan, *, keep: Path | None = None, tell: Tell = _say_nothing
) -> Certificate:
    """Sends issue `ref` of a real home, which is only read, to a stage of our own.

    keep: a folder that is not there yet or empty, to look into afterwards. tell: told about once a
    second how far it is. Raises NotFoundError, and RefusedError where the folder is in use.
    """
    script = room.script_of(app, ref)
    with scratch(keep) as folder:
        return perform(folder, script, plan, tell)


def perform(folder: Path, script: Script, plan: Plan, tell: Tell = _say_nothing) -> Certificate:
    """The same from a script, in an empty folder."""
    craft = Stagecraft.usual(plan.provider, readers=plan.readers, senders=plan.senders)
    room.furnish(folder, script, craft)
    with Zygote(folder) as zygote:
        course = supervisor.run(zygote, folder, plan, tell)
    app = room.enter(folder, port=1)
    try:
        proof, told = account.read(app, room.the_issue(app))
    finally:
        app.engine.dispose()
    is_smtp = plan.provider == "smtp"
    return certify(
        Evidence(
            plan,
            course,
            proof,
            told,
            StageLog.read(folder / stage.LOG),
            on_the_wire=room.on_the_wire(app.sending_provider, chunking=plan.chunking),
            per_fault=room.window(chunking=plan.chunking) if is_smtp else 1,
            per_second=app.settings.rate_per_second,
        )
    )


@contextmanager
def scratch(keep: Path | None) -> Iterator[Path]:
    """An empty folder; removed afterwards, unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="newsletter-rehearsal-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise RefusedError(f"{keep} is not empty", hint="give --keep a folder of its own")
    except OSError as error:
        raise RefusedError(
            f"{keep} cannot be made: {error.strerror}", hint="name a folder that can be written to"
        ) from None
    yield keep
