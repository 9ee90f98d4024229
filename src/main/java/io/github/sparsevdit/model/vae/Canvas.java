package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.ClipOperations;
import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What the networks of VAEs are written with: operations on clips, and the clips' memory. A clip is
 * taken, released and lent again to the next one of its size. Without a backend it computes nothing
 * and counts what it would take: the same calls, so that what a network states beforehand is what
 * it takes. For one thread at a time.
 */
final class Canvas implements AutoCloseable {
  private static final float NO_DIVISION_BY_ZERO = 1e-30f;
  private static final long SCORE_BYTES = 64L << 20;

  final ElementType type; // that is computed in
  private final Backend backend; // null: only counts
  private final ClipOperations ops;
  private final Map<Size, Deque<Buffer>> free = new HashMap<>();
  private final Set<Buffer> all = new HashSet<>(); // free and lent
  private long allocated;
  private long peak;
  private long hostAllocated;
  private long hostPeak;

  /** Memory of so many elements. */
  record Size(ElementType type, long elements) {
    long bytes() {
      return elements * type.bytes();
    }
  }

  /** Memory that is lent to one clip after the other; tensor is null where it is only counted. */
  static final class Buffer {
    private final Size size;
    private final Tensor tensor;

    Buffer(Size size, Tensor tensor) {
      this.size = size;
      this.tensor = tensor;
    }
  }

  /** Computes on a backend. */
  Canvas(Backend backend, ElementType type) {
    this.type = type;
    this.backend = backend;
    ops = new ClipOperations(backend);
  }

  /** Only counts. */
  Canvas(ElementType type) {
    this.type = type;
    backend = null;
    ops = null;
  }

  ClipOperations operations() {
    return ops;
  }

  /** The most bytes that clips took at a time. */
  long peak() {
    return peak;
  }

  /** The most bytes that videos took at a time. */
  long hostPeak() {
    return hostPeak;
  }

  /** A video that nothing was written to, until {@link #free}. */
  Video video(int channels, int frames, int height, int width) {
    Video planned = Video.planned(channels, frames, height, width);
    hostAllocated += planned.bytes();
    hostPeak = Math.max(hostPeak, hostAllocated);
    return backend == null
        ? planned
        : Video.of(backend.allocatePinned(ElementType.FP32, channels, frames, height, width));
  }

  /** Frees a video that {@link #video} gave; null is allowed. */
  void free(Video video) {
    if (video == null) {
      return;
    }
    hostAllocated -= video.bytes();
    if (video.tensor() != null) {
      video.tensor().close();
    }
  }

  /** A video that is somebody else's from here on. */
  Tensor handOver(Video video) {
    hostAllocated -= video.bytes();
    return video.tensor();
  }

  /** Whether memory is only planned. */
  boolean plans() {
    return backend == null;
  }

  /** A clip that nothing was written to. */
  Clip take(int frames, int height, int width, int channels) {
    return take(type, frames, height, width, channels);
  }

  Clip take(ElementType of, int frames, int height, int width, int channels) {
    long rows = (long) frames * height * width;
    Buffer buffer = buffer(new Size(of, rows * channels));
    Tensor tensor = buffer.tensor == null ? null : buffer.tensor.view(rows, channels);
    return new Clip(tensor, buffer, frames, height, width, channels);
  }

  private Buffer buffer(Size size) {
    Deque<Buffer> ready = free.get(size);
    if (ready != null && !ready.isEmpty()) {
      return ready.pop();
    }
    allocated += size.bytes();
    peak = Math.max(peak, allocated);
    Buffer buffer =
        new Buffer(size, backend == null ? null : backend.allocate(size.type(), size.elements()));
    all.add(buffer);
    return buffer;
  }

  /** What was taken for the clip may be lent to another; null is allowed. */
  void release(Clip clip) {
    if (clip != null) {
      free.computeIfAbsent(clip.buffer().size, size -> new ArrayDeque<>()).push(clip.buffer());
    }
  }

  /** Frees what is not lent: before clips of other sizes are needed. */
  void trim() {
    Resources unused = new Resources();
    free.values().forEach(each -> each.forEach(buffer -> drop(buffer, unused)));
    free.clear();
    unused.close();
  }

  private void drop(Buffer buffer, Resources unused) {
    allocated -= buffer.size.bytes();
    all.remove(buffer);
    if (buffer.tensor != null) {
      unused.add(buffer.tensor);
    }
  }

  /** The convolution of x, as a new clip. */
  Clip convolve(Convolution convolution, Clip x) {
    return convolve(convolution, x, null, null, type);
  }

  /**
   * The same after frames that are kept of an earlier clip.
   *
   * @param earlier the frame before {@code before}; null where there is none
   * @param before the frame before x; null where there is none
   */
  Clip convolve(Convolution convolution, Clip x, Clip earlier, Clip before, ElementType as) {
    ConvLayout layout = convolution.layout();
    ConvLayout.Extent size = layout.of(x.frames(), x.height(), x.width());
    Clip y = take(as, size.frames(), size.height(), size.width(), convolution.outputs());
    if (ops != null) {
      ops.conv(
          x.rows(),
          x.frames(),
          x.height(),
          x.width(),
          earlier == null ? null : earlier.rows(),
          before == null ? null : before.rows(),
          convolution.weights(),
          layout,
          y.rows());
    }
    return y;
  }

  /** y = x · weight / root mean square over the channels, then SiLU if asked for; y may be x. */
  void rmsNorm(Clip x, Tensor weight, boolean silu, Clip y) {
    if (ops == null) {
      return;
    }
    if (silu) {
      ops.rmsNormSilu(x.rows(), weight, NO_DIVISION_BY_ZERO, y.rows());
    } else {
      ops.rmsNorm(x.rows(), weight, 0, NO_DIVISION_BY_ZERO, y.rows());
    }
  }

