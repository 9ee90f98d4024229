package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cli.commands.PromptList;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jcodec.api.FrameGrab;
import org.jcodec.api.JCodecException;
import org.jcodec.common.io.NIOUtils;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A sentence becomes a video, and what does not is refused by name. */
class TextToVideoTest {
  private static final Path PIPELINES = Path.of("src/test/resources/cases/pipelines");
  private static final Path WAN = PIPELINES.resolve("wan2.1-t2v");
  private static final Path WAN_IMAGE = PIPELINES.resolve("wan2.1-i2v");
  @TempDir Path folder;

  private Run generate(Path pipeline, String... more) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "generate",
                pipeline.toString(),
                "--prompt",
                "A fox, in the snow!",
                "--steps",
                "2",
                "--video",
                "9x32x48"));
    command.addAll(List.of(more));
    return Run.svdit(command.toArray(String[]::new));
  }

  @Test
  void everyFamilyGoesFromASentenceToAVideo() throws IOException, JCodecException {
    for (String name : List.of("wan2.1-t2v", "hunyuanvideo-t2v", "cogvideox1.5-i2v")) {
      Path pipeline = PIPELINES.resolve(name);
      Path video = folder.resolve(name + ".mp4");
      List<String> image =
          Files.exists(pipeline.resolve("image.png"))
              ? List.of("--image", pipeline.resolve("image.png").toString())
              : List.of();
      List<String> more = new ArrayList<>(List.of("--out", video.toString()));
      more.addAll(image);
      Run run = generate(pipeline, more.toArray(String[]::new));
      assertEquals(0, run.code(), run.err());
      try (var channel = NIOUtils.readableChannel(video.toFile())) {
        FrameGrab grab = FrameGrab.createFrameGrab(channel);
        var track = grab.getVideoTrack().getMeta();
        assertEquals(9, track.getTotalFrames(), name);
        double rate = track.getTotalFrames() / track.getTotalDuration();
        assertEquals(name.startsWith("hunyuan") ? 24 : 16, rate, 0.1, name);
      }
      assertTrue(run.err().contains("encoding the text"), run.err());
      assertTrue(run.err().contains("decoding the video"), run.err());
    }
  }

  @Test
  void theSameSeedAndTextGiveTheSameFrames() throws IOException {
    Path first = folder.resolve("first");
    Path second = folder.resolve("second");
    Path other = folder.resolve("other");
    String out = folder.resolve("fox.gif").toString();
    assertEquals(0, generate(WAN, "--out", out, "--frames", first.toString()).code());
    assertEquals(0, generate(WAN, "--out", out, "--frames", second.toString()).code());
    Run negative =
        generate(WAN, "--out", out, "--frames", other.toString(), "--negative", "blurred");
    assertEquals(0, negative.code(), negative.err());
    List<Path> frames = list(first);
    assertEquals(9, frames.size());
    BufferedImage image = ImageIO.read(frames.getFirst().toFile());
    assertEquals("48x32", image.getWidth() + "x" + image.getHeight());
    for (Path frame : frames) {
      byte[] bytes = Files.readAllBytes(frame);
      assertArrayEquals(bytes, Files.readAllBytes(second.resolve(frame.getFileName())));
    }
    byte[] last = Files.readAllBytes(frames.getLast());
    byte[] changed = Files.readAllBytes(other.resolve(frames.getLast().getFileName()));
    assertFalse(Arrays.equals(last, changed), "the negative prompt changes nothing");
  }

  @Test
  void withoutAnEndingTheFilesAreNamedAfterThePrompt() throws IOException {
    Run run = generate(WAN, "--out", folder.resolve("fox").toString());
    assertEquals(0, run.code(), run.err());
    assertTrue(Files.size(folder.resolve("fox.gif")) > 0);
    assertTrue(Files.size(folder.resolve("fox.mp4")) > 0);
    assertEquals("a-fox-in-the-snow", PromptList.fileName("A fox, in the snow!"));
    assertEquals("狐-im-schnee", PromptList.fileName("狐 im Schnee"));
    assertEquals("video", PromptList.fileName("../.. !"));
  }

  @Test
  void framesThatDoNotFitAreNamedWithTheNearest() {
    Run run = Run.svdit("generate", WAN.toString(), "--prompt", "x", "--video", "7x32x48");
    assertEquals(1, run.code());
    assertTrue(run.err().contains("the nearest are 5 and 9"), run.err());
    run = Run.svdit("generate", WAN.toString(), "--prompt", "x", "--video", "5x30x48");
    assertTrue(run.err().contains("multiples of 16"), run.err());
  }

  @Test
  void imagesAreRefusedByName() throws IOException {
    Path good = WAN_IMAGE.resolve("image.png");
    assertRefused(WAN_IMAGE, "--image is missing");
    assertRefused(WAN, "makes videos from text alone", "--image", good.toString());
    Path absent = folder.resolve("absent.png");
    assertRefused(WAN_IMAGE, absent.toString(), "--image", absent.toString());
    Path text = Files.writeString(folder.resolve("text.png"), "no picture");
    assertRefused(WAN_IMAGE, "expected a PNG or JPEG", "--image", text.toString());
    byte[] whole = Files.readAllBytes(good);
    Path cut = Files.write(folder.resolve("cut.png"), Arrays.copyOf(whole, whole.length / 2));
    assertRefused(WAN_IMAGE, "is damaged", "--image", cut.toString());
    Path small = folder.resolve("small.png");
    ImageIO.write(new BufferedImage(4, 30, BufferedImage.TYPE_INT_RGB), "png", small.toFile());
    assertRefused(WAN_IMAGE, "4 x 30 pixels; expected at least 16", "--image", small.toString());
    assertRefused(
        WAN_IMAGE,
        "first-last-frame model is not supported",
        "--image",
        good.toString(),
        "--last-image",
        good.toString());
  }

  private void assertRefused(Path pipeline, String message, String... more) {
    Run run = generate(pipeline, more);
    assertEquals(1, run.code(), run.err());
    assertTrue(run.err().contains(message), run.err());
  }

  @Test
  void aFolderWithoutItsTokenizerIsRefusedWithTheWayOut() throws IOException {
    Path copy = folder.resolve("wan");
    copy(copy, file -> !file.endsWith("tokenizer.json"));
    assertRefused(copy, "has no tokenizer: expected tokenizer.json");
  }

  @Test
  void aSearchEncodesItsPromptsItself() throws IOException {
    Path prompts =
        Files.writeString(
            folder.resolve("prompts.txt"), "# two of them\na fox, in snow\n\na boat on a lake\n");
    Path table = folder.resolve("table.json");
    Run search =
        Run.svdit(
            "search",
            WAN.toString(),
            "--prompts",
            prompts.toString(),
            "--steps",
            "2",
            "--video",
            "9x64x64",
            "--block",
            "64",
            "--target-density",
            "0.8",
            "--out",
            table.toString());
    assertEquals(0, search.code(), search.err());
    Run run =
        Run.svdit(
            "generate",
            WAN.toString(),
            "--prompt",
            "a train",
            "--steps",
            "2",
            "--video",
            "9x64x64",
            "--table",
            table.toString(),
            "--out",
            folder.resolve("train.mp4").toString());
    assertEquals(0, run.code(), run.err());
    Run none = Run.svdit("search", WAN.toString(), "--out", table.toString());
    assertTrue(none.err().contains("encodes prompts itself"), none.err());
    Run empty =
        Run.svdit(
            "search",
            WAN.toString(),
            "--prompts",
            Files.writeString(folder.resolve("empty.txt"), "# none\n").toString(),
            "--out",
            table.toString());
    assertTrue(empty.err().contains("has no prompt"), empty.err());
  }

  @Test
  void optionsThatAreNotFollowedAreRefused() {
    assertRefused(WAN, "--lora style.safetensors:much", "--lora", "style.safetensors:much");
    assertRefused(WAN, "--vae-type FP16", "--vae-type", "fp16");
    assertRefused(WAN, "--text-tokens 0", "--text-tokens", "0");
    assertRefused(WAN, "one network", "--lora-2", "x.safetensors");
    assertRefused(WAN, "a pipeline's folder", "--base", WAN.toString());
  }

  @Test
  void optionsThatNothingReadsAreRefused() throws IOException {
    Path hunyuan = PIPELINES.resolve("hunyuanvideo-t2v");
    assertRefused(
        WAN, "--negative is given, and no step uses it", "--negative", "x", "--guidance", "1");
    assertRefused(hunyuan, "--negative is given", "--negative", "x");
    assertRefused(hunyuan, "guidance-2 is for checkpoints with two", "--guidance-2", "3");
    assertRefused(hunyuan, "--dynamic-guidance is for models", "--dynamic-guidance");
    Path tiny = Path.of("calibration/tiny-wan");
    for (String[] option :
        new String[][] {{"--text-tokens", "9"}, {"--vae-type", "fp32"}, {"--vae-tiling"}}) {
      Run run = Run.svdit(with(option, "generate", tiny.toString(), "--prompt", "horse"));
      assertEquals(1, run.code(), run.err());
      assertTrue(run.err().contains(option[0] + " is for a pipeline's own"), run.err());
    }
  }

  private static String[] with(String[] more, String... command) {
    return Stream.concat(Arrays.stream(command), Arrays.stream(more)).toArray(String[]::new);
  }

  @Test
  void weightsOfOtherKindsAreRefusedAtOnce() throws IOException {
    Path copy = folder.resolve("wan");
    copy(copy, file -> !file.endsWith(Path.of("vae/diffusion_pytorch_model.safetensors")));
    Files.writeString(copy.resolve("vae/diffusion_pytorch_model.bin"), "pickled");
    assertRefused(copy, "only diffusion_pytorch_model.bin, which is not read");
    Files.delete(copy.resolve("vae/diffusion_pytorch_model.bin"));
    assertRefused(copy, "--out fox.mp4 needs a VAE with weights", "--out", "fox.mp4");
    assertRefused(copy, "--frames needs a VAE with weights", "--frames", folder.toString());
  }

  private static void copy(Path to, Predicate<Path> which) throws IOException {
    try (Stream<Path> all = Files.walk(WAN)) {
      for (Path file : all.toList()) {
        Path copied = to.resolve(WAN.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(copied);
        } else if (which.test(file)) {
          Files.copy(file, copied);
        }
      }
    }
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }
}
