// The Java client, speaking the lines that ../README.md describes.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private static final Duration POLL = Duration.ofMillis(200);

    private final Map<String, String> options;
    private final PrintWriter out = new PrintWriter(
            new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)), false);

    private Client(Map<String, String> options) {
        this.options = options;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        Client client = new Client(options);
        switch (arguments[0]) {
            case "produce" -> client.produce();
            case "consume" -> client.consume();
            case "member" -> client.member();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        client.out.flush();
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.get("--bootstrap"));
        return settings;
    }

    private void produce() throws Exception {
        Properties settings = settings();
        settings.put("compression.type", options.get("--codec"));
        settings.put("linger.ms", "5");
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                JsonNode record = JSON.readTree(line);
                ProducerRecord<byte[], byte[]> message = new ProducerRecord<>(
                        options.get("--topic"), record.get("p").asInt(), record.get("t").asLong(),
                        bytes(record.get("k")), bytes(record.get("v")));
                for (JsonNode header : record.get("h")) {
                    message.headers().add(header.get(0).asText(), bytes(header.get(1)));
                }
                sent.add(producer.send(message));
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) {
                RecordMetadata where = future.get();
                print(JSON.createObjectNode().put("p", where.partition()).put("o", where.offset()));
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(Properties settings) {
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        return new KafkaConsumer<>(settings);
    }

    private void consume() throws IOException {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            List<TopicPartition> partitions = consumer.partitionsFor(options.get("--topic")).stream()
                    .map(info -> new TopicPartition(info.topic(), info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long left = Long.parseLong(options.get("--count"));
            while (left > 0) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    print(json(record));
                    left--;
                }
            }
        }
    }

    private void member() throws IOException {
        Properties settings = settings();
        settings.put("group.id", options.get("--group"));
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        settings.put("max.poll.records", "50");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            leaveWhenInputEnds(consumer);
            consumer.subscribe(List.of(options.get("--topic")), new Announcer());
            while (true) {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    print(JSON.createObjectNode().put("event", "record")
                            .put("p", record.partition()).put("o", record.offset()));
                    offsets.put(new TopicPartition(record.topic(), record.partition()),
                            new OffsetAndMetadata(record.offset() + 1));
                }
                if (offsets.isEmpty()) {
                    continue;
                }
                // A member that is killed behind the commit must have said what it read.
                out.flush();
                try {
                    consumer.commitSync(offsets);
                } catch (RebalanceInProgressException moving) {
                    continue; // What was not committed comes again, here or at another member.
                } catch (org.apache.kafka.clients.consumer.CommitFailedException moved) {
                    continue;
                }
                ObjectNode event = JSON.createObjectNode().put("event", "committed");
                ObjectNode committed = event.putObject("offsets");
                offsets.forEach((partition, offset) ->
                        committed.put(Integer.toString(partition.partition()), offset.offset()));
                print(event);
                out.flush();
            }
        } catch (WakeupException ended) {
            out.flush();
        }
    }

    private static void leaveWhenInputEnds(KafkaConsumer<byte[], byte[]> consumer) {
        Thread watcher = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // Only the end matters.
                }
            } catch (IOException gone) {
                // The runner has gone: leave as well.
            }
            consumer.wakeup();
        });
        watcher.setDaemon(true);
        watcher.start();
    }

    private final class Announcer implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            announce("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            announce("revoked", partitions);
        }

        private void announce(String name, Collection<TopicPartition> partitions) {
            ObjectNode event = JSON.createObjectNode().put("event", name);
            ArrayNode list = event.putArray("partitions");
            partitions.forEach(partition -> list.add(partition.partition()));
            print(event);
            out.flush();
        }
    }

    private static ObjectNode json(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = JSON.createObjectNode();
        node.put("p", record.partition()).put("o", record.offset()).put("t", record.timestamp());
        node.put("k", hex(record.key())).put("v", hex(record.value()));
        ArrayNode headers = node.putArray("h");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(hex(header.value()));
        }
        return node;
    }

    private void print(ObjectNode node) {
        out.println(node);
    }

    private static byte[] bytes(JsonNode node) {
        return node.isNull() ? null : HEX.parseHex(node.asText());
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HEX.formatHex(bytes);
    }
}
