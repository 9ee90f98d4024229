package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** The limits Linux sets to this process, as its files tell them. */
final class Machine {
  private static final Path CGROUP = Path.of("/sys/fs/cgroup");

  private Machine() {}

  static void describe(ObjectNode node) {
    node.put("processors", Runtime.getRuntime().availableProcessors() + " as Java counts them");
    node.put("affinity", status("Cpus_allowed_list"));
    node.put("cgroup CPU quota", cpuQuota());
    node.put("cgroup memory", memoryLimit());
    node.put("Java heap", "at most " + DoctorCommand.gib(Runtime.getRuntime().maxMemory()));
  }

  private static String status(String key) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith(key + ":")) {
          return line.substring(key.length() + 1).strip();
        }
      }
    } catch (IOException e) {
      return "unknown: " + e.getMessage();
    }
    return "unknown";
  }

  private static String cpuQuota() {
    String limit =
        read(CGROUP.resolve("cpu.max")); // "max 100000" or microseconds of quota and period
    if (limit.isEmpty()) {
      String quota = read(CGROUP.resolve("cpu/cpu.cfs_quota_us"));
      limit = quota.isEmpty() ? "" : quota + " " + read(CGROUP.resolve("cpu/cpu.cfs_period_us"));
    }
    String[] parts = limit.split(" ");
    if (parts.length < 2 || parts[0].equals("max") || parts[0].startsWith("-")) {
      return "none";
    }
    return String.format(
        Locale.ROOT,
        "%.2f processors",
        Double.parseDouble(parts[0]) / Double.parseDouble(parts[1]));
  }

  private static String memoryLimit() {
    String limit = read(CGROUP.resolve("memory.max"));
    if (limit.isEmpty()) {
      limit = read(CGROUP.resolve("memory/memory.limit_in_bytes"));
    }
    // Version 1 writes "no limit" as the largest number of pages.
    if (limit.isEmpty() || limit.equals("max") || limit.length() > 18) {
      return "no limit";
    }
    return "at most " + DoctorCommand.gib(Long.parseLong(limit));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      return "";
    }
  }
}
