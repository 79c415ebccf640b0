"""Sending dead letters back to where they were rejected, once what rejected them is mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from monitor.errors import IntakeError
from monitor.intake.client import REFUSALS, Listener, client_properties, describe, refusal
from monitor.intake.dead_read import REQUEUED, DeadLetter, FileLetters, Headers, TopicLetters, note_of

MOST = 3
"""Times that a record is sent back. One that is rejected for the fourth time is not mended by a fifth."""
PORTION = 500
"""Letters sent before they are noted: a crash in between is the only way to send one twice."""
ANSWER_SECONDS = 30.0
"""How long acknowledgements are waited for: longer than a broker takes to fail over."""

_OURS = {"acks": "all", "enable.idempotence": True, "linger.ms": 5, "message.max.bytes": 1_000_000_000}
"""How large a record may be is the topic's decision."""


class Outgoing(NamedTuple):
    """A record to be sent. `timestamp` in milliseconds, -1: now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int = -1


class Unsent(NamedTuple):
    """A letter that was not acknowledged, and why. It may have arrived nevertheless."""

    letter: DeadLetter
    why: str


def refuse(letter: DeadLetter, *, most: int | None = MOST) -> str:
    """Why a letter cannot be sent back, "" when it can; `most` None: however often it was before."""
    if letter.withheld >= 0:
        return (
            f"it was kept without its value, as the dead-letter topic takes no {letter.withheld:,} bytes"
            " - raise max.message.bytes there"
        )
    if most is not None and letter.times >= most:
        return f"it was sent back {letter.times} times and rejected each time - mend it, or use --force"
    return ""


def returned(letter: DeadLetter) -> Outgoing:
    """The record as it was, to the partition where it was, with one header more."""
    own = tuple(header for header in letter.headers if header[0] != REQUEUED)
    count = (REQUEUED, str(letter.times + 1).encode())
    origin = letter.origin
    return Outgoing(origin.topic, origin.partition, letter.key, letter.value, (*own, count), letter.timestamp)


def requeue(
    letters: Sequence[DeadLetter], held: TopicLetters | FileLetters, properties: Mapping[str, Any]
) -> Iterator[Unsent]:
    """Send letters of `held` back, and note those that were acknowledged; yields the others.

    Raises IntakeError when what was sent could not be noted, and before anything is sent when it is
    known that it could not be.
    """
    if isinstance(held, FileLetters):
        held.note([])
    with Sender(properties) as sender:
        for start in range(0, len(letters), PORTION):
            portion = letters[start : start + PORTION]
            answers = sender.send([returned(letter) for letter in portion])
            sent = [letter for letter, why in zip(portion, answers, strict=True) if not why]
            _note(sent, held, sender)
            yield from (Unsent(letter, why) for letter, why in zip(portion, answers, strict=True) if why)


def _note(sent: Sequence[DeadLetter], held: TopicLetters | FileLetters, sender: Sender) -> None:
    if not sent:
        return
    try:
        if isinstance(held, FileLetters):
            held.note([letter.origin for letter in sent])
            return
        notes = [Outgoing(held.name, letter.partition, None, None, note_of(letter.origin)) for letter in sent]
        why = next(filter(None, sender.send(notes)), "")
        if why:
            raise IntakeError(f"{why} - topic {held.name} - must be writable")
    except IntakeError as error:
        raise IntakeError(
            f"{len(sent)} records were sent back, up to {sent[-1].origin}, and that is not noted ({error}) - "
            f"{held.name} - do not send them again"
        ) from error


class Sender:
    """A producer that says what became of each record. Belongs to one thread."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        listener = Listener()
        try:
            self._client = Client(client_properties({**properties, **_OURS}, listener))
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error)}") from error

    def send(self, records: Sequence[Outgoing]) -> list[str]:
        """Send in order and wait; for each why it was not acknowledged, "" when it was."""
        answers = [f"no answer in {ANSWER_SECONDS:g} s"] * len(records)

        def settle(at: int, error: KafkaError | None, _record: Message) -> None:
            answers[at] = "" if error is None else error.str()

        for at, record in enumerate(records):
            try:
                self._produce(record, partial(settle, at))
            except KafkaException as error:
                answers[at] = describe(error)
        self._client.flush(ANSWER_SECONDS)
        return answers

    def close(self) -> None:
        """Drop what is not acknowledged, and disconnect."""
        self._client.purge()
        self._client.flush(1.0)

    def _produce(self, record: Outgoing, settle: Any) -> None:
        topic, partition, key, value, headers, timestamp = record
        given: dict[str, Any] = {"timestamp": timestamp} if timestamp >= 0 else {}
        while True:
            try:
                self._client.produce(
                    topic, value, key, partition, on_delivery=settle, headers=list(headers), **given
                )
            except BufferError:
                self._client.poll(0.1)
            else:
                self._client.poll(0)
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
