package io.github.sparsevdit.internal.media;

import io.github.sparsevdit.internal.io.AtomicFiles;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageOutputStream;

/** Writes a clip as an animated GIF that loops for ever, with a palette for each frame. */
public final class Gif {
  private static final String FORMAT = "javax_imageio_gif_image_1.0";

  private Gif() {}

  /** Writes {@code clip} to {@code path}, whole or not at all. */
  public static void write(Path path, Clip clip) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    encode(bytes, clip);
    AtomicFiles.write(path, bytes.toByteArray());
  }

  private static void encode(ByteArrayOutputStream to, Clip clip) throws IOException {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("gif").next();
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(to)) {
      writer.setOutput(stream);
      writer.prepareWriteSequence(null);
      for (int i = 0; i < clip.frames().size(); i++) {
        var image = clip.image(i);
        IIOMetadata metadata =
            writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(image), null);
        describe(metadata, clip.framesPerSecond(), i == 0);
        writer.writeToSequence(new IIOImage(image, null, metadata), null);
      }
      writer.endWriteSequence();
    } finally {
      writer.dispose();
    }
  }

  /**
   * Adds the frame's delay and, to the first, the request to loop (an extension of Netscape 2.0).
   */
  private static void describe(IIOMetadata metadata, int framesPerSecond, boolean first)
      throws IOException {
    IIOMetadataNode root = (IIOMetadataNode) metadata.getAsTree(FORMAT);
    IIOMetadataNode control = child(root, "GraphicControlExtension");
    control.setAttribute("disposalMethod", "none");
    control.setAttribute("userInputFlag", "FALSE");
    control.setAttribute("transparentColorFlag", "FALSE");
    control.setAttribute("transparentColorIndex", "0");
    // Hundredths of a second; players take less than two for "as slow as I like".
    control.setAttribute("delayTime", Integer.toString(Math.max(2, 100 / framesPerSecond)));
    if (first) {
      IIOMetadataNode loop = new IIOMetadataNode("ApplicationExtension");
      loop.setAttribute("applicationID", "NETSCAPE");
      loop.setAttribute("authenticationCode", "2.0");
      loop.setUserObject(new byte[] {1, 0, 0}); // sub-block 1: loop 0 times, that is for ever
      child(root, "ApplicationExtensions").appendChild(loop);
    }
    metadata.setFromTree(FORMAT, root);
  }

  private static IIOMetadataNode child(IIOMetadataNode root, String name) {
    for (int i = 0; i < root.getLength(); i++) {
      if (root.item(i).getNodeName().equals(name)) {
        return (IIOMetadataNode) root.item(i);
      }
    }
    IIOMetadataNode node = new IIOMetadataNode(name);
    root.appendChild(node);
    return node;
  }
}
