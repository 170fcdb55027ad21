"""The client aiokafka."""

import asyncio

import lines
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def produce(options):
    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap,
        compression_type=None if options.codec == "none" else options.codec,
        linger_ms=5,
        enable_idempotence=True,
    )
    await producer.start()
    sent = [
        await producer.send(options.topic, value, key, partition, timestamp, headers)
        for partition, key, value, headers, timestamp in lines.records()
    ]
    for done in await asyncio.gather(*sent):
        lines.show({"p": done.partition, "o": done.offset})
    await producer.stop()


async def consume(options):
    # Outside a group a subscription is to all partitions.
    reader = AIOKafkaConsumer(
        options.topic, bootstrap_servers=options.bootstrap, auto_offset_reset="earliest",
    )
    await reader.start()
    left = options.count
    while left > 0:
        for batch in (await reader.getmany(timeout_ms=200)).values():
            for record in batch:
                lines.show_record(record.partition, record.offset, record.key, record.value,
                                  record.headers, record.timestamp)
                left -= 1
    await reader.stop()


run, given = lines.options({"produce": produce, "consume": consume})
asyncio.run(run(given))
