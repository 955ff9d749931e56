// SPDX-License-Identifier: Apache-2.0

import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/** KafkaNode PROPERTIES: formats the log directory where nobody did, and runs Kafka on it. */
public class KafkaNode {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (FileInputStream in = new FileInputStream(arguments[0])) {
      properties.load(in);
    }
    if (!Files.exists(Path.of(properties.getProperty("log.dirs"), "meta.properties"))) {
      String[] format = {"format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", arguments[0]};
      if (kafka.tools.StorageTool.execute(format, System.out) != 0) {
        System.exit(1);
      }
    }
    kafka.Kafka.main(arguments);
  }
}
