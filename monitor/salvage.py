"""Scanning that never fails: a record that breaks the decoder is rejected, alone."""

from __future__ import annotations

import structlog

from monitor import metrics
from monitor.columns import Batch, Reject
from monitor.intake.decode import Decoder, Scanned
from monitor.names import Reason

log = structlog.get_logger(__name__)


def scan(decoder: Decoder, batch: Batch) -> Scanned:
    """Step 2. Decoding never raises by contract; if it does, the culprits are found by halving.

    One stack is logged for the batch, not one for each half that holds a culprit.
    """
    try:
        return decoder.scan(batch)
    except Exception as error:
        # boundary: no record may stop the daemon
        metrics.INTERNAL_ERRORS_TOTAL.labels("scan").inc()
        log.exception("scan_raised", source=str(batch.source), offset=int(batch.offsets[0]))
        return _reject(error) if len(batch) == 1 else _scan_halves(decoder, batch)


def _scan_part(decoder: Decoder, batch: Batch) -> Scanned:
    try:
        return decoder.scan(batch)
    except Exception as error:  # noqa: BLE001 boundary: as above
        return _reject(error) if len(batch) == 1 else _scan_halves(decoder, batch)


def _reject(error: Exception) -> Scanned:
    reject = Reject(0, Reason.DECODE, f"internal error {type(error).__name__} - whole record")
    return Scanned(columns=(), rejects=(reject,))


def _scan_halves(decoder: Decoder, batch: Batch) -> Scanned:
    middle = len(batch) // 2
    columns, rejects = [], []
    for start, stop in ((0, middle), (middle, len(batch))):
        part = _scan_part(decoder, cut(batch, start, stop))
        for block in part.columns:
            block.index += start
            columns.append(block)
        for reject in part.rejects:
            reject.index += start
            rejects.append(reject)
    return Scanned(columns=tuple(columns), rejects=tuple(rejects))


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Records [start, stop) of a batch."""
    return Batch(
        source=batch.source,
        values=batch.values[start:stop],
        keys=batch.keys[start:stop],
        headers=batch.headers[start:stop],
        offsets=batch.offsets[start:stop],
        timestamps=batch.timestamps[start:stop],
        log_append=batch.log_append,
    )
