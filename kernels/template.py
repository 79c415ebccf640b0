"""The shape of a whole record, learnt from one: the text between its values, and how each of them is read.

A producer writes its records with one and the same text between the values. `kernels.follow` reads what looks
like the template.
"""

from __future__ import annotations

from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.program import (
    CAREFUL,
    FIELD_COLUMNS,
    FIELD_EXTRA,
    FIELD_KIND,
    FIELD_SEEN,
    FIELD_TARGET,
    LAST,
    NUMBER,
    SCHEMA_FIELDS,
    SHORT,
    STEP_COLUMNS,
    STEP_ENTRY,
    STEP_FIELD,
    STEP_KIND,
    STEP_LINE,
    STEP_NODE,
    STEP_ODD,
    STEP_PLACE,
    STEP_SHIFT,
    STEP_SIZE,
    STEP_STOP,
    STEP_TARGET,
    STEP_TEXT,
    STEPS,
    TEMPLATE_ABSENT,
    TEMPLATE_COLUMNS,
    TEMPLATE_HITS,
    TEMPLATE_MISSES,
    TEMPLATE_PATIENCE,
    TEMPLATE_STEPS,
    TEMPLATE_WAIT,
    TOGETHER,
    TRACE_BEGIN,
    TRACE_COLUMNS,
    TRACE_END,
    TRACE_FIELD,
    TRACE_NODE,
)
from kernels.read import fill
from kernels.words import PADDING, byte, get

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"

ENOUGH = 8
"""Records that must have followed a template for the next to be learnt at once."""
LONGEST_WAIT = 255
OFTEN = 8
SELDOM = 16
"""The part of TOGETHER records with an odd number at a step from which, and to which, it is read with care."""
PLAIN = 1
VERY = 1 << 16
"""As if that often: halved with each tile, it keeps a step for some ten thousand records."""
IN_A_ROW = 3
"""Times that a template must have failed, one after the other, until another is learnt."""


@bare_kernel(f"void({_TABLE}, int64, int64)")
def aim(templates: Array, records: int, chunk: int) -> None:
    """Prepare the template for a tile: where rows of numbers begin, and which of them are tried as plain ones.

    templates  of `kernels.program.Program`; mutated
    records    length of a row of `bits`
    chunk      records of the tile: length of a row of what goes with it

    A step whose numbers are often odd is read with care, which is several times as dear, until they seldom are.
    """
    groups = chunk // TOGETHER
    step = TEMPLATE_COLUMNS
    for _ in range(templates[TEMPLATE_STEPS]):
        templates[step + STEP_PLACE] = templates[step + STEP_TARGET] * records
        templates[step + STEP_LINE] = templates[step + STEP_TARGET] * chunk
        kind, odd = templates[step + STEP_KIND], templates[step + STEP_ODD]
        if kind == NUMBER and OFTEN * odd > groups:
            templates[step + STEP_KIND] = CAREFUL
        elif kind == CAREFUL and templates[step + STEP_NODE] == PLAIN and SELDOM * odd <= groups:
            templates[step + STEP_KIND] = NUMBER
        if kind == NUMBER or kind == CAREFUL:
            templates[step + STEP_ODD] = odd // 2
        step += STEP_COLUMNS


@inline
def fill_missing(
    record: int, records: int, fields: Array, templates: Array, settings: Array, values: Array, tokens: Array,
    errors: Array, vectors: Array,
) -> None:  # fmt: skip
    """Write what the fields stand for that the template has not."""
    row = TEMPLATE_COLUMNS + STEP_COLUMNS * (settings[STEPS] + 1)
    for at in range(row, row + get(templates, TEMPLATE_ABSENT)):
        base = get(templates, at) * FIELD_COLUMNS
        kind = get(fields, base + FIELD_KIND)
        target, extra = get(fields, base + FIELD_TARGET), get(fields, base + FIELD_EXTRA)
        fill(kind, target, extra, record, records, values, tokens, errors, vectors)


