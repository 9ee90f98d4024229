package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The VAE of Wan 2.1 and 2.2 (diffusers' AutoencoderKLWan). Videos go through it frame by frame:
 * every convolution keeps the two frames before, and nothing else looks at another frame.
 */
final class WanVae extends VaeNetwork {
  private static final ConvLayout CUBE = ConvLayout.causal(3, 3, 3);
  private static final int MIN_TILE = 256;
  private static final int STRIDE = 192;

  private final WanVaeConfig config;

  WanVae(ConfigFile file) {
    config = WanVaeConfig.of(file);
  }

  @Override
  String name() {
    return "AutoencoderKLWan";
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
    return (latentFrames - 1) * config.frames() + 1;
  }

  @Override
  int latentFrames(int videoFrames) {
    return (videoFrames - 1) / config.frames() + 1;
  }

  @Override
  LatentScale scale() {
    return config.scale();
  }

  /** Stages with the layers at their ends. */
  private record Chain(
      Convolution first, // of a pixel; null: none
      KeptConvolution in,
      List<WanStage> stages,
      Tensor norm,
      KeptConvolution out,
      Convolution last) // of a pixel; null: none
  {
    /** Takes the next frame; hands on FP32 frames. */
    void push(Canvas canvas, Clip frame, WanStage.Next next) {
      Clip x = frame;
      if (first != null) {
        x = canvas.convolve(first, frame);
        canvas.release(frame);
      }
      WanStage.push(
          stages,
          canvas,
          in.next(canvas, x),
          y -> {
            canvas.rmsNorm(y, norm, true, y);
            Clip made = out.next(canvas, y, last == null ? ElementType.FP32 : canvas.type);
            if (last != null) {
              Clip moments = canvas.convolve(last, made, null, null, ElementType.FP32);
              canvas.release(made);
              made = moments;
            }
            next.take(made);
          });
    }

    void reset(Canvas canvas) {
      in.reset(canvas);
      stages.forEach(stage -> stage.reset(canvas));
      out.reset(canvas);
    }
  }

  @Override
  Part decoder(Layers layers) {
    ConvLayout pixel = ConvLayout.causal(1, 1, 1);
    int z = config.latents();
    List<Integer> multiples = config.multiples().reversed();
    int channels = config.decoderBase() * multiples.getFirst();
    Convolution first = layers.convolution("post_quant_conv", z, z, pixel);
    KeptConvolution in =
        new KeptConvolution(layers.convolution("decoder.conv_in", z, channels, CUBE));
    List<WanStage> stages = new ArrayList<>();
    middle(layers, "decoder.mid_block", channels, stages);
    List<Boolean> inTime = config.downsampleInTime().reversed();
    for (int i = 0; i < multiples.size(); i++) {
      String name = "decoder.up_blocks." + i;
      int outputs = config.decoderBase() * multiples.get(i);
      int inputs = i > 0 && !config.residual() ? channels / 2 : channels;
      List<WanStage> block = new ArrayList<>();
      for (int j = 0; j <= config.resnets(); j++) {
        block.add(
            new WanResnet(layers, name + ".resnets." + j, j == 0 ? inputs : outputs, outputs));
      }
      boolean up = i < multiples.size() - 1;
      if (up) {
        block.add(
            new WanUpsample(
                layers,
                name + (config.residual() ? ".upsampler" : ".upsamplers.0"),
                outputs,
                config.residual() ? outputs : outputs / 2,
                inTime.get(i)));
      }
      if (up && config.residual()) {
        stages.add(new WanResidualUp(block, inTime.get(i)));
      } else {
        stages.addAll(block);
      }
      channels = outputs;
    }
    Chain chain =
        new Chain(
            first,
            in,
            stages,
            layers.vector("decoder.norm_out.gamma", channels, 1, 1, 1),
            new KeptConvolution(
                layers.convolution("decoder.conv_out", channels, config.outChannels(), CUBE)),
            null);
    return new Part() {
      @Override
      public void run(Canvas canvas, Video z, Tiling tiling, Video out, Progress progress) {
        decode(chain, canvas, z, tiling, out, progress);
      }

      @Override
      public void reset(Canvas canvas) {
        chain.reset(canvas);
      }
    };
  }

  @Override
  Part encoder(Layers layers) {
    ConvLayout pixel = ConvLayout.causal(1, 1, 1);
    int moments = 2 * config.latents();
    int channels = config.base();
    KeptConvolution in =
        new KeptConvolution(
            layers.convolution("encoder.conv_in", config.inChannels(), channels, CUBE));
    List<WanStage> stages = new ArrayList<>();
    int last = config.multiples().size() - 1;
    for (int i = 0, index = 0; i <= last; i++) {
      int outputs = config.base() * config.multiples().get(i);
      boolean inTime = i < last && config.downsampleInTime().get(i);
      String name = "encoder.down_blocks.";
      List<WanStage> block = new ArrayList<>();
      for (int j = 0; j < config.resnets(); j++, index++) {
        String resnet = config.residual() ? name + i + ".resnets." + j : name + index;
        block.add(new WanResnet(layers, resnet, j == 0 ? channels : outputs, outputs));
      }
      if (i < last) {
        String down = config.residual() ? name + i + ".downsampler" : name + index;
        block.add(new WanDownsample(layers, down, outputs, inTime));
        index++;
      }
      if (config.residual()) {
        stages.add(new WanResidualDown(layers, block, channels, outputs, inTime, i < last ? 2 : 1));
      } else {
        stages.addAll(block);
      }
      channels = outputs;
    }
    middle(layers, "encoder.mid_block", channels, stages);
    Chain chain =
        new Chain(
            null,
            in,
            stages,
            layers.vector("encoder.norm_out.gamma", channels, 1, 1, 1),
            new KeptConvolution(layers.convolution("encoder.conv_out", channels, moments, CUBE)),
            layers.convolution("quant_conv", moments, moments, pixel));
    return new Part() {
      @Override
      public void run(Canvas canvas, Video video, Tiling tiling, Video out, Progress progress) {
        encode(chain, canvas, video, tiling, out, progress);
      }

      @Override
      public void reset(Canvas canvas) {
        chain.reset(canvas);
      }
    };
  }

  private static void middle(Layers layers, String name, int channels, List<WanStage> stages) {
    stages.add(new WanResnet(layers, name + ".resnets.0", channels, channels));
    stages.add(new WanAttention(layers, name + ".attentions.0", channels));
    stages.add(new WanResnet(layers, name + ".resnets.1", channels, channels));
  }

  /** Sizes of tiles in pixels. */
  private record TileSizes(int minHeight, int minWidth, int strideHeight, int strideWidth) {}

  private TileSizes sizes(Tiling tiling) {
    tiling.requireNone(name(), "minFrames", tiling.minFrames());
    tiling.requireNone(name(), "strideFrames", tiling.strideFrames());
    tiling.requireNone(name(), "overlapHeight", tiling.overlapHeight());
    tiling.requireNone(name(), "overlapWidth", tiling.overlapWidth());
    tiling.requireNone(name(), "framewise", tiling.framewise());
    return new TileSizes(
        or(tiling.minHeight(), MIN_TILE),
        or(tiling.minWidth(), MIN_TILE),
        or(tiling.strideHeight(), STRIDE),
        or(tiling.strideWidth(), STRIDE));
  }

  private void decode(
      Chain chain, Canvas canvas, Video z, Tiling tiling, Video out, Progress progress) {
    TileSizes s = sizes(tiling);
    int pixels = config.pixels();
    int patch = config.patch();
    int minHeight = s.minHeight / pixels;
    int minWidth = s.minWidth / pixels;
    if (!tiling.spatial() || z.height() <= minHeight && z.width() <= minWidth) {
      progress.expect(z.frames());
      decode(chain, canvas, z, out, patch, true, progress);
      return;
    }
    Tiles tiles =
        new Tiles(
            z.height(),
            z.width(),
            minHeight,
            minWidth,
            s.strideHeight / pixels,
            s.strideWidth / pixels,
            s.strideHeight / patch,
            s.strideWidth / patch,
            s.minHeight / patch - s.strideHeight / patch,
            s.minWidth / patch - s.strideWidth / patch);
    progress.expect(z.frames() * tiles.count());
    int scale = pixels / patch;
    Video result =
        patch == 1
            ? out
            : canvas.video(
                config.outChannels(), out.frames(), z.height() * scale, z.width() * scale);
    try {
      tiles.run(
          canvas,
          (y0, y1, x0, x1) -> {
            Video tile =
                canvas.video(
                    config.outChannels(), out.frames(), (y1 - y0) * scale, (x1 - x0) * scale);
            decode(chain, canvas, z.region(y0, y1, x0, x1), tile, 1, false, progress);
            return tile;
          },
          result);
      if (patch > 1) {
        unpatch(canvas, result, out);
      } else if (out.tensor() != null) {
        Planes.clamp(out.tensor());
      }
    } finally {
      if (patch > 1) {
        canvas.free(result);
      }
    }
  }

  /** Frame by frame, so that no copy of the whole is needed. */
  private void unpatch(Canvas canvas, Video patched, Video out) {
    Video rows = canvas.video(1, 1, patched.height() * patched.width(), patched.channels());
    for (int f = 0; out.tensor() != null && f < out.frames(); f++) {
      Tensor host =
          rows.tensor().view((long) patched.height() * patched.width(), patched.channels());
      Planes.gather(patched.tensor(), f, 1, host);
      Planes.scatter(host, out.tensor(), f, config.patch(), true);
    }
    canvas.free(rows);
  }

  private void decode(
      Chain chain, Canvas canvas, Video z, Video out, int patch, boolean clamp, Progress progress) {
    int[] made = {0};
    for (int f = 0; f < z.frames(); f++) {
      chain.push(
          canvas,
          canvas.read(z, f, 1, 1),
          frame -> canvas.write(frame, out, made[0]++, patch, clamp));
      progress.done();
    }
    chain.reset(canvas);
  }

  private void encode(
      Chain chain, Canvas canvas, Video video, Tiling tiling, Video out, Progress progress) {
    TileSizes s = sizes(tiling);
    int patch = config.patch();
    int scale = config.pixels() / patch;
    if (!tiling.spatial() || video.height() <= s.minHeight && video.width() <= s.minWidth) {
      progress.expect(out.frames());
      encode(chain, canvas, video, out, progress);
      return;
    }
    // As in diffusers, tiles are cut out of the patched picture by sizes that are not divided.
    Tiles tiles =
        new Tiles(
            video.height() / patch,
            video.width() / patch,
            s.minHeight,
            s.minWidth,
            s.strideHeight,
            s.strideWidth,
            s.strideHeight / scale,
            s.strideWidth / scale,
            s.minHeight / scale - s.strideHeight / scale,
            s.minWidth / scale - s.strideWidth / scale);
    progress.expect(out.frames() * tiles.count());
    tiles.run(
        canvas,
        (y0, y1, x0, x1) -> {
          Video tile =
              canvas.video(out.channels(), out.frames(), (y1 - y0) / scale, (x1 - x0) / scale);
          encode(
              chain,
              canvas,
              video.region(y0 * patch, y1 * patch, x0 * patch, x1 * patch),
              tile,
              progress);
          return tile;
        },
        out);
  }

  private void encode(Chain chain, Canvas canvas, Video video, Video out, Progress progress) {
    int[] made = {0};
    // Frames that make no whole group are left out, as diffusers leaves them out.
    int used = videoFrames(latentFrames(video.frames()));
    for (int f = 0; f < used; f++) {
      chain.push(
          canvas,
          canvas.read(video, f, 1, config.patch()),
          frame -> {
            canvas.write(frame, out, made[0]++, 1, false);
            progress.done();
          });
    }
    chain.reset(canvas);
  }
}
