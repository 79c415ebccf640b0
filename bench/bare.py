"""The least that a Python program can do with a topic: look at every record. In a process of its own, see bench/stream.py.

    python -m bench.bare BOOTSTRAP TOPIC RECORDS AT_ONCE [PROPERTY=VALUE …]

Prints {"seconds", "cpu", "records"} as JSON: between the first and the last record, all threads of the process.
"""

from __future__ import annotations

import json
import sys
import time
import uuid

from confluent_kafka import Consumer


def read(
    bootstrap: str, topic: str, records: int, at_once: int, properties: dict[str, str]
) -> dict[str, float]:
    """One call of `consume` gives at most `at_once` records."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"bare-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **properties,
        }
    )
    consumer.subscribe([topic])
    seen, first = 0, 0
    began = (0.0, 0.0)
    while seen < records:
        found = consumer.consume(at_once, 0.2)
        for record in found:
            if record.error() is None:
                record.value(), record.partition(), record.offset(), record.timestamp()
                seen += 1
        if seen and not first:
            first, began = seen, (time.perf_counter(), time.process_time())
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    consumer.close()
    return {"seconds": seconds, "cpu": cpu, "records": seen - first}


def main() -> None:
    bootstrap, topic, records, at_once, *pairs = sys.argv[1:]
    properties = dict(pair.split("=", 1) for pair in pairs)
    print(json.dumps(read(bootstrap, topic, int(records), int(at_once), properties)))


if __name__ == "__main__":
    main()
