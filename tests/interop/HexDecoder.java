// SPDX-License-Identifier: Apache-2.0

import java.util.HexFormat;
import org.apache.kafka.tools.api.Decoder;

/** Lets the dump tool print keys and values as what they are: bytes. */
public class HexDecoder implements Decoder<String> {
  @Override
  public String fromBytes(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
