package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.SvditHeader;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The checked-in bindings are those of the header; fails where one was changed without the other.
 */
class BindingsTest {
  static final Path HEADER = Path.of("native/include/svdit.h");

  @Test
  void bindingsCarryTheHash() throws Exception {
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(HEADER));
    assertEquals(
        HexFormat.of().formatHex(hash),
        SvditHeader.SHA256,
        HEADER + " was changed after bindings/ were generated: run `make bindings`");
  }

  @Test
  void everyFunctionIsBound() throws Exception {
    Set<String> methods =
        Arrays.stream(Svdit.class.getMethods()).map(Method::getName).collect(Collectors.toSet());
    Set<String> functions = declaredFunctions();
    assertTrue(functions.size() > 20, () -> "the header was not understood: " + functions);
    functions.removeAll(methods);
    assertEquals(Set.of(), functions, "functions of svdit.h without a binding");
  }

  /** The functions svdit.h declares, by name. */
  static Set<String> declaredFunctions() throws Exception {
    Matcher declaration =
        Pattern.compile("SVDIT_API\\s[^;(]*?\\b(svdit_\\w+)\\s*\\(")
            .matcher(Files.readString(HEADER));
    Set<String> names = new TreeSet<>();
    while (declaration.find()) {
      names.add(declaration.group(1));
    }
    return names;
  }
}
