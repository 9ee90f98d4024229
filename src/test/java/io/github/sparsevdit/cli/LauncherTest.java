package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.StringJoiner;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The script that users start. */
class LauncherTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"POSIX", "xx_XX.UTF-8"}) // the second is installed nowhere
  void namesThatAreNotAsciiAreUnderstoodInAnAsciiLocale(String locale) throws Exception {
    Path launcher = Path.of("bin/svdit");
    assumeTrue(Files.isExecutable(launcher), "bin/svdit is not built: `make` builds it");
    Path copy = Files.createDirectories(folder.resolve("bin")).resolve("svdit");
    Files.copy(launcher, copy);
    standInForTheJar(Files.createDirectories(folder.resolve("target")), copy);
    // A JVM whose own locale is C cannot name the file, so the shell does.
    String script = "exec \"$0/bin/svdit\" show \"$0/$(printf 't\\303\\244ble').json\"";
    ProcessBuilder builder = new ProcessBuilder("sh", "-c", script, folder.toString());
    Map<String, String> environment = builder.redirectErrorStream(true).environment();
    environment.keySet().removeAll(Set.of("LC_ALL", "LC_CTYPE", "LANG"));
    environment.put("LC_ALL", locale);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor(), output);
    assertTrue(output.contains("t\u00e4ble.json"), output);
    assertTrue(!output.contains("Malformed"), output);
  }

  /**
   * Tests run before the jar is packed: one that only names this JVM's class path takes its place.
   */
  private static void standInForTheJar(Path target, Path launcher) throws Exception {
    Matcher name =
        Pattern.compile("/(sparse-vdit-[0-9][^\\s:$]*)").matcher(Files.readString(launcher));
    assertTrue(name.find(), "the launcher names no jar");
    StringJoiner entries = new StringJoiner(" ");
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      entries.add(Path.of(entry).toUri().toString());
    }
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, entries.toString());
    Path jar = target.resolve(name.group(1) + ".jar");
    new JarOutputStream(Files.newOutputStream(jar), manifest).close();
  }
}
