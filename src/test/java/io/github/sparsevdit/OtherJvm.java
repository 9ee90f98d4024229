package io.github.sparsevdit;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Runs a main class of the tests in a JVM of its own, where properties and the library are still
 * open.
 */
public final class OtherJvm {
  private final List<String> options =
      new ArrayList<>(List.of("--enable-native-access=ALL-UNNAMED"));
  private final List<String> classPath = new ArrayList<>();
  private final List<String> prefix = new ArrayList<>();
  private final Map<String, String> environment = new HashMap<>();

  public OtherJvm() {
    classPath.add(System.getProperty("java.class.path"));
  }

  public OtherJvm option(String option) {
    options.add(option);
    return this;
  }

  OtherJvm classPath(String folder) {
    classPath.add(0, folder);
    return this;
  }

  public OtherJvm environment(String name, String value) {
    environment.put(name, value);
    return this;
  }

  /** Started by another command, which is given Java's as its last arguments. */
  public OtherJvm within(List<String> command) {
    prefix.addAll(command);
    return this;
  }

  OtherJvm withoutNativeAccess() {
    options.set(0, "--illegal-native-access=deny");
    return this;
  }

  /** What it printed, on both streams. */
  public String run(Class<?> main, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(prefix);
    command.add(System.getProperty("java.home") + "/bin/java");
    command.addAll(options);
    command.addAll(List.of("-cp", String.join(File.pathSeparator, classPath), main.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("still running: " + command);
    }
    return output;
  }
}
