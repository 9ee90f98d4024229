package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.jmh.TorchProgram;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;

/**
 * Wan 2.1's decoder as a TorchScript program, operation by operation as diffusers' AutoencoderKLWan
 * gives them to PyTorch: one program for the first latent frame, one for those after it, which take
 * and give the frames that are kept.
 */
final class TorchWanDecoder {
  private static final int[] WIDTHS = {384, 384, 384, 192, 96};

  private final List<String> lines = new ArrayList<>();
  private final List<String> weights = new ArrayList<>(); // names, in order of use
  private final List<String> kept = new ArrayList<>(); // what is given on
  private final boolean first;
  private int frames = 1;
  private int height;
  private int width;
  private int caches;
  private int names;

  private TorchWanDecoder(boolean first, int height, int width) {
    this.first = first;
    this.height = height;
    this.width = width;
  }

  /** The video [3, 5, height, width] of two latent frames. */
  static float[] decode(
      RandomVaeWeights source,
      ElementType type,
      int threads,
      int height,
      int width,
      float[] latents) {
    int plane = height * width;
    List<float[]> frames = new ArrayList<>();
    try (TorchProgram.Session session = TorchProgram.session(threads, type)) {
      List<Object> kept = List.of();
      List<Object> loaded = null;
      for (int f = 0; f < 2; f++) {
        TorchWanDecoder decoder = new TorchWanDecoder(f == 0, height, width);
        String program = decoder.program();
        if (loaded == null) {
          loaded = new ArrayList<>();
          for (String name : decoder.weights) {
            loaded.add(session.tensor(source.tensor(name).toFloats(), source.tensor(name).shape()));
          }
          source.close();
        }
        if (f == 1) { // the convolutions over time come too
          loaded.clear();
          for (String name : decoder.weights) {
            loaded.add(session.tensor(source.tensor(name).toFloats(), source.tensor(name).shape()));
          }
          source.close();
        }
        float[] z = new float[16 * plane];
        for (int c = 0; c < 16; c++) {
          System.arraycopy(latents, (c * 2 + f) * plane, z, c * plane, plane);
        }
        List<Object> inputs = new ArrayList<>();
        inputs.add(session.tensor(z, 1, 16, 1, height, width));
        inputs.addAll(loaded);
        inputs.addAll(kept);
        try (TorchProgram compiled = session.compile(program, inputs.size())) {
          WanVaeComparison.begin();
          long begin = System.nanoTime();
          List<Object> outputs = compiled.run(inputs);
          WanVaeComparison.report("torch", type, System.nanoTime() - begin);
          frames.add(session.floats(outputs.getFirst()));
          session.close(outputs.getFirst());
          kept.forEach(session::close);
          kept = outputs.subList(1, outputs.size());
        }
      }
    }
    return joined(frames, 64 * plane);
  }

  private static float[] joined(List<float[]> parts, int pixels) {
    int count = parts.stream().mapToInt(part -> part.length / 3 / pixels).sum();
    float[] video = new float[3 * count * pixels];
    int at = 0;
    for (float[] part : parts) {
      int frames = part.length / 3 / pixels;
      for (int c = 0; c < 3; c++) {
        System.arraycopy(
            part, c * frames * pixels, video, (c * count + at) * pixels, frames * pixels);
      }
      at += frames;
    }
    return video;
  }

  private String program() {
    String x = convolution("z", "post_quant_conv", 0, "");
    x = causal(x, "decoder.conv_in");
    x = resnet(x, "decoder.mid_block.resnets.0", 384, 384);
    x = attention(x, "decoder.mid_block.attentions.0", 384);
    x = resnet(x, "decoder.mid_block.resnets.1", 384, 384);
    for (int i = 0; i < 4; i++) {
      String name = "decoder.up_blocks." + i;
      int inputs = i > 0 ? WIDTHS[i] / 2 : WIDTHS[i];
      for (int j = 0; j < 3; j++) {
        x = resnet(x, name + ".resnets." + j, j == 0 ? inputs : WIDTHS[i + 1], WIDTHS[i + 1]);
      }
      if (i < 3) {
        x = upsample(x, name + ".upsamplers.0", WIDTHS[i + 1], i < 2);
      }
    }
    x = line("torch.silu(%s)", norm(x, "decoder.norm_out", 96));
    x = causal(x, "decoder.conv_out");
    x = line("torch.clamp(%s, -1., 1.)", x);
    StringBuilder code = new StringBuilder("def forward(self: __torch__.Attention,\n    z: Tensor");
    for (int i = 0; i < weights.size(); i++) {
      code.append(",\n    w").append(i).append(": Tensor");
    }
    for (int i = 0; i < (first ? 0 : caches); i++) {
      code.append(",\n    cache").append(i).append(": Tensor");
    }
    code.append(") -> List[Tensor]:\n");
    lines.forEach(each -> code.append("  ").append(each).append('\n'));
    return code.append("  return [")
        .append(x)
        .append(kept.isEmpty() ? "" : ", " + String.join(", ", kept))
        .append("]\n")
        .toString();
  }

