package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script that users start. */
class LauncherTest {
  @TempDir Path folder;

  @Test
  void namesThatAreNotAsciiAreUnderstoodInThePosixLocale() throws Exception {
    Path launcher = Path.of("bin/svdit");
    assumeTrue(Files.isExecutable(launcher), "bin/svdit is not built: `make` builds it");
    // A JVM whose own locale is C cannot name the file, so the shell does.
    String script = "exec bin/svdit show \"$0/$(printf 't\\303\\244ble').json\"";
    ProcessBuilder builder = new ProcessBuilder("sh", "-c", script, folder.toString());
    Map<String, String> environment = builder.redirectErrorStream(true).environment();
    environment.keySet().removeAll(Set.of("LC_ALL", "LC_CTYPE", "LANG"));
    environment.put("LC_ALL", "POSIX");
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor(), output);
    assertTrue(output.contains("t\u00e4ble.json"), output);
    assertTrue(!output.contains("Malformed"), output);
  }
}
