package io.github.sparsevdit.cli.terminal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cli.commands.SequenceConverter;
import io.github.sparsevdit.pattern.Sequence;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.TypeConversionException;

class TextTableTest {
  @Test
  void numbersStandRightAndWordsLeft() {
    TextTable table = new TextTable("mode", "density");
    table.add("full", "1");
    table.add("multi-diagonal", "0.25");
    assertEquals(
        """
        mode            density
        full                  1
        multi-diagonal     0.25
        """,
        table.toString());
    assertThrows(IllegalArgumentException.class, () -> table.add("one"));
  }

  @Test
  void sequencesAreReadAsPeopleWriteThem() throws Exception {
    SequenceConverter converter = new SequenceConverter();
    assertEquals(Sequence.video(21, 30, 52), converter.convert("21x30x52"));
    assertEquals(new Sequence(33, 45, 80, 256, false), converter.convert("33x45x80+256"));
    assertEquals(new Sequence(11, 48, 85, 226, true), converter.convert("226+11x48x85"));
    for (String wrong : new String[] {"21x30", "1+2x3x4+5", "axbxc", ""}) {
      var refused = assertThrows(TypeConversionException.class, () -> converter.convert(wrong));
      assertTrue(refused.getMessage().contains("'" + wrong + "'"));
    }
  }
}
