"""Kernels before the first record: compiled with progress when they have to be, loaded in silence when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

OFTEN = 1.0
"""Seconds between two lines of the log, at least."""

if TYPE_CHECKING:
    from kernels.jit import Step
    from monitor.clock import Clock


def warm_shown() -> None:
    """For commands: a bar, or lines, on stderr when it takes longer than a second."""
    from kernels.jit import warm
    from monitor.cli.progress import progress

    with progress("preparing kernels") as tell:
        warm(lambda step: tell(step.done / step.of))


def warm_logged(clock: Clock) -> float:
    """For the daemon: while kernels are compiled, a line of the log a second. Seconds it took."""
    import structlog

    from kernels.jit import is_cold, warm

    log = structlog.get_logger("kernels")
    began = shown = clock.monotonic()

    def show(step: Step) -> None:
        nonlocal shown
        now = clock.monotonic()
        if step.compiled and now - shown >= OFTEN:
            shown, seconds = now, round(now - began, 2)
            log.info(
                "kernels_compiling",
                kernel=step.name,
                compiled=step.compiled,
                modules=f"{step.done}/{step.of}",
                seconds=seconds,
            )

    if is_cold():
        log.info("kernels_cold", why="the first start of this version on this machine compiles them")
    warmth = warm(show)
    seconds = clock.monotonic() - began
    if warmth.problem:
        log.warning("kernels_not_stored", error=warmth.problem)
    log.info("kernels_warm", compiled=warmth.compiled, loaded=warmth.loaded, seconds=round(seconds, 2))
    return seconds
