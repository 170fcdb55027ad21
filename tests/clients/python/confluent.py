"""The client confluent-kafka, on librdkafka."""

import sys
import threading

import lines
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def produce(options):
    producer = Producer({
        "bootstrap.servers": options.bootstrap,
        "compression.codec": options.codec,
        "linger.ms": 5,
        "enable.idempotence": True,
        "queue.buffering.max.messages": 1_000_000,
    })
    acknowledged = {}

    def note(index):
        def delivered(error, message):
            if error is not None:
                raise KafkaException(error)
            acknowledged[index] = {"p": message.partition(), "o": message.offset()}
        return delivered

    count = 0
    for partition, key, value, headers, timestamp in lines.records():
        producer.produce(options.topic, value, key, partition, note(count),
                         timestamp=timestamp, headers=headers)
        producer.poll(0)
        count += 1
    producer.flush()
    for index in range(count):
        lines.show(acknowledged[index])


def consumer(options, **settings):
    return Consumer({
        "bootstrap.servers": options.bootstrap,
        "group.id": "unused",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        **settings,
    })


def consume(options):
    reader = consumer(options)
    topic = reader.list_topics(options.topic, timeout=30).topics[options.topic]
    reader.assign([TopicPartition(options.topic, partition, 0) for partition in topic.partitions])
    left = options.count
    while left > 0:
        for message in reader.consume(min(left, 1000), timeout=0.2):
            if message.error() is not None:
                raise KafkaException(message.error())
            _, timestamp = message.timestamp()
            lines.show_record(message.partition(), message.offset(), message.key(),
                              message.value(), message.headers(), timestamp)
            left -= 1
    reader.close()


def member(options):
    leaving = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), leaving.set()), daemon=True).start()

    def announce(event):
        def moved(_, partitions):
            numbers = [partition.partition for partition in partitions]
            lines.show({"event": event, "partitions": numbers}, flush=True)
        return moved

    reader = consumer(options, **{
        "group.id": options.group, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
    })
    reader.subscribe([options.topic], on_assign=announce("assigned"), on_revoke=announce("revoked"))
    while not leaving.is_set():
        offsets = {}
        for message in reader.consume(50, timeout=0.2):
            if message.error() is not None:
                raise KafkaException(message.error())
            lines.show({"event": "record", "p": message.partition(), "o": message.offset()})
            offsets[message.partition()] = message.offset() + 1
        if not offsets:
            continue
        wanted = [TopicPartition(options.topic, number, at) for number, at in offsets.items()]
        lines.flush()
        try:
            done = reader.commit(offsets=wanted, asynchronous=False)
        except KafkaException:
            continue  # The group is moving; what was not committed comes again.
        committed = {done.partition: done.offset for done in done if done.error is None}
        lines.show({"event": "committed", "offsets": committed}, flush=True)
    reader.close()


run, given = lines.options({"produce": produce, "consume": consume, "member": member})
run(given)
