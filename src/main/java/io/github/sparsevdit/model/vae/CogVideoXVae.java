package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.vae.CogVideoXLayers.Conv;
import io.github.sparsevdit.model.vae.CogVideoXLayers.Group;
import io.github.sparsevdit.model.vae.CogVideoXLayers.Layer;
import io.github.sparsevdit.model.vae.CogVideoXLayers.Norm;
import io.github.sparsevdit.model.vae.CogVideoXLayers.Resnet;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.List;

/**
 * The VAE of CogVideoX (diffusers' AutoencoderKLCogVideoX). Frames go through it in groups: two
 * latents, or eight frames, the first group with what is left over. Norms see their group alone.
 */
final class CogVideoXVae extends VaeNetwork {
  private static final int LATENT_GROUP = 2;
  private static final int FRAME_GROUP = 8;
  private static final double OVERLAP_HEIGHT = 1.0 / 6;
  private static final double OVERLAP_WIDTH = 1.0 / 5;

  private final CogVideoXVaeConfig config;

  CogVideoXVae(ConfigFile file) {
    config = CogVideoXVaeConfig.of(file);
  }

  @Override
  String name() {
    return "AutoencoderKLCogVideoX";
  }

  @Override
  int latentChannels() {
    return config.latents();
  }

  @Override
  int pixelsPerLatent() {
    return config.pixels();
  }

  @Override
  int videoFrames(int latentFrames) {
    return groups(latentFrames, LATENT_GROUP).stream()
        .mapToInt(n -> n == 1 ? 1 : n % 2 == 1 ? 4 * n - 3 : 4 * n)
        .sum();
  }

  @Override
  int latentFrames(int videoFrames) {
    return groups(videoFrames, FRAME_GROUP).stream().mapToInt(n -> half(half(n))).sum();
  }

  private static int half(int frames) {
    return frames / 2 + frames % 2;
  }

  @Override
  LatentScale scale() {
    return config.scale();
  }

  /** Frames of each group. */
  private static List<Integer> groups(int frames, int size) {
    List<Integer> groups = new ArrayList<>();
    int count = Math.max(frames / size, 1);
    for (int i = 0; i < count; i++) {
      groups.add(i > 0 ? size : frames - (count - 1) * size);
    }
    return groups;
  }

  @Override
  Part decoder(Layers layers) {
    int z = config.latents();
    List<Integer> channels = config.channels().reversed();
    List<Layer> chain = new ArrayList<>();
    int width = channels.getFirst();
    chain.add(new Conv(layers, "decoder.conv_in", z, width));
    for (int j = 0; j < 2; j++) {
      chain.add(new Resnet(layers, "decoder.mid_block.resnets." + j, width, width, config, z));
    }
    for (int i = 0; i < channels.size(); i++) {
      String name = "decoder.up_blocks." + i;
      int outputs = channels.get(i);
      for (int j = 0; j <= config.resnets(); j++) {
        int inputs = j == 0 ? width : outputs;
        chain.add(new Resnet(layers, name + ".resnets." + j, inputs, outputs, config, z));
      }
      width = outputs;
      if (i < channels.size() - 1) {
        chain.add(CogVideoXLayers.upsample(layers, name + ".upsamplers.0", width, i < 2));
      }
      chain.add(CogVideoXVae::trim);
    }
    end(layers, "decoder", width, 3, z, chain);
    return new Groups(chain, true);
  }

  @Override
  Part encoder(Layers layers) {
    List<Integer> channels = config.channels();
    List<Layer> chain = new ArrayList<>();
    int width = channels.getFirst();
    chain.add(new Conv(layers, "encoder.conv_in", 3, width));
    for (int i = 0; i < channels.size(); i++) {
      String name = "encoder.down_blocks." + i;
      int outputs = channels.get(i);
      for (int j = 0; j < config.resnets(); j++) {
        int inputs = j == 0 ? width : outputs;
        chain.add(new Resnet(layers, name + ".resnets." + j, inputs, outputs, config, 0));
      }
      width = outputs;
      if (i < channels.size() - 1) {
        chain.add(CogVideoXLayers.downsample(layers, name + ".downsamplers.0", width, i < 2));
      }
      chain.add(CogVideoXVae::trim);
    }
    for (int j = 0; j < 2; j++) {
      chain.add(new Resnet(layers, "encoder.mid_block.resnets." + j, width, width, config, 0));
    }
    end(layers, "encoder", width, 2 * config.latents(), 0, chain);
    return new Groups(chain, false);
  }

  private static Clip trim(Canvas canvas, Clip x, Group group) {
    canvas.trim();
    return x;
  }

  /** Norm, SiLU and the last convolution, to FP32. */
  private void end(
      Layers layers, String name, int width, int outputs, int latents, List<Layer> chain) {
    Norm norm = new Norm(layers, name + ".norm_out", width, config.groups(), 1e-6f, latents);
    Conv out = new Conv(layers, name + ".conv_out", width, outputs);
    chain.add(
        new Layer() {
          @Override
          public Clip apply(Canvas canvas, Clip x, Group group) {
            norm.apply(canvas, x, group, x);
            return out.apply(canvas, x, group, ElementType.FP32);
          }

          @Override
          public void reset(Canvas canvas) {
            out.reset(canvas);
          }
        });
  }

