// SPDX-License-Identifier: Apache-2.0

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Writes to TOPIC... (their partitions 0) what a Kafka's clients write. */
class KafkaWriter {
  static final long START = 1_700_000_000_000L;

  static void write(String bootstrap, List<String> topics) throws Exception {
    for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
      try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, codec, null)) {
        for (String topic : topics) {
          send(producer, topic, codec, 40);
        }
      }
    }
    transactions(bootstrap, topics);
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, "kafka-plain")) {
      consumer.assign(List.of(new TopicPartition(topics.get(0), 0)));
      consumer.commitSync(Map.of(
          new TopicPartition(topics.get(0), 0), new OffsetAndMetadata(11, "by a consumer")));
    }
  }

  /** Committed, aborted, committed, with offsets of a group. */
  static void transactions(String bootstrap, List<String> topics) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer = producer(bootstrap, "lz4", "interop");
         KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, "kafka-transactions")) {
      producer.initTransactions();
      for (int i = 0; i < 3; ++i) {
        producer.beginTransaction();
        for (String topic : topics) {
          send(producer, topic, "transaction " + i, 10);
        }
        producer.sendOffsetsToTransaction(
            Map.of(new TopicPartition(topics.get(0), 0),
                new OffsetAndMetadata(100 + i, "transaction " + i)),
            consumer.groupMetadata());
        if (i == 1) {
          producer.flush();
          producer.abortTransaction();
        } else {
          producer.commitTransaction();
        }
      }
    }
  }

  static void send(KafkaProducer<byte[], byte[]> producer, String topic, String what, int count)
      throws Exception {
    for (int i = 0; i < count; ++i) {
      byte[] key = i % 5 == 0 ? null : ("key " + i % 7).getBytes(StandardCharsets.UTF_8);
      byte[] value = i % 11 == 10 ? null
          : (what + " " + i + " ".repeat(i * 3)).getBytes(StandardCharsets.UTF_8);
      ProducerRecord<byte[], byte[]> record =
          new ProducerRecord<>(topic, 0, START + (i * 37) % 50 * 1000L, key, value);
      if (i % 3 == 0) {
        record.headers().add("h\u00e9", value).add("empty", new byte[0]).add("null", null);
      }
      producer.send(record);
    }
    producer.flush();
  }

  static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec, String id) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("compression.type", codec);
    config.put("batch.size", 700);
    if (id != null) {
      config.put("transactional.id", id);
    }
    return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("group.id", group);
    return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }
}
