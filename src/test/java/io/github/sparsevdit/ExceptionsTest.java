package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_error;
import io.github.sparsevdit.internal.NativeCalls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ExceptionsTest {
  private static final Map<Integer, Class<?>> OF_STATUS =
      Map.of(
          Svdit.SVDIT_INVALID_ARGUMENT(), InvalidArgumentException.class,
          Svdit.SVDIT_UNSUPPORTED(), UnsupportedException.class,
          Svdit.SVDIT_OUT_OF_MEMORY(), OutOfNativeMemoryException.class,
          Svdit.SVDIT_UNAVAILABLE(), BackendUnavailableException.class,
          Svdit.SVDIT_DEVICE_ERROR(), DeviceException.class,
          Svdit.SVDIT_INTERNAL(), NativeInternalException.class,
          Svdit.SVDIT_CANCELLED(), CancellationException.class);

  @Test
  void everyNativeStatusHasItsException() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment error = NativeCalls.newError(arena);
      svdit_error.message(error).setString(0, "why");
      OF_STATUS.forEach(
          (status, type) -> {
            RuntimeException failure = NativeCalls.failure(status, error);
            assertEquals(type, failure.getClass());
            assertEquals("why", failure.getMessage());
          });
      RuntimeException unknown = NativeCalls.failure(99, error);
      assertInstanceOf(NativeInternalException.class, unknown);
      assertTrue(unknown.getMessage().contains("99"), unknown.getMessage());
    }
  }

  /** What the base class's documentation and docs/ list is what there is. */
  @Test
  void everyCauseIsASvditExceptionAndListed() throws Exception {
    Set<String> causes =
        new ClassFileImporter()
                .withImportOption(new ImportOption.DoNotIncludeTests())
                .importPackages("io.github.sparsevdit")
                .stream()
                .filter(type -> type.isAssignableTo(Throwable.class))
                .filter(type -> !type.getPackageName().contains(".cli"))
                .map(JavaClass::getSimpleName)
                .collect(Collectors.toSet());
    assertEquals(
        Set.of(
            "SvditException",
            "BackendUnavailableException",
            "UnsupportedException",
            "OutOfNativeMemoryException",
            "DeviceException",
            "NotFiniteException",
            "NativeInternalException",
            "InvalidArgumentException"),
        causes);
    String source =
        Files.readString(Path.of("src/main/java/io/github/sparsevdit/SvditException.java"));
    String docs = Files.readString(Path.of("docs/embedding.md"));
    for (String cause : causes) {
      assertTrue(source.contains(cause), cause);
      assertTrue(docs.contains(cause), cause);
      if (!cause.equals("InvalidArgumentException")) {
        assertTrue(
            SvditException.class.isAssignableFrom(Class.forName("io.github.sparsevdit." + cause)),
            cause);
      }
    }
  }
}
