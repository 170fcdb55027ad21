// The client kafkajs, speaking the lines that ../README.md describes.
"use strict";

const readline = require("node:readline");
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");
const snappy = require("kafkajs-snappy");
const { ZstdCodec } = require("zstd-codec");

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};
// Records a request: far below what a request may hold.
const BATCH = 500;

function installCodecs(zstd) {
  CompressionCodecs[CompressionTypes.Snappy] = snappy;
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: (encoder) => lz4.compressFrame(encoder.buffer),
    decompress: (buffer) => lz4.decompressFrame(buffer),
  });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
  });
}

const hexed = (data) => (data === null || data === undefined ? null : data.toString("hex"));
const unhexed = (text) => (text === null ? null : Buffer.from(text, "hex"));
const show = (value) => process.stdout.write(JSON.stringify(value) + "\n");

// kafkajs keeps headers as an object; values of one name go into a list.
function headersFrom(pairs) {
  const headers = {};
  for (const [name, text] of pairs) {
    (headers[name] ??= []).push(unhexed(text));
  }
  return headers;
}

function headersTo(headers) {
  return Object.entries(headers ?? {}).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, hexed(value)]));
}

async function produce(kafka, options) {
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  const messages = [];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const record = JSON.parse(line);
    messages.push({
      partition: record.p,
      key: unhexed(record.k),
      value: unhexed(record.v),
      headers: headersFrom(record.h),
      timestamp: String(record.t),
    });
  }
  for (let from = 0; from < messages.length; from += BATCH) {
    const batch = messages.slice(from, from + BATCH);
    const compression = CODECS[options.codec];
    const results = await producer.send({
      topic: options.topic, acks: -1, compression, messages: batch,
    });
    // One result a partition, with the first offset of its records.
    const next = new Map(results.map((it) => [it.partition, Number(it.baseOffset)]));
    for (const { partition } of batch) {
      show({ p: partition, o: next.get(partition) });
      next.set(partition, next.get(partition) + 1);
    }
  }
  await producer.disconnect();
}

// kafkajs has no consumer outside a group.
async function consume(kafka, options) {
  const groupId = `reader-${options.topic}-${process.pid}`;
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topic: options.topic, fromBeginning: true });
  let left = Number(options.count);
  await new Promise((finish, fail) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error));
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (left-- > 0) {
          show({
            p: partition,
            o: Number(message.offset),
            k: hexed(message.key),
            v: hexed(message.value),
            h: headersTo(message.headers),
            t: Number(message.timestamp),
          });
        }
        if (left === 0) finish();
      },
    }).catch(fail);
  });
  await consumer.disconnect();
}

async function main([what, ...rest]) {
  const options = {};
  for (let i = 0; i + 1 < rest.length; i += 2) options[rest[i].slice(2)] = rest[i + 1];
  const kafka = new Kafka({
    clientId: "kafkajs", brokers: [options.bootstrap], logLevel: logLevel.ERROR,
  });
  const command = { produce, consume }[what];
  if (!command) throw new Error(`no command ${what}`);
  await command(kafka, options);
}

ZstdCodec.run((zstd) => {
  installCodecs(new zstd.Streaming());
  main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
    process.exit();
  });
});
