package io.github.sparsevdit;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.sparsevdit.table.DispatchTable;

/**
 * Whatever bytes a table's file holds, it is read and written back equal, or refused with a
 * message. Replays the kept inputs; fuzzes where JAZZER_FUZZ=1 ({@code make fuzz}).
 */
class DispatchTableFuzzTest {
  @FuzzTest(maxDuration = "60s")
  void tables(byte[] input) {
    DispatchTable table;
    try {
      table = DispatchTable.parse(new String(input, UTF_8));
    } catch (IllegalArgumentException refused) {
      assertNotNull(refused.getMessage());
      return;
    }
    byte[] written = table.toJson().getBytes(UTF_8);
    DispatchTable again = DispatchTable.parse(new String(written, UTF_8));
    assertEquals(table, again);
    assertEquals(table.hashCode(), again.hashCode());
    assertEquals(table.patterns(500, 0), again.patterns(500, 0));
  }
}
