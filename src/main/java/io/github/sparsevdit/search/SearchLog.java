package io.github.sparsevdit.search;

import io.github.sparsevdit.internal.io.AtomicFiles;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

/**
 * Keeps a search's progress in one file: a snapshot of its state, and after it what each later
 * point found. A checkpoint appends the points since the last one, and so costs the same however
 * much is there: at HunyuanVideo's size (720p, 129 frames) 0.2 MB a point in the first stage, less
 * in the others, where the whole state is 256 MB. A log that has become {@value #FOLD} times as
 * large as the state is folded into a new snapshot, and so is that of a finished search.
 *
 * <p>The file is {@link #MAGIC} (8 bytes), {@link #VERSION} (4), the number of frames that were
 * written whole (4; it is 1, or 2 with a snapshot), the CRC-32C of these (4), then frames. A frame
 * is its payload's length (8 bytes), that length's CRC-32C (4), the payload, and the payload's
 * CRC-32C (4), big-endian. The first describes the search; the others hold records, each a byte
 * that says which, and {@link #END}. A frame is on the disk before the next is begun, so only the
 * last can be torn: it is cut off when the search goes on, and its points are done again.
 *
 * <p>Appending happens on a thread of its own, one frame at a time: the search waits only if the
 * frame before is not yet on the disk, and while a snapshot is written. What fails there is thrown
 * by the next call that writes, with the file's name, and by all after it. For one thread.
 */
final class SearchLog implements AutoCloseable {
  private static final long MAGIC = 0x7376646974736561L; // "svditsea"
  private static final int VERSION = 4;
  private static final int PREAMBLE = 20;
  private static final int HEAD = 12;
  private static final int TAIL = 4;

  private static final int POINT = 0;
  private static final int STAGE = 1;
  private static final int SNAPSHOT = 2;
  private static final int END = 3;

  private static final int FOLD = 4;

  /** Bytes that are not kept waiting for the next checkpoint. */
  private static final int MOST_PENDING = 8 << 20;

  /**
   * Which search a file belongs to.
   *
   * @param fingerprint another search has another
   * @param cost it goes by
   * @param setup all else that tables depend on besides the scores, as {@link SearchSetup} writes
   *     it
   */
  record Search(String fingerprint, CostModel cost, byte[] setup) {}

