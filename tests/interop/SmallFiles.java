// SPDX-License-Identifier: Apache-2.0

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.metadata.properties.MetaProperties;
import org.apache.kafka.metadata.properties.PropertiesUtils;
import org.apache.kafka.storage.internals.checkpoint.CleanShutdownFileHandler;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.OffsetCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.PartitionMetadataFile;
import org.apache.kafka.storage.internals.log.EpochEntry;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;

/** SmallFiles DIRECTORY: what Kafka's own classes read in the small files of a log directory. */
public class SmallFiles {
  public static void main(String[] arguments) throws Exception {
    Path root = Path.of(arguments[0]);
    LogDirFailureChannel failures = new LogDirFailureChannel(1);
    MetaProperties meta =
        new MetaProperties.Builder(
                PropertiesUtils.readPropertiesFile(root.resolve("meta.properties").toString()))
            .build();
    System.out.println("meta.properties " + meta.version() + " " + meta.clusterId().get() + " "
        + meta.nodeId().getAsInt() + " " + meta.directoryId().get());
    System.out.println("clean " + new CleanShutdownFileHandler(root.toString()).exists());
    for (String name : new String[] {"recovery-point-offset-checkpoint",
             "log-start-offset-checkpoint", "replication-offset-checkpoint",
             "cleaner-offset-checkpoint"}) {
      File file = root.resolve(name).toFile();
      if (file.exists()) {
        TreeMap<String, Long> sorted = new TreeMap<>();
        new OffsetCheckpointFile(file, failures).read().forEach(
            (TopicPartition partition, Long offset) -> sorted.put(partition.toString(), offset));
        sorted.forEach((partition, offset)
                -> System.out.println(name + " " + partition + " " + offset));
      }
    }
    try (Stream<Path> all = Files.list(root)) {
      for (Path directory : all.filter(Files::isDirectory).sorted().toList()) {
        StringBuilder line = new StringBuilder("partition " + directory.getFileName());
        line.append(' ').append(new PartitionMetadataFile(
            PartitionMetadataFile.newFile(directory.toFile()), failures).read().topicId());
        LeaderEpochCheckpointFile epochs = new LeaderEpochCheckpointFile(
            LeaderEpochCheckpointFile.newFile(directory.toFile()), failures);
        for (EpochEntry entry : epochs.read()) {
          line.append(' ').append(entry.epoch()).append('@').append(entry.startOffset());
        }
        System.out.println(line);
      }
    }
  }
}
