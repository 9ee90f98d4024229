package io.github.sparsevdit.internal.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * How much memory this process can still take: what the machine has left, or what the limits of its
 * control groups leave, whichever is less. Pages of files count as free, since they can be dropped.
 *
 * @param bytes Long.MAX_VALUE where nothing is known
 * @param reason what sets it, for messages
 */
public record AvailableMemory(long bytes, String reason) {
  private static final long NO_LIMIT = 1L << 60; // version 1 writes "none" as a huge number

  /** As of now. */
  public static AvailableMemory now() {
    return of(Path.of("/"));
  }

  /** With Linux's files below a root of their own. */
  static AvailableMemory of(Path root) {
    AvailableMemory least = new AvailableMemory(Long.MAX_VALUE, "nothing known");
    long machine = number(root.resolve("proc/meminfo"), "MemAvailable:");
    if (machine >= 0) {
      least = new AvailableMemory(1024 * machine, "this machine has left");
    }
    for (String line : lines(root.resolve("proc/self/cgroup"))) {
      String[] parts = line.split(":", 3); // id:controllers:path
      if (parts.length < 3) {
        continue;
      }
      boolean unified = parts[1].isEmpty();
      if (!unified && !List.of(parts[1].split(",")).contains("memory")) {
        continue;
      }
      Path mount = root.resolve(unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
      Path group = mount.resolve(parts[2].substring(1)).normalize();
      for (; group != null && group.startsWith(mount); group = group.getParent()) {
        AvailableMemory left = unified ? unified(group) : version1(group);
        if (left != null && left.bytes < least.bytes) {
          least = left;
        }
      }
    }
    return least;
  }

  private static AvailableMemory unified(Path group) {
    long used = number(group.resolve("memory.current"), "");
    Path stat = group.resolve("memory.stat");
    long files = number(stat, "inactive_file") + number(stat, "active_file");
    return left(number(group.resolve("memory.max"), ""), used, files);
  }

  private static AvailableMemory version1(Path group) {
    long used = number(group.resolve("memory.usage_in_bytes"), "");
    Path stat = group.resolve("memory.stat");
    long files = number(stat, "total_inactive_file") + number(stat, "total_active_file");
    return left(number(group.resolve("memory.limit_in_bytes"), ""), used, files);
  }

  private static AvailableMemory left(long limit, long used, long files) {
    if (limit < 0 || limit >= NO_LIMIT || used < 0) {
      return null;
    }
    return new AvailableMemory(
        Math.max(0, limit - Math.max(0, used - Math.max(0, files))),
        "the control group's limit of " + Math.round(limit * 1e-6) + " MB leaves");
  }

  /** The number behind a name at a line's start; −1 where there is none. */
  private static long number(Path file, String name) {
    for (String line : lines(file)) {
      String[] words = line.strip().split("\\s+");
      boolean found = name.isEmpty() || words[0].equals(name);
      int at = name.isEmpty() ? 0 : 1;
      if (found && words.length > at && words[at].matches("\\d{1,19}")) {
        try {
          return Long.parseLong(words[at]);
        } catch (NumberFormatException beyondLong) {
          return NO_LIMIT;
        }
      }
    }
    return -1;
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException absent) {
      return List.of();
    }
  }
}