  private final Path file;
  private final Search search; // null where nothing will be written
  private final ExecutorService writer =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("svdit-search-checkpoint").factory());

  private CompletableFuture<Void> writing = CompletableFuture.completedFuture(null);
  private final ByteArrayOutputStream pending = new ByteArrayOutputStream();
  private long base; // where the frames end that were written whole
  private long length; // where the last frame ends that is on the disk

  private SearchLog(Path file, Search search) {
    this.file = file;
    this.search = search;
  }

  /**
   * Begins a file, or reads the one that is there.
   *
   * @param state of nothing yet; gets what the file holds
   * @throws IllegalArgumentException if the file is no checkpoint, is cut short or damaged, or
   *     belongs to another search
   */
  static SearchLog open(Path file, Search search, SearchState state) {
    SearchLog log = new SearchLog(file, search);
    try {
      if (Files.exists(file)) {
        log.resume(state);
      } else {
        AtomicFiles.createFolderOf(file);
        log.rewrite(null);
      }
      return log;
    } catch (RuntimeException | Error e) {
      log.close();
      throw e;
    }
  }

  /**
   * Reads a file that stays as it is.
   *
   * @param begin gives a state of nothing yet for the search the file belongs to; it gets what the
   *     file holds
   * @throws IllegalArgumentException if the file is no checkpoint, or is cut short or damaged
   * @throws UncheckedIOException if it cannot be read
   */
  static SearchState readOnly(Path file, Function<Search, SearchState> begin) {
    try (SearchLog log = new SearchLog(file, null)) {
      return log.load(begin);
    }
  }

  /** Adds what a point found; it is kept from the next checkpoint on. */
  void add(PointFindings found) {
    record(POINT, found::write);
  }

  /** Adds that a stage ended, and which heads the state now has as undecided. */
  void endStage(SearchState state) {
    record(STAGE, state::writeUndecided);
  }

  /** Whether so much waits that a checkpoint is due whatever the time. */
  boolean full() {
    return pending.size() >= MOST_PENDING;
  }

  /**
   * Has all that was added written, in the background.
   *
   * @param state that holds it
   * @throws UncheckedIOException if the checkpoint before could not be written
   */
  void checkpoint(SearchState state) {
    await();
    if (length - base > FOLD * state.bytes()) {
      fold(state);
    } else if (pending.size() > 0) {
      pending.write(END);
      byte[] records = pending.toByteArray();
      pending.reset();
      writing = CompletableFuture.runAsync(() -> append(records), writer);
    }
  }

  /**
   * The same, and waits until it is on the disk.
   *
   * @throws UncheckedIOException if it or the checkpoint before could not be written
   */
  void flush(SearchState state) {
    checkpoint(state);
    await();
  }

  /** Keeps the end of a search: the log becomes a snapshot. */
  void finish(SearchState state) {
    flush(state); // a snapshot may find no room
    if (length > base) {
      fold(state);
    }
  }

  /** Ends the thread that writes; what was not yet handed to it is not kept. */
  @Override
  public void close() {
    writer.close();
  }

  /**
   * The costs a search goes by, as its checkpoint has them.
   *
   * @throws IllegalArgumentException if the file is no checkpoint
   */
  static CostModel readCost(Path file) {
    return read(
        file,
        in -> {
          readPreamble(in, file);
          in.skipNBytes(HEAD);
          return readSearch(in).cost();
        });
  }

  private interface Content {
    void writeTo(DataOutputStream out) throws IOException;
  }

  private interface Reading<T> {
    T from(DataInputStream in) throws IOException;
  }

  private void record(int kind, Content content) {
    try {
      DataOutputStream out = new DataOutputStream(pending);
      out.writeByte(kind);
      content.writeTo(out);
    } catch (IOException e) {
      throw new AssertionError(e); // memory throws none
    }
  }

  private void await() {
    try {
      writing.join(); // not to be interrupted: a frame is written whole
    } catch (CompletionException e) {
      if (e.getCause() instanceof UncheckedIOException failed) {
        throw new UncheckedIOException(failed.getMessage(), failed.getCause());
      }
      throw new IllegalStateException("cannot write the search's checkpoint " + file, e.getCause());
    }
  }

  private void fold(SearchState state) {
    rewrite(state);
    pending.reset(); // the state holds it
  }

  /** Puts a file with a snapshot, or with none yet, in the place of what is there. */
  private void rewrite(SearchState state) {
    AtomicFiles.write(
        file,
        channel -> {
          write(channel, preamble(state == null ? 1 : 2));
          frame(
              channel,
              out -> {
                write(out, search.cost());
                out.writeUTF(search.fingerprint());
                out.writeInt(search.setup().length);
                out.write(search.setup());
              });
          if (state != null) {
            frame(
                channel,
                out -> {
                  out.writeByte(SNAPSHOT);
                  state.write(out);
                  out.writeByte(END);
                });
          }
          base = channel.position();
        });
    length = base;
  }

  /** Its length is known last, so that such a frame must be moved into place when it is whole. */
  private static void frame(FileChannel channel, Content content) throws IOException {
    long at = channel.position();
    channel.position(at + HEAD);
    CRC32C sum = new CRC32C();
    OutputStream checked = new CheckedOutputStream(Channels.newOutputStream(channel), sum);
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(checked, 1 << 16));
    content.writeTo(out);
    out.flush();
    long end = channel.position();
    channel.position(at);
    write(channel, head(end - at - HEAD));
    channel.position(end);
    write(channel, tail(sum));
  }

  private void append(byte[] records) {
    // Opened anew: what stands under that name by now may be another file, or none.
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      if (channel.size() != length) {
        throw new IOException(
            "it has %d bytes, and had %d when this search last wrote it; does another search write it?"
                .formatted(channel.size(), length));
      }
      channel.position(length);
      CRC32C sum = new CRC32C();
      sum.update(records);
      write(channel, head(records.length));
      write(channel, ByteBuffer.wrap(records).position(records.length));
      write(channel, tail(sum));
      channel.force(true);
      length = channel.position();
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write the search's checkpoint %s: %s".formatted(file, e), e);
    }
  }

  private static ByteBuffer preamble(int whole) {
    ByteBuffer preamble =
        ByteBuffer.allocate(PREAMBLE).putLong(MAGIC).putInt(VERSION).putInt(whole);
    return preamble.putInt(sum(preamble.array(), preamble.position()));
  }

  private static ByteBuffer head(long length) {
    ByteBuffer head = ByteBuffer.allocate(HEAD).putLong(length);
    return head.putInt(sum(head.array(), Long.BYTES));
  }

  private static ByteBuffer tail(CRC32C sum) {
    return ByteBuffer.allocate(TAIL).putInt((int) sum.getValue());
  }

  private static int sum(byte[] bytes, int length) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, 0, length);
    return (int) sum.getValue();
  }

  /** Writes what was put into a buffer. */
  private static void write(FileChannel channel, ByteBuffer filled) throws IOException {
    AtomicFiles.writeAll(channel, filled.flip());
  }

  private void resume(SearchState state) {
    load(
        of -> {
          if (!of.fingerprint().equals(search.fingerprint())) {
            throw new IllegalArgumentException(
                "the checkpoint %s belongs to another search: source, candidates, options, backend or tier differ"
                    .formatted(file));
          }
          return state;
        });
    cutOff();
  }

  private SearchState load(Function<Search, SearchState> begin) {
    read(
        file,
        in -> {
          check(in, readPreamble(in, file), Files.size(file));
          return null;
        });
    return read(
        file,
        in -> {
          boolean snapshot = readPreamble(in, file) == 2;
          in.skipNBytes(HEAD);
          SearchState state = begin.apply(readSearch(in));
          in.skipNBytes(TAIL);
          if (snapshot) {
            in.skipNBytes(HEAD);
            apply(in, state);
          }
          for (long left = length - base; left > 0; ) {
            left -= HEAD + in.readLong() + TAIL;
            in.skipNBytes(HEAD - Long.BYTES);
            apply(in, state);
          }
          return state;
        });
  }

  /** Finds where the last whole frame ends. */
  private void check(DataInputStream in, int whole, long size) throws IOException {
    byte[] buffer = new byte[1 << 16];
    long at = PREAMBLE;
    int frame = 0;
    for (; at < size; frame++) {
      byte[] head = in.readNBytes(HEAD);
      if (head.length < HEAD) {
        break;
      }
      long end = at + HEAD + ByteBuffer.wrap(head).getLong() + TAIL;
      if (ByteBuffer.wrap(head).getInt(Long.BYTES) != sum(head, Long.BYTES)) {
        if (allZero(head, HEAD) && onlyZeroes(in, buffer)) {
          break; // a file may have grown before what was written got there
        }
        throw damaged(at, frame >= whole);
      }
      if (end > size) {
        break;
      }
      CRC32C sum = new CRC32C();
      for (long left = end - TAIL - at - HEAD; left > 0; ) {
        int read = in.readNBytes(buffer, 0, (int) Math.min(left, buffer.length));
        sum.update(buffer, 0, read);
        left -= read;
      }
      if (in.readInt() != (int) sum.getValue()) {
        if (frame >= whole && end == size) {
          break;
        }
        throw damaged(at, frame >= whole);
      }
      at = end;
      if (frame < whole) {
        base = at;
      }
    }
    if (frame < whole) { // never torn by a crash: they were moved into place
      throw new EOFException();
    }
    length = at;
  }

  private IllegalArgumentException damaged(long at, boolean goesOn) {
    return new IllegalArgumentException(
        "the checkpoint %s is damaged at byte %d; %sdelete it to begin anew"
            .formatted(
                file,
                at,
                goesOn
                    ? "cut it to %d bytes to go on from what comes before, or ".formatted(at)
                    : ""));
  }

  private static boolean allZero(byte[] bytes, int length) {
    for (int i = 0; i < length; i++) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static boolean onlyZeroes(DataInputStream in, byte[] buffer) throws IOException {
    for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
      if (!allZero(buffer, read)) {
        return false;
      }
    }
    return true;
  }

  /** Gives the state a frame's records, past its head. */
  private void apply(DataInputStream in, SearchState state) throws IOException {
    for (int kind = in.readByte(); kind != END; kind = in.readByte()) {
      switch (kind) {
        case POINT -> state.add(PointFindings.read(in, state));
        case STAGE -> {
          state.readUndecided(in);
          state.endStage();
        }
        case SNAPSHOT -> state.read(in);
        default ->
            throw new IllegalArgumentException(
                "the checkpoint %s contains a record of kind %d".formatted(file, kind));
      }
    }
    in.skipNBytes(TAIL);
  }

  /** Takes a torn last frame off. */
  private void cutOff() {
    try {
      if (Files.size(file) > length) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.truncate(length);
          channel.force(true);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot write the search's checkpoint %s: %s".formatted(file, e), e);
    }
  }

  private static <T> T read(Path file, Reading<T> reading) {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file), 1 << 16))) {
      return reading.from(in);
    } catch (EOFException e) {
      throw new IllegalArgumentException("the checkpoint " + file + " is cut short", e);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cannot read the search's checkpoint %s: %s".formatted(file, e), e);
    }
  }

  /** How many frames were written whole. */
  private static int readPreamble(DataInputStream in, Path file) throws IOException {
    if (in.readLong() != MAGIC || in.readInt() != VERSION) {
      throw new IllegalArgumentException(file + " is not a checkpoint of this version's search");
    }
    int whole = in.readInt();
    if (in.readInt() != preamble(whole).getInt(PREAMBLE - Integer.BYTES)) {
      throw new IllegalArgumentException(
          "the checkpoint %s is damaged at its beginning; delete it to begin anew".formatted(file));
    }
    return whole;
  }

  private static Search readSearch(DataInputStream in) throws IOException {
    CostModel cost = readCost(in);
    return new Search(in.readUTF(), cost, in.readNBytes(in.readInt()));
  }

  private static CostModel readCost(DataInputStream in) throws IOException {
    return new CostModel(
        in.readUTF(),
        in.readDouble(),
        in.readDouble(),
        in.readDouble(),
        in.readDouble(),
        in.readUTF(),
        in.readDouble(),
        in.readDouble());
  }

  private static void write(DataOutputStream out, CostModel cost) throws IOException {
    out.writeUTF(cost.name());
    out.writeDouble(cost.perGroup());
    out.writeDouble(cost.perHead());
    out.writeDouble(cost.perPermutedHead());
    out.writeDouble(cost.perDensity());
    out.writeUTF(cost.device());
    out.writeDouble(cost.fitError());
    out.writeDouble(cost.heldOutError());
  }
}
