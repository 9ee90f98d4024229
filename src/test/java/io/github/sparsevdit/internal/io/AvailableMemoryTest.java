package io.github.sparsevdit.internal.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AvailableMemoryTest {
  @TempDir Path root;

  @Test
  void whatTheMachineHasLeft() throws IOException {
    write("proc/meminfo", "MemTotal: 100 kB\nMemFree: 5 kB\nMemAvailable:    7000 kB\n");
    assertEquals(7_168_000, AvailableMemory.of(root).bytes());
    assertEquals("this machine has left", AvailableMemory.of(root).reason());
  }

  @Test
  void theLeastOfAllControlGroupsAbove() throws IOException {
    write("proc/meminfo", "MemAvailable: 900000000 kB\n");
    write("proc/self/cgroup", "0::/jobs/this\n");
    write("sys/fs/cgroup/jobs/this/memory.max", "max\n");
    write("sys/fs/cgroup/jobs/this/memory.current", "5000\n");
    write("sys/fs/cgroup/jobs/memory.max", "10000000\n");
    write("sys/fs/cgroup/jobs/memory.current", "4000000\n");
    write("sys/fs/cgroup/jobs/memory.stat", "anon 5\ninactive_file 300000\nactive_file 700000\n");
    AvailableMemory available = AvailableMemory.of(root);
    assertEquals(7_000_000, available.bytes()); // pages of files can be dropped
    assertEquals("the control group's limit of 10 MB leaves", available.reason());
  }

  @Test
  void controlGroupsOfVersion1() throws IOException {
    write("proc/self/cgroup", "4:cpu,memory:/\n3:blkio:/x\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "8000000\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000\n");
    assertEquals(5_000_000, AvailableMemory.of(root).bytes());
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); // none
    assertEquals(Long.MAX_VALUE, AvailableMemory.of(root).bytes());
  }

  @Test
  void thisMachine() {
    assertTrue(AvailableMemory.now().bytes() > 1 << 20);
    assertEquals(Long.MAX_VALUE, AvailableMemory.of(root.resolve("nothing")).bytes());
  }

  private void write(String path, String text) throws IOException {
    Path file = root.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }
}
