"""The one place that builds everything, and the life of the process around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from monitor import metrics
from monitor.assembly import Assembly, Built, read_files
from monitor.clock import Clock, SystemClock
from monitor.deliver.start import run_integrations
from monitor.errors import ConfigError, DriftlineError, StateError, UsageError
from monitor.evaluate import Evaluate
from monitor.incident.intend import acknowledge
from monitor.ingest import Cadence, Ingest
from monitor.intake.consumer import Consumer
from monitor.names import Source
from monitor.retrain.requests import approve, reject
from monitor.state.local import LocalLog
from monitor.view import View
from monitor.web.app import create
from monitor.web.serve import Server, parse_listen

log = structlog.get_logger(__name__)
