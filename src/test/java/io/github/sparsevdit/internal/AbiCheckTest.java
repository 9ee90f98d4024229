package io.github.sparsevdit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.internal.AbiCheck.Place;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The handshake between bindings and library, and the numbers both sides give to the same names.
 */
class AbiCheckTest {
  @Test
  void libraryAndBindingsAgree() {
    NativeLibrary.load();
    assertEquals(AbiCheck.ofBindings(), AbiCheck.ofLibrary());
  }

  @Test
  void everyStructOfTheHeaderIsCompared() throws Exception {
    Set<String> declared =
        Pattern.compile("typedef struct (svdit_\\w+) \\{")
            .matcher(Files.readString(Path.of("native/include/svdit.h")))
            .results()
            .map((MatchResult match) -> match.group(1))
            .collect(Collectors.toSet());
    Set<String> compared =
        AbiCheck.ofBindings().keySet().stream()
            .filter(name -> !name.contains("."))
            .collect(Collectors.toSet());
    assertEquals(declared, compared);
  }

  @Test
  void everyDifferenceIsNamed() {
    Map<String, Place> bindings = AbiCheck.ofBindings();
    assertEquals(List.of(), AbiCheck.differences(bindings, bindings));
    for (String name : bindings.keySet()) {
      Map<String, Place> library = new HashMap<>(bindings);
      Place place = bindings.get(name);
      library.put(name, new Place(place.offset() + 8, place.size()));
      List<String> moved = AbiCheck.differences(bindings, library);
      assertEquals(1, moved.size());
      assertTrue(
          moved.get(0).startsWith(name + " at offset " + (place.offset() + 8)), moved.get(0));
      library.remove(name);
      assertTrue(AbiCheck.differences(bindings, library).get(0).startsWith(name + " at no place"));
      assertTrue(
          AbiCheck.differences(library, bindings).get(0).endsWith("unknown to the bindings"));
    }
  }

  @Test
  void enumsHaveTheHeadersNumbers() throws Exception {
    for (ElementType type : ElementType.values()) {
      assertEquals(constant("SVDIT_" + type), type.code());
    }
    for (Mode mode : Mode.values()) {
      assertEquals(constant("SVDIT_MODE_" + mode), mode.ordinal());
    }
    for (Order.Kind kind : Order.Kind.values()) {
      assertEquals(constant("SVDIT_ORDER_" + kind), kind.ordinal());
    }
    for (Backend.Kind kind : Backend.Kind.values()) {
      assertEquals(constant("SVDIT_BACKEND_" + kind), kind.ordinal());
    }
    for (CpuOptions.Tier tier : CpuOptions.Tier.values()) {
      assertEquals(constant("SVDIT_CPU_TIER_" + tier), tier.ordinal());
    }
    for (SweepRequest.Rule rule : SweepRequest.Rule.values()) {
      assertEquals(constant("SVDIT_SWEEP_" + rule), rule.ordinal());
    }
  }

  private static int constant(String name) throws Exception {
    return (int) Svdit.class.getMethod(name).invoke(null);
  }
}
