// SPDX-License-Identifier: Apache-2.0

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.Record;

/**
 * HeaderPrinter FILE...: a line for each record that has headers, with their values, which the
 * dump tool does not print: the offset, then KEY=VALUE for each, in hex, or KEY=null.
 */
public class HeaderPrinter {
  public static void main(String[] files) throws IOException {
    for (String file : files) {
      try (FileRecords records = FileRecords.open(new File(file), false)) {
        for (Record record : records.records()) {
          StringBuilder line = new StringBuilder();
          for (Header header : record.headers()) {
            byte[] value = header.value();
            byte[] key = header.key().getBytes(StandardCharsets.UTF_8);
            line.append(' ').append(HexFormat.of().formatHex(key)).append('=')
                .append(value == null ? "null" : HexFormat.of().formatHex(value));
          }
          if (line.length() > 0) {
            System.out.println(record.offset() + line.toString());
          }
        }
      }
    }
  }
}
