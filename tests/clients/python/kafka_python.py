"""The client kafka-python."""

import sys
import threading

import lines
from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata


def produce(options):
    producer = KafkaProducer(
        bootstrap_servers=options.bootstrap,
        compression_type=None if options.codec == "none" else options.codec,
        linger_ms=5,
    )
    sent = [
        producer.send(options.topic, value, key, headers, partition, timestamp)
        for partition, key, value, headers, timestamp in lines.records()
    ]
    producer.flush()
    for future in sent:
        done = future.get(timeout=60)
        lines.show({"p": done.partition, "o": done.offset})
    producer.close()


def consume(options):
    reader = KafkaConsumer(bootstrap_servers=options.bootstrap, enable_auto_commit=False)
    partitions = [
        TopicPartition(options.topic, number)
        for number in reader.partitions_for_topic(options.topic)
    ]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    left = options.count
    while left > 0:
        for batch in reader.poll(timeout_ms=200).values():
            for record in batch:
                lines.show_record(record.partition, record.offset, record.key, record.value,
                                  record.headers, record.timestamp)
                left -= 1
    reader.close()


class Announcer(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        announce("assigned", assigned)

    def on_partitions_revoked(self, revoked):
        announce("revoked", revoked)


def announce(event, partitions):
    numbers = [partition.partition for partition in partitions]
    lines.show({"event": event, "partitions": numbers}, flush=True)


def member(options):
    leaving = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), leaving.set()), daemon=True).start()
    reader = KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        max_poll_records=50,
    )
    reader.subscribe([options.topic], listener=Announcer())
    # kafka-python 3.0.12 drops out of its group, silently and for good, when a leader joins again since
    # the topic's metadata came after its assignment and a poll ends while that join is under way: the
    # assignment made meanwhile resets what had asked for the join (`need_rejoin`), so no later poll
    # finishes it or turns heartbeats on again. It does so with Apache Kafka as well. With the metadata
    # here before the first poll, its joins have other reasons, which are kept until they are done.
    while not reader.partitions_for_topic(options.topic):
        pass  # Each turn asks the server.
    while not leaving.is_set():
        offsets = {}
        for partition, batch in reader.poll(timeout_ms=200).items():
            for record in batch:
                lines.show({"event": "record", "p": record.partition, "o": record.offset})
            offsets[partition] = OffsetAndMetadata(batch[-1].offset + 1, "", -1)
        if not offsets:
            continue
        lines.flush()
        try:
            reader.commit(offsets)
        except KafkaError:
            continue  # The group is moving; what was not committed comes again.
        committed = {partition.partition: at.offset for partition, at in offsets.items()}
        lines.show({"event": "committed", "offsets": committed}, flush=True)
    reader.close()


run, given = lines.options({"produce": produce, "consume": consume, "member": member})
run(given)
