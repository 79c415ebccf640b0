"""quixstreams: an application that decodes every record with its JSON deserializer (orjson) and nothing else."""

import tempfile
import uuid

from interval import Interval
from quixstreams import Application
from serve import serve


def run(bootstrap, topic, count, properties=None):
    """Read `count` records from the beginning, in a new group, with more of librdkafka's properties if given."""
    interval = Interval(count)
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=bootstrap, consumer_group=f"quixstreams-{uuid.uuid4()}", auto_offset_reset="earliest",
            auto_create_topics=False, state_dir=folder, loglevel="ERROR",
            consumer_extra_config=properties,
        )  # fmt: skip
        frame = app.dataframe(app.topic(topic, value_deserializer="json"))

        def seen(_value):
            interval.add()
            if interval.done:
                app.stop()

        frame.update(seen)
        app.run()
    return interval.answer()


serve(["quixstreams", "orjson", "confluent-kafka"], run=run)
