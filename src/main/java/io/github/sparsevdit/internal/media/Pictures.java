package io.github.sparsevdit.internal.media;

import io.github.sparsevdit.internal.io.AtomicFiles;
import java.awt.Font;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Writes images, and knows whether text can be drawn in them here. */
public final class Pictures {
  private Pictures() {}

  /** Writes {@code image} as PNG, whole or not at all. */
  public static void writePng(Path path, BufferedImage image) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(image, "png", bytes); // every Java with java.desktop has this writer
    AtomicFiles.write(path, bytes.toByteArray());
  }

  /**
   * Whether this machine has a font to draw text with: a bare one may lack fontconfig or all fonts.
   */
  public static boolean canDrawText() {
    return Probe.FONTS;
  }

  /** What to do where {@link #canDrawText} is false. */
  public static String howToGetFonts() {
    return "no font was found to draw text with; install fontconfig and fonts-dejavu-core";
  }

  private static final class Probe {
    static final boolean FONTS = drawsText();

    private static boolean drawsText() {
      try {
        var graphics = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB).createGraphics();
        graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 8));
        return graphics.getFontMetrics().stringWidth("x") > 0;
      } catch (RuntimeException | LinkageError | InternalError e) {
        // Which one depends on the JDK and on what is missing; all mean the same.
        return false;
      }
    }
  }
}
