"""The page for people: models worst first, incidents, partitions. Rendered here, works without scripts."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from monitor.view import View
from monitor.web.board import board
from monitor.web.settings import WebSettings
from monitor.web.text import FILTERS


class Page:
    """The template, compiled once. Every value is escaped: feature names come from Kafka."""

    def __init__(self, settings: WebSettings) -> None:
        environment = Environment(
            loader=PackageLoader("monitor.web", "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(FILTERS)
        environment.globals["prefix"] = settings.route_prefix
        environment.globals["anchor"] = self.anchor
        self._template = environment.get_template("overview.html")

    def render(self, view: View) -> bytes:
        return self._template.render(board(view)).encode("utf-8", "replace")

    @staticmethod
    def anchor(kind: str, name: Any) -> str:
        """The fragment of a model or an incident on the page: ("models", "churn") → "model-churn"."""
        word = re.sub(r"[^a-z]", "", kind.removesuffix("s"))
        return f"{word}-{quote(str(name), safe='')}"