  private String line(String expression, Object... arguments) {
    String name = "x" + names++;
    lines.add(name + " = " + expression.formatted(arguments));
    return name;
  }

  private String weight(String name) {
    weights.add(name);
    return "w" + (weights.size() - 1);
  }

  private String convolution(String x, String name, int padding, String flat) {
    String w = weight(name + ".weight");
    String b = weight(name + ".bias");
    return flat.isEmpty()
        ? line("torch.conv3d(%s, %s, %s, [1, 1, 1], [0, 0, 0], [1, 1, 1], 1)", x, w, b)
        : line("torch.conv2d(%s, %s, %s, [1, 1], [%d, %d], [1, 1], 1)", x, w, b, padding, padding);
  }

  /** Of three frames, with the last two of those before. */
  private String causal(String x, String name) {
    return causal(x, name, 1, first);
  }

  private String causal(String x, String name, int space, boolean alone) {
    String seen = x;
    int keep = 2;
    if (!alone) {
      String cache = "cache" + caches;
      seen = line("torch.cat([%s, %s], 2)", cache, x);
    }
    caches++;
    // As diffusers keeps them: the first frame alone, then the last two.
    kept.add(
        first || alone
            ? line("torch.clone(%s)", x)
            : line("torch.clone(torch.slice(%s, 2, -%d, 9223372036854775807, 1))", seen, keep));
    int zeros = alone ? 2 : 1; // before the second latent frame one is kept
    String padded =
        line(
            "torch.constant_pad_nd(%s, [%d, %d, %d, %d, %d, 0], 0)",
            seen, space, space, space, space, zeros);
    return convolution(padded, name, 0, "");
  }

  private String norm(String x, String name, int channels) {
    String gamma = weight(name + ".gamma");
    String length =
        line("torch.clamp_min(torch.norm(%s, 2, [1], True), 9.9999999999999998e-13)", x);
    return line(
        "torch.mul(torch.mul(torch.div(%s, torch.expand_as(%s, %s)), %s), %s)",
        x, length, x, Math.sqrt(channels), gamma);
  }

  private String resnet(String x, String name, int inputs, int outputs) {
    String shortcut = inputs == outputs ? x : convolution(x, name + ".conv_shortcut", 0, "");
    String h = line("torch.silu(%s)", norm(x, name + ".norm1", inputs));
    h = causal(h, name + ".conv1");
    h = line("torch.silu(%s)", norm(h, name + ".norm2", outputs));
    h = causal(h, name + ".conv2");
    return line("torch.add(%s, %s)", h, shortcut);
  }

  private String attention(String x, String name, int channels) {
    int pixels = height * width;
    String flat = line("torch.squeeze(%s, 2)", x);
    String h = norm(flat, name + ".norm", channels);
    h = convolution(h, name + ".to_qkv", 0, "2d");
    h =
        line(
            "torch.contiguous(torch.permute(torch.reshape(%s, [1, 1, %d, %d]), [0, 1, 3, 2]))",
            h, 3 * channels, pixels);
    String[] qkv = new String[3];
    for (int i = 0; i < 3; i++) {
      qkv[i] = line("torch.slice(%s, 3, %d, %d, 1)", h, i * channels, (i + 1) * channels);
    }
    h = line("torch.scaled_dot_product_attention(%s, %s, %s)", qkv[0], qkv[1], qkv[2]);
    h =
        line(
            "torch.reshape(torch.permute(torch.squeeze(%s, 1), [0, 2, 1]), [1, %d, %d, %d])",
            h, channels, height, width);
    h = convolution(h, name + ".proj", 0, "2d");
    return line("torch.add(torch.unsqueeze(%s, 2), %s)", h, x);
  }

  private String upsample(String x, String name, int channels, boolean inTime) {
    if (inTime && !first) {
      String two = line("torch.constant_pad_nd(%s, [0, 0, 0, 0, 2, 0], 0)", x);
      two = convolution(two, name + ".time_conv", 0, "");
      two = line("torch.reshape(%s, [1, 2, %d, %d, %d, %d])", two, channels, frames, height, width);
      two = line("torch.stack([torch.select(%s, 1, 0), torch.select(%s, 1, 1)], 3)", two, two);
      frames *= 2;
      x = line("torch.reshape(%s, [1, %d, %d, %d, %d])", two, channels, frames, height, width);
    }
    String flat =
        line(
            "torch.reshape(torch.permute(%s, [0, 2, 1, 3, 4]), [%d, %d, %d, %d])",
            x, frames, channels, height, width);
    height *= 2;
    width *= 2;
    String up = line("torch.upsample_nearest2d(%s, [%d, %d])", flat, height, width);
    up = convolution(up, name + ".resample.1", 1, "2d");
    return line(
        "torch.permute(torch.reshape(%s, [1, %d, %d, %d, %d]), [0, 2, 1, 3, 4])",
        up, frames, channels / 2, height, width);
  }
}
