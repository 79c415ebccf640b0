"""What a new configuration changes: at once, with new windows, or only after a restart."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.config.effective import effective
from monitor.config.finding import Steps, dotted
from monitor.config.plans import plan_windows
from monitor.config.quantity import format_duration
from monitor.config.sensitive import MASK, is_sensitive, mask_urls
from monitor.config.settings import Settings


class Effect(enum.StrEnum):
    LIVE = "live"
    RESET = "window reset"
    RESTART = "restart needed"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs. `old` and `new` are texts without secrets, "" where there was none."""

    effect: Effect
    path: str
    old: str
    new: str
    models: tuple[str, ...] = ()
    """The models whose counts start anew, for a window reset."""
    note: str = ""

    @property
    def needs_restart(self) -> bool:
        return self.effect is Effect.RESTART

    @property
    def text(self) -> str:
        """One line for people: `live: models.churn.budget 2 per 30d -> 1 per 30d`."""
        if self.effect is Effect.RESTART:
            return f"refused: {self.path} (restart needed)"
        change = f"{self.old} -> {self.new}"
        if not self.old or not self.new:
            change = "added" if not self.old else "removed"
        return f"{self.effect}: {self.path} {change}" + (f" ({self.note})" if self.note else "")


_RESTART: tuple[tuple[str, ...], ...] = (
    ("kafka",),
    ("backend",),
    ("state", "log"),
    ("state", "dir"),
    ("state", "kafka"),
    ("web", "listen"),
    ("web", "route_prefix"),
    ("web", "enable_lifecycle"),
    ("web", "token"),
    ("web", "token_file"),
    ("sources", "*", "topic"),
    ("sources", "*", "format"),
    ("sources", "*", "dead_letter", "to"),
    ("sources", "*", "dead_letter", "path"),
    ("sources", "*", "dead_letter", "topic"),
    ("sources", "*", "dead_letter", "max_bytes"),
    ("sources", "*", "start"),
    ("sources", "*", "watermark_bound"),
    ("sources", "*", "max_future"),
    ("sources", "*", "max_ahead"),
    ("sources", "*", "idle"),
    ("models", "*", "source"),
)
_RESET: tuple[tuple[str, ...], ...] = (
    ("sources", "*", "fields", "time"),
    ("sources", "*", "fields", "latency"),
    ("sources", "*", "fields", "error"),
    ("models", "*", "reference"),
    ("models", "*", "features"),
    ("models", "*", "prediction"),
    ("models", "*", "label"),
)
_LIVE: tuple[tuple[str, ...], ...] = (
    ("models", "*", "features", "*", "tolerance"),
    ("models", "*", "prediction", "tolerance"),
    ("models", "*", "label", "tolerance"),
)


def diff(old: Settings, new: Settings, *, held: Mapping[str, int] | None = None) -> tuple[Change, ...]:
    """Every setting in which `new` differs, in the order of the settings. Pure.

    `held` says how many milliseconds of event time the open windows of a model hold, where known.
    """
    before, after = effective(old, secrets=True), effective(new, secrets=True)
    found = [_classify(steps, a, b, old, new, held or {}) for steps, a, b in _compare(before, after, ())]
    return tuple(found)


def _compare(old: Any, new: Any, steps: Steps) -> Iterator[tuple[Steps, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _compare(old.get(key), new.get(key), (*steps, key))
    elif old != new:
        yield steps, old, new


def _classify(
    steps: Steps, old: Any, new: Any, before: Settings, after: Settings, held: Mapping[str, int]
) -> Change:
    effect, note = Effect.LIVE, ""
    models: tuple[str, ...] = ()
    if len(steps) == 2 and steps[0] == "sources":
        effect = Effect.RESTART
    elif len(steps) == 2 and steps[0] == "models":
        note = "counts from now on" if old is None else "its incidents are closed"
    elif _matches(steps, _RESTART):
        effect = Effect.RESTART
    elif len(steps) > 2 and steps[0] == "models" and steps[2] in {"windows", "pane"}:
        effect, note = _windows(str(steps[1]), before, after)
    elif _matches(steps, _RESET) and not _matches(steps, _LIVE):
        effect = Effect.RESET
    if effect is Effect.RESET:
        models = _models(steps, after)
        note = _loss(models, held) + (f"; {note}" if note else "")
    return Change(effect, dotted(steps), _show(old, steps), _show(new, steps), models, note)


def _matches(steps: Steps, patterns: tuple[tuple[str, ...], ...]) -> bool:
    return any(
        len(steps) >= len(pattern) and all(p in {"*", s} for p, s in zip(pattern, steps, strict=False))
        for pattern in patterns
    )


def _windows(model: str, before: Settings, after: Settings) -> tuple[Effect, str]:
    """Counts are kept per pane: windows of the same panes lose nothing."""
    old, new = plan_windows(before.models[model])[1], plan_windows(after.models[model])[1]
    if old == new:
        return Effect.LIVE, f"the pane stays {format_duration(new)}: no counts are lost"
    return Effect.RESET, f"the pane becomes {format_duration(new)}"


def _models(steps: Steps, settings: Settings) -> tuple[str, ...]:
    if steps[0] == "models":
        return (str(steps[1]),)
    return settings.carried_by(str(steps[1]))


def _loss(models: tuple[str, ...], held: Mapping[str, int]) -> str:
    spans = [held[model] for model in models if model in held]
    return f"loses {max(spans) // 60_000} min of counts" if spans else "loses the counts of open windows"


def _show(value: Any, steps: Steps) -> str:
    if value is None:
        return ""
    if is_sensitive(steps):
        return MASK
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return f"[{', '.join(str(mask_urls(item)) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(mask_urls(value))
