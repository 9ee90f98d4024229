package io.github.sparsevdit.jmh;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * TorchScript archives of modules without parameters, for what DJL has no call: PyTorch's {@code
 * scaled_dot_product_attention}, and bfloat16.
 */
final class TorchModel {
  private static final String CODE =
      """
      class Attention(Module):
        __parameters__ = []
        __buffers__ = []
        training : bool
        def forward(self: __torch__.Attention,
          q: Tensor,
          k: Tensor,
          v: Tensor) -> Tensor:
          return %s
      """;

  /** PyTorch's attention. */
  static final String ATTENTION = "torch.scaled_dot_product_attention(q, k, v)";

  /** q as bfloat16: DJL has no conversion to it. */
  static final String TO_BF16 = "torch.to(q, 15, False, False)";

  /** q as fp32. */
  static final String TO_FP32 = "torch.to(q, 6, False, False)";

  // Python's pickle, protocol 2: an object of __torch__.Attention with training = False.
  private static final String MODULE =
      "\u0080\u0002c__torch__\nAttention\n)\u0081}(X\u0008\0\0\0training\u0089ub.";
  private static final String EMPTY_TUPLE = "\u0080\u0002).";

  private TorchModel() {}

  /** A module whose forward computes an expression of the tensors q, k and v. */
  static InputStream of(String expression) {
    return archive(CODE.formatted(expression));
  }

  /** A module with the text of a forward function, whose lines begin at the left. */
  static InputStream program(String forward) {
    String head = CODE.substring(0, CODE.indexOf("  def forward"));
    return archive(head + forward.indent(2));
  }

  private static InputStream archive(String code) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      store(zip, "data.pkl", MODULE);
      store(zip, "code/__torch__.py", code);
      store(zip, "constants.pkl", EMPTY_TUPLE);
      store(zip, "version", "3\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new ByteArrayInputStream(bytes.toByteArray());
  }

  private static void store(ZipOutputStream zip, String name, String content) throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.ISO_8859_1);
    CRC32 checksum = new CRC32();
    checksum.update(bytes);
    ZipEntry entry = new ZipEntry("attention/" + name);
    entry.setMethod(ZipEntry.STORED); // PyTorch reads records in place
    entry.setSize(bytes.length);
    entry.setCrc(checksum.getValue());
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }
}
