// Writes record batches with Apache Kafka's own Java code, and prints batches as it reads them.
// How to run it is in README.md beside this file.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32C;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.BufferSupplier;

public class Golden {
    static final long T0 = 1_700_000_000_000L;

    public static void main(String[] args) throws Exception {
        if (args.length == 2 && args[0].equals("write")) {
            write(Path.of(args[1]));
        } else if (args.length == 2 && args[0].equals("dump")) {
            System.out.print(dump(Files.readAllBytes(Path.of(args[1]))));
        } else {
            System.err.println("usage: Golden write DIR | Golden dump FILE");
            System.exit(2);
        }
    }

    static void write(Path dir) throws IOException {
        for (CompressionType type : CompressionType.values()) {
            put(dir, "mixed-" + type.name, mixed(type));
            put(dir, "large-" + type.name, large(type));
        }
        put(dir, "idempotent", producer(false));
        put(dir, "transactional", producer(true));
        put(dir, "append-time", appendTime());
        put(dir, "markers", markers());
        put(dir, "compacted", compacted());
    }

    static void put(Path dir, String name, MemoryRecords records) throws IOException {
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        Files.write(dir.resolve(name + ".bin"), bytes);
        Files.writeString(dir.resolve(name + ".txt"), dump(bytes));
    }

    static MemoryRecordsBuilder builder(CompressionType type) {
        return MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.CURRENT_MAGIC_VALUE,
            Compression.of(type).build(), TimestampType.CREATE_TIME, 0L);
    }

    static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Everything that a record can have and lack, timestamps out of order. */
    static MemoryRecords mixed(CompressionType type) {
        MemoryRecordsBuilder builder = builder(type);
        builder.append(T0, text("key"), text("value"));
        builder.append(T0 + 1000, (byte[]) null, text("no key"));
        builder.append(T0 - 5, text("tombstone"), (byte[]) null);
        builder.append(T0 + 70_000, new byte[0], new byte[0]);
        builder.append(T0 + 2, (byte[]) null, (byte[]) null);
        Header[] headers = {
            new RecordHeader("trace", text("\u6c34\u5830")),
            new RecordHeader("trace", text("again")),
            new RecordHeader("", new byte[0]),
            new RecordHeader("null", (byte[]) null),
        };
        builder.append(T0 + 3, text("with"), text("headers"), headers);
        builder.append(T0 + 86_400_000L, text("k"), new byte[300]);
        return builder.build();
    }

    /** Enough for several blocks of every codec, and compressible. */
    static MemoryRecords large(CompressionType type) {
        MemoryRecordsBuilder builder = builder(type);
        int records = type == CompressionType.NONE ? 20 : 700;
        for (int i = 0; i < records; i++)
            builder.append(T0 + i * 37L % 1000, text("key-" + i % 50), text(("value " + i + " ").repeat(20)));
        return builder.build();
    }

    static MemoryRecords producer(boolean transactional) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(512),
            RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE, TimestampType.CREATE_TIME, 0L,
            RecordBatch.NO_TIMESTAMP, 4711L, (short) 3, Integer.MAX_VALUE - 1, transactional,
            RecordBatch.NO_PARTITION_LEADER_EPOCH);
        for (int i = 0; i < 4; i++)
            builder.append(T0 + i, text("k" + i), text("v" + i));
        return builder.build();
    }

    static MemoryRecords appendTime() {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(512),
            RecordBatch.CURRENT_MAGIC_VALUE, Compression.gzip().build(), TimestampType.LOG_APPEND_TIME,
            1234L, T0 + 99, 12);
        for (int i = 0; i < 3; i++)
            builder.append(T0 + i, text("k" + i), text("v" + i));
        return builder.build();
    }

    /** A commit and an abort, one batch each, one behind the other. */
    static MemoryRecords markers() {
        MemoryRecords commit = MemoryRecords.withEndTransactionMarker(500L, T0, 7, 4711L, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 21));
        MemoryRecords abort = MemoryRecords.withEndTransactionMarker(501L, T0 + 1, 7, 4712L, (short) 0,
            new EndTransactionMarker(ControlRecordType.ABORT, 22));
        ByteBuffer both = ByteBuffer.allocate(commit.sizeInBytes() + abort.sizeInBytes());
        both.put(commit.buffer().duplicate()).put(abort.buffer().duplicate());
        both.flip();
        return MemoryRecords.readableRecords(both);
    }

    /** A batch from which compaction has dropped records, with a delete horizon for its tombstone. */
    static MemoryRecords compacted() {
        MemoryRecordsBuilder builder = builder(CompressionType.LZ4);
        for (int i = 0; i < 10; i++)
            builder.append(T0 + i, text("k" + i), i == 4 ? null : text("v" + i));
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(T0 + 500, 60_000) {
            @Override
            protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.DELETE_EMPTY, false);
            }

            @Override
            protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return record.offset() % 3 == 1;
            }
        };
        ByteBuffer kept = ByteBuffer.allocate(2048);
        builder.build().filterTo(filter, kept, BufferSupplier.NO_CACHING);
        kept.flip();
        return MemoryRecords.readableRecords(kept);
    }

    /** A line a batch and a line a record, as Kafka reads them. */
    static String dump(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            out.append(String.format("batch %d..%d epoch %d codec %s time %s %d producer %d/%d/%d..%d%s%s%s%n",
                batch.baseOffset(), batch.lastOffset(), batch.partitionLeaderEpoch(),
                batch.compressionType().name, batch.timestampType().name, batch.maxTimestamp(),
                batch.producerId(), batch.producerEpoch(), batch.baseSequence(), batch.lastSequence(),
                batch.isTransactional() ? " transactional" : "", batch.isControlBatch() ? " control" : "",
                batch.deleteHorizonMs().isPresent() ? " horizon " + batch.deleteHorizonMs().getAsLong() : ""));
            for (Record record : batch) {
                List<String> headers = new ArrayList<>();
                for (Header header : record.headers())
                    headers.add(show(text(header.key())) + "=" + show(header.value()));
                out.append(String.format("%d %d %s %s [%s]%n", record.offset(), record.timestamp(),
                    show(bytes(record.key())), show(bytes(record.value())), String.join(" ", headers)));
            }
        }
        return out.toString();
    }

    static byte[] bytes(ByteBuffer buffer) {
        if (buffer == null)
            return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    /** Null, short bytes in hex, long ones by length and CRC-32C. */
    static String show(byte[] bytes) {
        if (bytes == null)
            return "null";
        if (bytes.length <= 40)
            return "'" + HexFormat.of().formatHex(bytes) + "'";
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return String.format("%d:%08x", bytes.length, crc.getValue());
    }
}
