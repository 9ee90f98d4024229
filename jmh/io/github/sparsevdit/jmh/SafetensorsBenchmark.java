package io.github.sparsevdit.jmh;

import io.github.sparsevdit.tensor.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Opening a checkpoint: in a JVM that has opened others, and the first time in a new one. */
@State(Scope.Benchmark)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class SafetensorsBenchmark {
  static final int TENSORS = 1024;

  /** Size of the file, a sparse one. */
  @Param("4")
  public int gibibytes;

  private Path file;

  @Setup(Level.Trial)
  public void setUp() throws IOException {
    file = Files.createTempFile("svdit-", ".safetensors");
    write(file, ((long) gibibytes << 30) / TENSORS);
  }

  @TearDown(Level.Trial)
  public void tearDown() throws IOException {
    Files.delete(file);
  }

  @Benchmark
  @BenchmarkMode(Mode.SampleTime)
  @Fork(1)
  @Warmup(iterations = 2, time = 500, timeUnit = TimeUnit.MILLISECONDS)
  @Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
  public int openAgain() {
    return open();
  }

  @Benchmark
  @BenchmarkMode(Mode.SingleShotTime)
  @Fork(5)
  @Warmup(iterations = 0)
  @Measurement(iterations = 1)
  public int openFirst() {
    return open();
  }

  Path file() {
    return file;
  }

  private int open() {
    try (Safetensors tensors = Safetensors.open(file)) {
      return tensors.names().size();
    }
  }

  /** Tensors of bf16, each of that many bytes; only the last element is not zero. */
  private static void write(Path file, long bytesEach) throws IOException {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i < TENSORS; i++) {
      header
          .append(i == 0 ? "" : ",")
          .append("\"blocks." + i + ".weight\":{\"dtype\":\"BF16\",\"shape\":[")
          .append("1024," + bytesEach / 2048 + "],\"data_offsets\":[")
          .append(i * bytesEach + "," + (i + 1) * bytesEach + "]}");
    }
    byte[] json = header.append("}").toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer begin = ByteBuffer.allocate(8 + json.length).order(ByteOrder.LITTLE_ENDIAN);
    begin.putLong(json.length).put(json).flip();
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      channel.write(begin, 0);
      ByteBuffer one = ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN);
      one.putShort((short) 0x3f80).flip(); // 1.0
      channel.write(one, 8 + json.length + TENSORS * bytesEach - 2);
    }
  }
}
