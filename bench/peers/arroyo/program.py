"""Arroyo (sentry-arroyo): a processor that decodes every record with orjson, commits once a second, and nothing else."""

import uuid

import orjson
from arroyo.backends.kafka import KafkaConsumer
from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
from arroyo.processing.processor import StreamProcessor
from arroyo.processing.strategies import CommitOffsets, RunTask
from arroyo.processing.strategies.abstract import ProcessingStrategyFactory
from arroyo.types import Topic
from interval import Interval
from serve import serve


class Factory(ProcessingStrategyFactory):
    """Decode, count, commit."""

    def __init__(self, interval):
        self._interval = interval
        self.processor = None

    def create_with_partitions(self, commit, partitions):
        return RunTask(self._decode, CommitOffsets(commit))

    def _decode(self, record):
        orjson.loads(record.payload.value)
        self._interval.add()
        if self._interval.done:
            self.processor.signal_shutdown()


def run(bootstrap, topic, count, properties=None):
    """Read `count` records from the beginning, in a new group, with more of librdkafka's properties if given."""
    interval = Interval(count)
    configuration = build_kafka_consumer_configuration(
        {},
        bootstrap_servers=[bootstrap],
        auto_offset_reset="earliest",
        group_id=f"arroyo-{uuid.uuid4()}",
        override_params=properties,
    )
    factory = Factory(interval)
    factory.processor = StreamProcessor(KafkaConsumer(configuration), Topic(topic), factory)
    factory.processor.run()
    return interval.answer()


serve(["sentry-arroyo", "orjson", "confluent-kafka"], run=run)
