package io.github.sparsevdit.internal.media;

import io.github.sparsevdit.internal.io.AtomicFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.jcodec.api.SequenceEncoder;
import org.jcodec.common.Codec;
import org.jcodec.common.Format;
import org.jcodec.common.io.ByteBufferSeekableByteChannel;
import org.jcodec.common.io.SeekableByteChannel;
import org.jcodec.common.model.ColorSpace;
import org.jcodec.common.model.Picture;
import org.jcodec.common.model.Rational;

/** Writes a clip as H.264 in an MP4 container. */
public final class Mp4 {
  private static final int HEADERS = 1 << 16;

  private Mp4() {}

  /**
   * Writes {@code clip} to {@code path}, whole or not at all; both sides of a frame must be even.
   */
  public static void write(Path path, Clip clip) throws IOException {
    if (clip.width() % 2 != 0 || clip.height() % 2 != 0) {
      throw new IllegalArgumentException(
          "H.264 wants even sides, but the frames are " + clip.width() + " x " + clip.height());
    }
    AtomicFiles.write(path, encode(clip));
  }

  private static ByteBuffer encode(Clip clip) throws IOException {
    // The encoder never takes more than raw frames would.
    int most = Math.toIntExact(HEADERS + 3L * clip.width() * clip.height() * clip.frames().size());
    ByteBuffer bytes = ByteBuffer.allocate(most);
    try (SeekableByteChannel channel = ByteBufferSeekableByteChannel.writeToByteBuffer(bytes)) {
      Rational rate = Rational.R(clip.framesPerSecond(), 1);
      SequenceEncoder encoder = new SequenceEncoder(channel, rate, Format.MOV, Codec.H264, null);
      for (int[] frame : clip.frames()) {
        encoder.encodeNativeFrame(picture(frame, clip.width(), clip.height()));
      }
      encoder.finish();
      return bytes.duplicate().position(0).limit((int) channel.size());
    }
  }

  private static Picture picture(int[] frame, int width, int height) {
    Picture picture = Picture.create(width, height, ColorSpace.RGB);
    byte[] to = picture.getPlaneData(0);
    for (int i = 0; i < frame.length; i++) {
      // JCodec keeps a level less 128, so that it fits a signed byte.
      to[3 * i] = (byte) ((frame[i] >> 16 & 255) - 128);
      to[3 * i + 1] = (byte) ((frame[i] >> 8 & 255) - 128);
      to[3 * i + 2] = (byte) ((frame[i] & 255) - 128);
    }
    return picture;
  }
}
