"""bytewax: a dataflow of one worker that decodes every record with orjson, batch by batch, and nothing else."""

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from interval import Interval
from serve import serve


class Enough(Exception):
    """A dataflow ends with its source; the topic may hold more records than are wanted."""


class Count(DynamicSink, StatelessSinkPartition):
    """A sink that counts."""

    def __init__(self, interval):
        self._interval = interval

    def build(self, step_id, worker_index, worker_count):
        return self

    def write_batch(self, items):
        if items:
            self._interval.add(len(items))
        if self._interval.done:
            raise Enough


def run(bootstrap, topic, count, properties=None):
    """Read `count` records from the beginning of the topic, with more of librdkafka's properties if given."""
    interval = Interval(count)
    flow = Dataflow("decode")
    source = KafkaSource([bootstrap], [topic], tail=False, add_config=properties, batch_size=1000)
    records = op.input("in", flow, source)
    loads = orjson.loads
    decoded = op.flat_map_batch("decode", records, lambda batch: [loads(record.value) for record in batch])
    op.output("out", decoded, Count(interval))
    try:
        run_main(flow)
    except Exception:  # the dataflow's own kind, with ours as its cause
        if not interval.done:
            raise
    return interval.answer()


serve(["bytewax", "orjson", "confluent-kafka"], run=run)