  /** The group norm of x over all its pixels; maps may be null; y may be x. */
  void groupNorm(Clip x, GroupNorm norm, ClipMaps maps, boolean silu, Clip y) {
    if (ops == null) {
      return;
    }
    ops.groupNorm(
        x.rows(),
        x.frames(),
        x.height(),
        x.width(),
        norm.groups(),
        norm.weight(),
        norm.bias(),
        norm.epsilon(),
        maps == null
            ? null
            : new ClipOperations.Maps(
                maps.scale().rows(),
                maps.shift().rows(),
                maps.scale().frames(),
                maps.scale().height(),
                maps.scale().width()),
        silu,
        y.rows());
  }

  /** What scales and shifts a group norm: clips of one size. */
  record ClipMaps(Clip scale, Clip shift) {}

  /** y += x. */
  void add(Clip x, Clip y) {
    if (ops != null) {
      ops.residual(x.rows(), null, y.rows());
    }
  }

  /** y += gate · x, with a factor for each channel. */
  void add(Clip x, Tensor gate, Clip y) {
    if (ops != null) {
      ops.residual(x.rows(), gate, y.rows());
    }
  }

  /** y = x. */
  void copy(Clip x, Clip y) {
    if (ops != null) {
      ops.convert(x.rows(), Activation.NONE, y.rows());
    }
  }

  /** y += x spread over frames and pixels: see {@link ClipOperations#spread}. */
  void spread(Clip x, int factorFrames, int factor, int first, Clip y) {
    if (ops != null) {
      ops.spread(
          x.rows(), x.frames(), x.height(), x.width(), factorFrames, factor, first, y.rows());
    }
  }

  /**
   * out = softmax(q kᵀ / √channels) v over the pixels of all frames, in chunks of pixels; scores
   * are FP32. With causal a pixel sees those of its own and earlier frames. out may be q.
   */
  void attend(Clip q, Clip k, Clip v, boolean causal, Clip out) {
    attend(q, k, v, causal, out, SCORE_BYTES);
  }

  void attend(Clip q, Clip k, Clip v, boolean causal, Clip out, long scoreBytes) {
    int pixels = Math.toIntExact(q.pixels());
    int group = causal ? q.height() * q.width() : 0;
    int channels = q.channels();
    int chunk = Math.clamp(scoreBytes / (4L * pixels), 1, pixels);
    Clip turned = take(1, 1, channels, pixels);
    Clip scores = take(ElementType.FP32, 1, 1, chunk, pixels);
    Clip weights = type == ElementType.FP32 ? scores : take(1, 1, chunk, pixels);
    if (ops != null) {
      ops.transpose(v.rows(), turned.rows());
      float scale = (float) (1 / Math.sqrt(channels));
      for (int first = 0; first < pixels; first += chunk) {
        int last = Math.min(first + chunk, pixels);
        // What comes after the last frame of the chunk is seen by none of it.
        int seen = causal ? Math.min(pixels, ((last - 1) / group + 1) * group) : pixels;
        Tensor s = scores.rows().slice(0, 0, last - first).slice(1, 0, seen);
        Tensor w = weights.rows().slice(0, 0, last - first).slice(1, 0, seen);
        Tensor queries = q.rows().slice(0, first, last);
        ops.linear(queries, k.rows().slice(0, 0, seen), null, Activation.NONE, s);
        ops.softmax(s, scale, null, seen, causal ? first : 0, group, w);
        ops.linear(
            w,
            turned.rows().slice(1, 0, seen),
            null,
            Activation.NONE,
            out.rows().slice(0, first, last));
      }
    }
    if (weights != scores) {
      release(weights);
    }
    release(scores);
    release(turned);
  }

  /**
   * Frames first … of a video as a clip.
   *
   * @param patch pixels of the video that are one of the clip, in rows and columns
   */
  Clip read(Video video, int first, int frames, int patch) {
    int height = video.height() / patch;
    int width = video.width() / patch;
    int channels = video.channels() * patch * patch;
    Clip clip = take(frames, height, width, channels);
    Video rows = video(1, 1, frames * height * width, channels);
    if (ops != null) {
      Tensor host = rows.tensor().view(clip.pixels(), channels);
      Planes.gather(video.tensor(), first, patch, host);
      ops.load(host, clip.rows());
      backend.synchronize();
      ops.freeStaging();
    }
    free(rows);
    return clip;
  }

  /** Writes a FP32 clip, which it releases, to frames first … of a video; −1 … 1 if cut. */
  void write(Clip clip, Video video, int first, int patch, boolean cut) {
    if (backend == null || backend.kind() == Backend.Kind.CPU) {
      if (ops != null) {
        Planes.scatter(clip.rows(), video.tensor(), first, patch, cut);
      }
    } else {
      Video rows = video(1, 1, Math.toIntExact(clip.pixels()), clip.channels());
      Tensor host = rows.tensor().view(clip.pixels(), clip.channels());
      host.copyFrom(clip.rows());
      Planes.scatter(host, video.tensor(), first, patch, cut);
      free(rows);
    }
    release(clip);
  }

  /** Frees everything, what is lent too. */
  @Override
  public void close() {
    Resources owned = new Resources();
    if (ops != null) {
      owned.add(ops);
    }
    List.copyOf(all).forEach(buffer -> drop(buffer, owned));
    free.clear();
    owned.close();
  }
}
