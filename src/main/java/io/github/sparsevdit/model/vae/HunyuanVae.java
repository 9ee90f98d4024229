package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.ConvLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The VAE of HunyuanVideo (diffusers' AutoencoderKLHunyuanVideo). Its norms and its attention look
 * at all frames of a run; videos longer than a run are cut into overlapping ones and blended.
 */
final class HunyuanVae extends VaeNetwork {
  private static final int PIXELS = 8;
  private static final int FRAMES = 4;
  private static final int MIN_TILE = 256;
  private static final int STRIDE = 192;
  private static final int MIN_FRAMES = 16;
  private static final int STRIDE_FRAMES = 12;

  private final HunyuanVaeConfig config;

  HunyuanVae(ConfigFile file) {
    config = HunyuanVaeConfig.of(file);
  }

  @Override
  String name() {
    return "AutoencoderKLHunyuanVideo";
  }

  @Override
  int latentChannels() {
    return config.latents();
  }

  @Override
  int pixelsPerLatent() {
    return PIXELS;
  }

  @Override
  int videoFrames(int latentFrames) {
    return (latentFrames - 1) * FRAMES + 1;
  }

  @Override
  int latentFrames(int videoFrames) {
    return (videoFrames - 1) / FRAMES + 1;
  }

  @Override
  LatentScale scale() {
    return LatentScale.of(config.factor(), config.factor(), config.latents());
  }

  @Override
  Part decoder(Layers layers) {
    int z = config.latents();
    List<Integer> channels = config.channels().reversed();
    List<ChunkLayer> chain = new ArrayList<>();
    chain.add(
        HunyuanLayers.convolving(
            layers.convolution("post_quant_conv", z, z, ConvLayout.causal(1, 1, 1))));
    int width = channels.getFirst();
    chain.add(
        HunyuanLayers.convolving(HunyuanLayers.convolution(layers, "decoder.conv_in", z, width)));
    middle(layers, "decoder.mid_block", width, chain);
    for (int i = 0; i < 4; i++) {
      String name = "decoder.up_blocks." + i;
      int outputs = channels.get(i);
      for (int j = 0; j <= config.resnets(); j++) {
        chain.add(
            HunyuanLayers.resnet(
                layers,
                name + ".resnets." + j,
                j == 0 ? width : outputs,
                outputs,
                config.groups()));
      }
      width = outputs;
      if (i < 3) {
        chain.add(HunyuanLayers.upsample(layers, name + ".upsamplers.0", width, i >= 1));
      }
      chain.add(HunyuanVae::trim);
    }
    chain.add(HunyuanLayers.end(layers, "decoder", width, 3, config.groups(), null));
    return new Runs(chain, true);
  }

  @Override
  Part encoder(Layers layers) {
    int moments = 2 * config.latents();
    List<Integer> channels = config.channels();
    List<ChunkLayer> chain = new ArrayList<>();
    int width = channels.getFirst();
    chain.add(
        HunyuanLayers.convolving(HunyuanLayers.convolution(layers, "encoder.conv_in", 3, width)));
    for (int i = 0; i < 4; i++) {
      String name = "encoder.down_blocks." + i;
      int outputs = channels.get(i);
      for (int j = 0; j < config.resnets(); j++) {
        chain.add(
            HunyuanLayers.resnet(
                layers,
                name + ".resnets." + j,
                j == 0 ? width : outputs,
                outputs,
                config.groups()));
      }
      width = outputs;
      if (i < 3) {
        chain.add(HunyuanLayers.downsample(layers, name + ".downsamplers.0", width, i >= 1));
      }
      chain.add(HunyuanVae::trim);
    }
    middle(layers, "encoder.mid_block", width, chain);
    Convolution last =
        layers.convolution("quant_conv", moments, moments, ConvLayout.causal(1, 1, 1));
    chain.add(HunyuanLayers.end(layers, "encoder", width, moments, config.groups(), last));
    return new Runs(chain, false);
  }

  private static Clip trim(Canvas canvas, Clip x) {
    canvas.trim();
    return x;
  }

  private void middle(Layers layers, String name, int width, List<ChunkLayer> chain) {
    int groups = config.groups();
    chain.add(HunyuanLayers.resnet(layers, name + ".resnets.0", width, width, groups));
    if (config.attention()) {
      chain.add(HunyuanLayers.attention(layers, name + ".attentions.0", width, groups));
    }
    chain.add(HunyuanLayers.resnet(layers, name + ".resnets.1", width, width, groups));
  }

  /** A decoder or encoder: runs of frames, in them tiles. */
  private final class Runs implements Part {
    private final List<ChunkLayer> chain;
    private final boolean decodes;

    Runs(List<ChunkLayer> chain, boolean decodes) {
      this.chain = chain;
      this.decodes = decodes;
    }

    @Override
    public void reset(Canvas canvas) {} // keeps nothing

    /** Of a side of the input, in pixels, what it is of the output; and the other way round. */
    private int out(int in) {
      return decodes ? in * PIXELS : in / PIXELS;
    }

    private int framesOut(int in) {
      return decodes ? videoFrames(in) : latentFrames(in);
    }

    @Override
    public void run(Canvas canvas, Video in, Tiling tiling, Video out, Progress progress) {
      tiling.requireNone(name(), "overlapHeight", tiling.overlapHeight());
      tiling.requireNone(name(), "overlapWidth", tiling.overlapWidth());
      int minFrames = or(tiling.minFrames(), MIN_FRAMES);
      int strideFrames = or(tiling.strideFrames(), STRIDE_FRAMES);
      int run = decodes ? minFrames / FRAMES : minFrames;
      int step = decodes ? strideFrames / FRAMES : strideFrames;
      Tiles tiles = tiles(in, tiling);
      boolean framewise = tiling.framewise() == null || tiling.framewise();
      if (!framewise || in.frames() <= run) {
        progress.expect(tiles == null ? 1 : tiles.count());
        space(canvas, in, tiles, out, progress);
        return;
      }
      int crop = decodes ? strideFrames : strideFrames / FRAMES;
      int blend = (decodes ? minFrames : minFrames / FRAMES) - crop;
      if (step < 1 || crop < 1 || blend < 0) {
        throw new IllegalArgumentException(
            "runs of %d frames every %d; expected a stride of at least %d and no more than a run"
                .formatted(minFrames, strideFrames, FRAMES));
      }
      progress.expect(((in.frames() + step - 1) / step) * (tiles == null ? 1 : tiles.count()));
      time(canvas, in, tiles, out, progress, new int[] {run, step, crop, blend});
    }

    /** Runs of frames that overlap; all but the first lose their first frame. */
    private void time(
        Canvas canvas, Video in, Tiles tiles, Video out, Progress progress, int[] sizes) {
      int run = sizes[0];
      int step = sizes[1];
      int crop = sizes[2];
      int blend = sizes[3];
      Video before = null;
      Video whole = null;
      int done = 0;
      try {
        for (int i = 0; i < in.frames(); i += step) {
          Video part = in.frames(i, Math.min(i + run + 1, in.frames()));
          Video made =
              canvas.video(out.channels(), framesOut(part.frames()), out.height(), out.width());
          Video seen = i == 0 ? made : made.frames(1, made.frames());
          try {
            space(canvas, part, tiles, made, progress);
            if (i > 0) {
              Tiles.blend(before, seen, 1, blend);
            }
            int used = Math.min(i == 0 ? crop + 1 : crop, seen.frames());
            used = Math.min(used, out.frames() - done);
            if (used > 0 && out.tensor() != null) {
              out.frames(done, done + used).tensor().copyFrom(seen.frames(0, used).tensor());
            }
            done += Math.max(0, used);
          } finally {
            canvas.free(whole);
            whole = made;
            before = seen;
          }
        }
      } finally {
        canvas.free(whole);
      }
      if (done < out.frames()) {
        throw new IllegalArgumentException(
            "these runs give %d of %d frames: their stride is no whole number of latents"
                .formatted(done, out.frames()));
      }
    }

    /** null: one tile is all. */
    private Tiles tiles(Video in, Tiling tiling) {
      int minHeight = or(tiling.minHeight(), MIN_TILE);
      int minWidth = or(tiling.minWidth(), MIN_TILE);
      int strideHeight = or(tiling.strideHeight(), STRIDE);
      int strideWidth = or(tiling.strideWidth(), STRIDE);
      int by = decodes ? PIXELS : 1;
      int outBy = decodes ? 1 : PIXELS;
      if (!tiling.spatial() || in.height() <= minHeight / by && in.width() <= minWidth / by) {
        return null;
      }
      return new Tiles(
          in.height(),
          in.width(),
          minHeight / by,
          minWidth / by,
          strideHeight / by,
          strideWidth / by,
          strideHeight / outBy,
          strideWidth / outBy,
          minHeight / outBy - strideHeight / outBy,
          minWidth / outBy - strideWidth / outBy);
    }

    private void space(Canvas canvas, Video in, Tiles tiles, Video out, Progress progress) {
      if (tiles == null) {
        whole(canvas, in, out, progress);
        return;
      }
      tiles.run(
          canvas,
          (y0, y1, x0, x1) -> {
            Video tile = canvas.video(out.channels(), out.frames(), out(y1 - y0), out(x1 - x0));
            whole(canvas, in.region(y0, y1, x0, x1), tile, progress);
            return tile;
          },
          out);
    }

    private void whole(Canvas canvas, Video in, Video out, Progress progress) {
      Clip x = canvas.read(in, 0, in.frames(), 1);
      for (ChunkLayer layer : chain) {
        x = layer.apply(canvas, x);
      }
      canvas.write(x, out, 0, 1, false);
      canvas.trim();
      progress.done();
    }
  }
}