  /** A decoder or encoder: tiles, in them groups of frames. */
  private final class Groups implements Part {
    private final List<Layer> chain;
    private final boolean decodes;

    Groups(List<Layer> chain, boolean decodes) {
      this.chain = chain;
      this.decodes = decodes;
    }

    @Override
    public void reset(Canvas canvas) {
      chain.forEach(layer -> layer.reset(canvas));
    }

    @Override
    public void run(Canvas canvas, Video in, Tiling tiling, Video out, Progress progress) {
      int groups = groups(in.frames(), decodes ? LATENT_GROUP : FRAME_GROUP).size();
      Tiles tiles = tiles(in, tiling);
      if (tiles == null) {
        progress.expect(groups);
        whole(canvas, in, out, progress);
        return;
      }
      progress.expect(groups * tiles.count());
      int pixels = config.pixels();
      tiles.run(
          canvas,
          (y0, y1, x0, x1) -> {
            int height = decodes ? (y1 - y0) * pixels : (y1 - y0) / pixels;
            int width = decodes ? (x1 - x0) * pixels : (x1 - x0) / pixels;
            Video tile = canvas.video(out.channels(), out.frames(), height, width);
            whole(canvas, in.region(y0, y1, x0, x1), tile, progress);
            return tile;
          },
          out);
    }

    /** null: one tile is all. */
    private Tiles tiles(Video in, Tiling tiling) {
      tiling.requireNone(name(), "strideHeight", tiling.strideHeight());
      tiling.requireNone(name(), "strideWidth", tiling.strideWidth());
      tiling.requireNone(name(), "minFrames", tiling.minFrames());
      tiling.requireNone(name(), "strideFrames", tiling.strideFrames());
      tiling.requireNone(name(), "framewise", tiling.framewise());
      int pixels = config.pixels();
      int height = or(tiling.minHeight(), config.sampleHeight() / 2);
      int width = or(tiling.minWidth(), config.sampleWidth() / 2);
      double overlapHeight = orElse(tiling.overlapHeight(), OVERLAP_HEIGHT);
      double overlapWidth = orElse(tiling.overlapWidth(), OVERLAP_WIDTH);
      int inHeight = decodes ? height / pixels : height;
      int inWidth = decodes ? width / pixels : width;
      if (!tiling.spatial() || in.height() <= inHeight && in.width() <= inWidth) {
        return null;
      }
      int outHeight = decodes ? height : height / pixels;
      int outWidth = decodes ? width : width / pixels;
      int stepHeight = (int) (inHeight * (1 - overlapHeight));
      int stepWidth = (int) (inWidth * (1 - overlapWidth));
      int blendHeight = (int) (outHeight * overlapHeight);
      int blendWidth = (int) (outWidth * overlapWidth);
      int cropHeight = outHeight - blendHeight;
      int cropWidth = outWidth - blendWidth;
      boolean fits =
          decodes
              ? cropHeight == stepHeight * pixels && cropWidth == stepWidth * pixels
              : cropHeight * pixels == stepHeight && cropWidth * pixels == stepWidth;
      if (!fits) {
        throw new IllegalArgumentException(
            ("tiles of %d x %d with overlaps of %.4g and %.4g begin every %d x %d and are cut to"
                    + " %d x %d: the parts would not meet; give a height and width of which the"
                    + " overlaps are whole latents")
                .formatted(
                    height,
                    width,
                    overlapHeight,
                    overlapWidth,
                    stepHeight,
                    stepWidth,
                    cropHeight,
                    cropWidth));
      }
      return new Tiles(
          in.height(),
          in.width(),
          inHeight,
          inWidth,
          stepHeight,
          stepWidth,
          cropHeight,
          cropWidth,
          blendHeight,
          blendWidth);
    }

    private static double orElse(Double value, double otherwise) {
      return value == null ? otherwise : value;
    }

    private void whole(Canvas canvas, Video in, Video out, Progress progress) {
      List<Integer> groups = groups(in.frames(), decodes ? LATENT_GROUP : FRAME_GROUP);
      int read = 0;
      int written = 0;
      for (int i = 0; i < groups.size(); i++) {
        Clip first = canvas.read(in, read, groups.get(i), 1);
        read += groups.get(i);
        Clip latents = null;
        if (decodes) { // the first layer releases what it is given
          latents = canvas.take(first.frames(), first.height(), first.width(), first.channels());
          canvas.copy(first, latents);
        }
        Group group = new Group(latents, i == groups.size() - 1);
        Clip x = first;
        for (Layer layer : chain) {
          x = layer.apply(canvas, x, group);
        }
        canvas.release(latents);
        int made = x.frames();
        canvas.write(x, out, written, 1, false);
        written += made;
        canvas.trim();
        progress.done();
      }
      reset(canvas);
    }
  }
}