@bare_kernel(f"void({_TABLE}, int64)")
def be_careful(templates: Array, row: int) -> None:
    """Have the values of a row read one by one for a while: among them are some that look plain and are not.

    templates  of `kernels.program.Program`; mutated
    """
    step = TEMPLATE_COLUMNS
    for _ in range(templates[TEMPLATE_STEPS]):
        if templates[step + STEP_KIND] == NUMBER and templates[step + STEP_TARGET] == row:
            templates[step + STEP_KIND] = CAREFUL
            templates[step + STEP_ODD] = VERY
        step += STEP_COLUMNS


@bare_kernel(
    f"void({_BYTES}, int64, int64, int64, int64, int64, int64, {_TABLE}, int64[::1], {_TABLE}, uint8[::1], int64[::1])"
)
def learn(
    data: Array,
    begin: int,
    stop: int,
    record: int,
    steps: int,
    records: int,
    chunk: int,
    fields: Array,
    settings: Array,
    templates: Array,
    patterns: Array,
    trace: Array,
) -> None:
    """Make a template of a record that was taken, where there is none or others come now.

    data          uint8[bytes]
    begin, stop   of the record
    record        its row: `fields` knows what was seen in it
    steps         how many values it has: rows of `trace`
    records, chunk   as `aim` takes them
    fields, settings, trace   of `kernels.program.Program`
    templates, patterns       likewise; mutated

    Where records of several shapes take turns none is followed for long, and they are learnt ever more rarely.
    """
    if templates[TEMPLATE_STEPS] > 0 and templates[TEMPLATE_MISSES] < IN_A_ROW:
        return
    if templates[TEMPLATE_WAIT] > 0:
        templates[TEMPLATE_WAIT] -= 1
        return
    patience = 0
    if templates[TEMPLATE_STEPS] > 0 and templates[TEMPLATE_HITS] < ENOUGH:
        patience = min(2 * templates[TEMPLATE_PATIENCE] + 1, LONGEST_WAIT)
    for i in range(TEMPLATE_COLUMNS):
        templates[i] = 0
    templates[TEMPLATE_PATIENCE] = patience
    templates[TEMPLATE_WAIT] = patience
    if steps > settings[STEPS] or steps == 0:
        return
    step, before, text = TEMPLATE_COLUMNS, begin, 0
    templates[step + STEP_KIND] = LAST
    for value in range(steps + 1):
        at = trace[value * TRACE_COLUMNS + TRACE_BEGIN] if value < steps else stop
        size = at - before
        if text + size > len(patterns) - PADDING:
            templates[TEMPLATE_WAIT] = LONGEST_WAIT  # all of it was copied for nothing
            return
        for i in range(size):
            patterns[text + i] = byte(data, before + i)
        templates[step + STEP_TEXT] = text
        templates[step + STEP_SIZE] = size
        templates[step + STEP_SHIFT] = 64 - size
        templates[step + STEP_KIND] = LAST
        if value == steps:
            break
        field = trace[value * TRACE_COLUMNS + TRACE_FIELD]
        before = trace[value * TRACE_COLUMNS + TRACE_END]
        kind = fields[field * FIELD_COLUMNS + FIELD_KIND]
        # A word that ends with the value must not begin before the record.
        is_plain = size <= SHORT and at - begin >= 8
        templates[step + STEP_KIND] = CAREFUL if kind == NUMBER and not is_plain else kind
        templates[step + STEP_STOP] = byte(data, before)
        templates[step + STEP_TARGET] = fields[field * FIELD_COLUMNS + FIELD_TARGET]
        templates[step + STEP_FIELD] = field
        templates[step + STEP_NODE] = trace[value * TRACE_COLUMNS + TRACE_NODE]
        if kind == NUMBER:
            templates[step + STEP_NODE] = PLAIN if is_plain else 0
        templates[step + STEP_ENTRY] = 0
        templates[step + STEP_ODD] = 0
        step += STEP_COLUMNS
        text += size
    absent = TEMPLATE_COLUMNS + STEP_COLUMNS * (settings[STEPS] + 1)
    for field in range(settings[SCHEMA_FIELDS]):
        if fields[field * FIELD_COLUMNS + FIELD_SEEN] != record + 1:
            templates[absent] = field
            absent += 1
    templates[TEMPLATE_ABSENT] = absent - TEMPLATE_COLUMNS - STEP_COLUMNS * (settings[STEPS] + 1)
    templates[TEMPLATE_STEPS] = steps
    aim(templates, records, chunk)
