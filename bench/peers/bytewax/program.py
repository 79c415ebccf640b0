"""bytewax: a dataflow of one worker that decodes every record with orjson, batch by batch, and nothing else."""

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from interval import Interval
from serve import serve


class Count(DynamicSink, StatelessSinkPartition):
    """A sink that counts."""

    def __init__(self, interval):
        self._interval = interval

    def build(self, step_id, worker_index, worker_count):
        return self

    def write_batch(self, items):
        if items:
            self._interval.add(len(items))


def run(bootstrap, topic, count):
    """Read the topic from its beginning to its end, which must hold `count` records."""
    interval = Interval(count)
    flow = Dataflow("decode")
    records = op.input("in", flow, KafkaSource([bootstrap], [topic], tail=False, batch_size=1000))
    loads = orjson.loads
    decoded = op.flat_map_batch("decode", records, lambda batch: [loads(record.value) for record in batch])
    op.output("out", decoded, Count(interval))
    run_main(flow)
    return interval.answer()


serve(["bytewax", "orjson", "confluent-kafka"], run=run)
