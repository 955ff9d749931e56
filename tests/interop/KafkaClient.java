// SPDX-License-Identifier: Apache-2.0

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * KafkaClient BOOTSTRAP COMMAND... [-- COMMAND...]...: what a client of that Kafka does and sees.
 *   create TOPIC:PARTITIONS[:KEY=VALUE]...
 *   write TOPIC...    see KafkaWriter
 *   view TOPIC...     every record, lookups by time, at both isolation levels
 *   groups GROUP...   what they committed
 * A line for each thing, as client_view.hpp writes them.
 */
public class KafkaClient {
  static final IsolationLevel[] LEVELS = {
      IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED};

  public static void main(String[] arguments) throws Exception {
    String bootstrap = arguments[0];
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    List<String> words = List.of(arguments);
    try (Admin admin = Admin.create(config)) {
      for (int from = 1; from < words.size();) {
        int end = from;
        while (end < words.size() && !words.get(end).equals("--")) {
          ++end;
        }
        List<String> names = words.subList(from + 1, end);
        switch (words.get(from)) {
          case "create" -> create(admin, names);
          case "write" -> KafkaWriter.write(bootstrap, names);
          case "view" -> view(bootstrap, admin, names);
          case "groups" -> groups(admin, names);
          default -> throw new IllegalArgumentException(words.get(from));
        }
        from = end + 1;
      }
    }
  }

  static void create(Admin admin, List<String> names) throws Exception {
    List<NewTopic> topics = new ArrayList<>();
    for (String name : names) {
      String[] parts = name.split(":");
      Map<String, String> configs = new HashMap<>();
      for (int i = 2; i < parts.length; ++i) {
        configs.put(parts[i].split("=")[0], parts[i].split("=")[1]);
      }
      topics.add(new NewTopic(parts[0], Integer.parseInt(parts[1]), (short) 1).configs(configs));
    }
    admin.createTopics(topics).all().get();
    // Makes the broker create __consumer_offsets.
    admin.listConsumerGroupOffsets("nobody").partitionsToOffsetAndMetadata().get();
  }

  static void groups(Admin admin, List<String> names) throws Exception {
    for (String group : names) {
      TreeMap<String, OffsetAndMetadata> sorted = new TreeMap<>();
      admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach(
          (partition, committed) -> sorted.put(partition.toString(), committed));
      sorted.forEach((partition, committed) -> System.out.println("G " + group + " " + partition
          + " " + committed.offset() + " " + committed.leaderEpoch().orElse(-1) + " "
          + committed.metadata()));
    }
  }

  static void view(String bootstrap, Admin admin, List<String> names) throws Exception {
    TreeMap<String, TopicPartition> partitions = new TreeMap<>();
    admin.describeTopics(names).allTopicNames().get().forEach(
        (name, topic) -> topic.partitions().forEach(one -> {
          TopicPartition partition = new TopicPartition(name, one.partition());
          partitions.put(partition.toString(), partition);
        }));
    for (IsolationLevel level : LEVELS) {
      Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> records =
          read(bootstrap, level, partitions.values());
      Map<String, KafkaFuture<ListOffsetsResultInfo>> lookups = new LinkedHashMap<>();
      for (TopicPartition partition : partitions.values()) {
        String where = level + " " + partition + " ";
        TreeSet<Long> targets = new TreeSet<>(List.of(0L));
        List<ConsumerRecord<byte[], byte[]>> its = records.get(partition);
        for (int i = 0; i < its.size(); ++i) {
          System.out.println("R " + where + line(its.get(i)));
          if (i % Math.max(1, its.size() / 8) == 0 && its.get(i).timestamp() >= 0) {
            targets.add(its.get(i).timestamp());
            targets.add(its.get(i).timestamp() + 1);
          }
        }
        Map<String, OffsetSpec> specs = new LinkedHashMap<>();
        specs.put("earliest", OffsetSpec.earliest());
        specs.put("latest", OffsetSpec.latest());
        specs.put("largest", OffsetSpec.maxTimestamp());
        targets.forEach(target -> specs.put(target.toString(), OffsetSpec.forTimestamp(target)));
        specs.forEach((what, spec) -> lookups.put("T " + where + what,
            admin.listOffsets(Map.of(partition, spec), new ListOffsetsOptions(level))
                .partitionResult(partition)));
      }
      for (Map.Entry<String, KafkaFuture<ListOffsetsResultInfo>> lookup : lookups.entrySet()) {
        ListOffsetsResultInfo found = lookup.getValue().get();
        System.out.println(lookup.getKey() + " " + found.offset() + " " + found.timestamp());
      }
    }
  }

  static Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> read(
      String bootstrap, IsolationLevel level, Collection<TopicPartition> partitions) {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("isolation.level", level.toString());
    config.put("auto.offset.reset", "earliest");
    Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> records = new HashMap<>();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
        config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      partitions.forEach(partition -> records.put(partition, new ArrayList<>()));
      while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          records.get(new TopicPartition(record.topic(), record.partition())).add(record);
        }
      }
    }
    return records;
  }

  static String line(ConsumerRecord<byte[], byte[]> record) {
    StringBuilder line = new StringBuilder();
    line.append(record.offset()).append(' ').append(record.timestamp()).append(' ')
        .append(record.timestampType() == TimestampType.CREATE_TIME ? 'C' : 'L').append(' ')
        .append(record.leaderEpoch().orElse(-1)).append(' ').append(hex(record.key())).append(' ')
        .append(hex(record.value()));
    for (Header header : record.headers()) {
      line.append(' ').append(HexFormat.of().formatHex(header.key().getBytes(
          java.nio.charset.StandardCharsets.UTF_8))).append('=').append(hex(header.value()));
    }
    return line.toString();
  }

  static String hex(byte[] bytes) {
    return bytes == null ? "null" : HexFormat.of().formatHex(bytes);
  }
}
