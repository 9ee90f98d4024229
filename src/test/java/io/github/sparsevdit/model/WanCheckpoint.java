package io.github.sparsevdit.model;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Writes Wan checkpoints of any size: headers and configuration as diffusers has them, and data
 * that is a hole in the file (which takes no room on the disk) or random.
 */
public final class WanCheckpoint {
  private static final int TEXT = 4096;
  private static final long SHARD_BYTES = 5_000_000_000L;

  private WanCheckpoint() {}

  /** Bytes of all weights, in bf16. */
  public static long write(Path folder, int heads, int layers, int ffn, boolean random)
      throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"_class_name": "WanTransformer3DModel", "attention_head_dim": 128, "cross_attn_norm": true,
         "eps": 1e-06, "ffn_dim": %d, "freq_dim": 256, "in_channels": 16, "num_attention_heads": %d,
         "num_layers": %d, "out_channels": 16, "patch_size": [1, 2, 2],
         "qk_norm": "rms_norm_across_heads", "text_dim": %d}
        """
            .formatted(ffn, heads, layers, TEXT));
    List<Map<String, long[]>> shards = shards(weights(heads * 128L, layers, ffn));
    StringBuilder index = new StringBuilder("{\"weight_map\": {");
    long total = 0;
    for (int i = 0; i < shards.size(); i++) {
      String name =
          shards.size() == 1
              ? "diffusion_pytorch_model.safetensors"
              : "diffusion_pytorch_model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
      total += writeShard(folder.resolve(name), shards.get(i), random);
      for (String weight : shards.get(i).keySet()) {
        index.append("\"%s\": \"%s\",".formatted(weight, name));
      }
    }
    if (shards.size() > 1) {
      index.setCharAt(index.length() - 1, '}');
      Files.writeString(
          folder.resolve("diffusion_pytorch_model.safetensors.index.json"), index + "}");
    }
    return total;
  }

  private static long writeShard(Path file, Map<String, long[]> weights, boolean random)
      throws IOException {
    StringBuilder header = new StringBuilder("{");
    long at = 0;
    for (Map.Entry<String, long[]> weight : weights.entrySet()) {
      long end = at + bytes(weight.getValue());
      header.append(
          "\"%s\":{\"dtype\":\"BF16\",\"shape\":%s,\"data_offsets\":[%d,%d]},"
              .formatted(weight.getKey(), java.util.Arrays.toString(weight.getValue()), at, end));
      at = end;
    }
    header.setCharAt(header.length() - 1, '}');
    byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
    byte[] padded = java.util.Arrays.copyOf(text, Math.ceilDiv(text.length, 8) * 8);
    java.util.Arrays.fill(padded, text.length, padded.length, (byte) ' ');
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      out.write(length.putLong(padded.length).array());
      out.write(padded);
      out.setLength(8 + padded.length + at); // ftruncate: what was not written is a hole
      if (random) {
        byte[] values = randomValues();
        for (long done = 0; done < at; done += values.length) {
          out.write(values, 0, (int) Math.min(values.length, at - done));
        }
      }
    }
    return at;
  }

  /** A megabyte of bf16 numbers around 0, of deviation 0.02. */
  private static byte[] randomValues() {
    Random random = new Random(1);
    ByteBuffer values = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    while (values.hasRemaining()) {
      float value = (float) (0.02 * random.nextGaussian());
      values.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
    }
    return values.array();
  }

  private static List<Map<String, long[]>> shards(Map<String, long[]> weights) {
    List<Map<String, long[]>> shards = new ArrayList<>();
    long room = 0;
    for (Map.Entry<String, long[]> weight : weights.entrySet()) {
      if (room < bytes(weight.getValue())) {
        shards.add(new LinkedHashMap<>());
        room = SHARD_BYTES;
      }
      shards.getLast().put(weight.getKey(), weight.getValue());
      room -= bytes(weight.getValue());
    }
    return shards;
  }

  private static long bytes(long[] shape) {
    long bytes = 2;
    for (long size : shape) {
      bytes *= size;
    }
    return bytes;
  }

  private static Map<String, long[]> weights(long d, int layers, long ffn) {
    Map<String, long[]> weights = new LinkedHashMap<>();
    weights.put("patch_embedding.weight", new long[] {d, 16, 1, 2, 2});
    weights.put("patch_embedding.bias", new long[] {d});
    linear(weights, "condition_embedder.time_embedder.linear_1", 256, d);
    linear(weights, "condition_embedder.time_embedder.linear_2", d, d);
    linear(weights, "condition_embedder.time_proj", d, 6 * d);
    linear(weights, "condition_embedder.text_embedder.linear_1", TEXT, d);
    linear(weights, "condition_embedder.text_embedder.linear_2", d, d);
    for (int i = 0; i < layers; i++) {
      String block = "blocks." + i + ".";
      weights.put(block + "scale_shift_table", new long[] {1, 6, d});
      for (String attention : List.of("attn1.", "attn2.")) {
        for (String name : List.of("to_q", "to_k", "to_v", "to_out.0")) {
          linear(weights, block + attention + name, d, d);
        }
        weights.put(block + attention + "norm_q.weight", new long[] {d});
        weights.put(block + attention + "norm_k.weight", new long[] {d});
      }
      weights.put(block + "norm2.weight", new long[] {d});
      weights.put(block + "norm2.bias", new long[] {d});
      linear(weights, block + "ffn.net.0.proj", d, ffn);
      linear(weights, block + "ffn.net.2", ffn, d);
    }
    weights.put("scale_shift_table", new long[] {1, 2, d});
    linear(weights, "proj_out", d, 64);
    return weights;
  }

  private static void linear(Map<String, long[]> weights, String name, long in, long out) {
    weights.put(name + ".weight", new long[] {out, in});
    weights.put(name + ".bias", new long[] {out});
  }
}
