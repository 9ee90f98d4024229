package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.OtherNames;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names of github.com/Wan-Video, which ComfyUI and most LoRA files use too. The layers and
 * their shapes are diffusers'.
 */
final class WanNames implements OtherNames {
  private static final Pattern BLOCK = Pattern.compile("(blocks\\.\\d+\\.)(.+)");
  private static final int PUBLISHED_HEAD_DIM = 128; // of every published Wan

  /** Within a block, theirs to ours. */
  private static final Map<String, String> IN_BLOCK = new HashMap<>();

  /** Outside the blocks, theirs to ours. */
  private static final Map<String, String> OUTSIDE =
      Map.ofEntries(
          Map.entry("patch_embedding", "patch_embedding"),
          Map.entry("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
          Map.entry("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
          Map.entry("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
          Map.entry("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
          Map.entry("time_projection.1", "condition_embedder.time_proj"),
          Map.entry("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
          Map.entry("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
          Map.entry("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
          Map.entry("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
          Map.entry("head.head", "proj_out"),
          Map.entry("head.modulation", "scale_shift_table"));

  static {
    for (String[] attention :
        new String[][] {{"self_attn.", "attn1."}, {"cross_attn.", "attn2."}}) {
      for (String projection : new String[] {"q", "k", "v"}) {
        IN_BLOCK.put(attention[0] + projection, attention[1] + "to_" + projection);
      }
      IN_BLOCK.put(attention[0] + "o", attention[1] + "to_out.0");
      for (String norm : new String[] {"norm_q", "norm_k"}) {
        IN_BLOCK.put(attention[0] + norm, attention[1] + norm);
      }
    }
    IN_BLOCK.put("cross_attn.k_img", "attn2.add_k_proj");
    IN_BLOCK.put("cross_attn.v_img", "attn2.add_v_proj");
    IN_BLOCK.put("cross_attn.norm_k_img", "attn2.norm_added_k");
    IN_BLOCK.put("ffn.0", "ffn.net.0.proj");
    IN_BLOCK.put("ffn.2", "ffn.net.2");
    IN_BLOCK.put("norm3", "norm2"); // their norm2 has no weights, as our norm3 has none
    IN_BLOCK.put("modulation", "scale_shift_table");
  }

  @Override
  public String className() {
    return "WanModel";
  }

  @Override
  public boolean areThese(Set<String> names) {
    return names.contains("blocks.0.self_attn.q.weight") && names.contains("head.head.weight");
  }

  @Override
  public String ours(String theirs) {
    return renamed(theirs, IN_BLOCK, OUTSIDE);
  }

  @Override
  public String theirs(String ours) {
    return renamed(ours, turned(IN_BLOCK), turned(OUTSIDE));
  }

  private static Map<String, String> turned(Map<String, String> names) {
    Map<String, String> turned = new HashMap<>();
    names.forEach((theirs, ours) -> turned.put(ours, theirs));
    return turned;
  }

  private static String renamed(String name, Map<String, String> block, Map<String, String> rest) {
    Matcher inBlock = BLOCK.matcher(name);
    return inBlock.matches()
        ? prefixed(inBlock.group(1), layer(inBlock.group(2), block))
        : layer(name, rest);
  }

  private static String prefixed(String prefix, String name) {
    return name == null ? null : prefix + name;
  }

  /** Of a layer, or of its weight or bias. */
  private static String layer(String name, Map<String, String> names) {
    for (String end : new String[] {".weight", ".bias"}) {
      if (name.endsWith(end)) {
        String layer = names.get(name.substring(0, name.length() - end.length()));
        return layer == null ? null : layer + end;
      }
    }
    return names.get(name);
  }

  @Override
  public String config(Map<String, long[]> shapes, ConfigFile theirs, String where) {
    long[] patch = shape(shapes, "patch_embedding.weight", 5, where); // [width, in, patch]
    long[] image = shapes.get("img_emb.proj.1.weight"); // [features, features]
    long volume = patch[2] * patch[3] * patch[4];
    int layers = 0;
    while (shapes.containsKey("blocks.%d.self_attn.q.weight".formatted(layers))) {
      layers++;
    }
    long heads = heads(patch[0], theirs, where);
    JsonText json = JsonText.compact().object().field("_class_name", "WanTransformer3DModel");
    json.field("num_attention_heads", heads).field("attention_head_dim", patch[0] / heads);
    number(json, "num_layers", layers, theirs, "num_layers");
    number(json, "ffn_dim", shape(shapes, "blocks.0.ffn.0.weight", 2, where)[0], theirs, "ffn_dim");
    number(json, "in_channels", patch[1], theirs, "in_dim");
    number(
        json,
        "out_channels",
        shape(shapes, "head.head.weight", 2, where)[0] / volume,
        theirs,
        "out_dim");
    number(
        json,
        "text_dim",
        shape(shapes, "text_embedding.0.weight", 2, where)[1],
        theirs,
        "text_dim");
    number(
        json,
        "freq_dim",
        shape(shapes, "time_embedding.0.weight", 2, where)[1],
        theirs,
        "freq_dim");
    json.field("eps", theirs == null ? 1e-6 : theirs.positive("eps", 1e-6));
    json.field("patch_size", List.of(patch[2], patch[3], patch[4]));
    if (image != null) {
      json.field("image_dim", image[1]).field("added_kv_proj_dim", patch[0]);
    }
    if (theirs != null) {
      theirs.requireAllKnown(className());
    }
    return json.end().toString();
  }

  /** Their configuration says how many; of a file alone, published head dims tell. */
  private static long heads(long width, ConfigFile theirs, String where) {
    if (theirs == null) {
      if (width % PUBLISHED_HEAD_DIM != 0) {
        throw new IllegalArgumentException(
            "%s: the model is %d wide, no multiple of the head dim %d of published Wan models; name the diffusers folder of the same model as its base"
                .formatted(where, width, PUBLISHED_HEAD_DIM));
      }
      return width / PUBLISHED_HEAD_DIM;
    }
    theirs.oneOf("model_type", "t2v", "t2v", "i2v", "ti2v");
    theirs.require("qk_norm", "true", "true");
    theirs.require("cross_attn_norm", "true", "true");
    requireSame(theirs, "dim", width);
    long heads = theirs.count("num_heads", 16, 1);
    if (width % heads != 0) {
      throw theirs.wrong("num_heads", "a divisor of dim, which is " + width);
    }
    return heads;
  }

  /** Writes a size the weights have, which their configuration must not contradict. */
  private static void number(
      JsonText json, String ours, long value, ConfigFile theirs, String name) {
    json.field(ours, value);
    if (theirs != null) {
      requireSame(theirs, name, value);
    }
  }

  private static void requireSame(ConfigFile theirs, String name, long value) {
    if (theirs.has(name) && theirs.integer(name) != value) {
      throw theirs.wrong(name, value + ", as the weights have");
    }
  }

  private static long[] shape(Map<String, long[]> shapes, String name, int rank, String where) {
    long[] shape = shapes.get(name);
    if (shape == null || shape.length != rank) {
      throw new IllegalArgumentException(
          "%s: weight %s is %s; expected one of %d dimensions"
              .formatted(where, name, shape == null ? "missing" : Arrays.toString(shape), rank));
    }
    return shape;
  }
}
