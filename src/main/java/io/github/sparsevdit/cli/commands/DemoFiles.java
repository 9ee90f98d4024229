package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.cli.map.ModeMap;
import io.github.sparsevdit.cli.map.ModeMapFigure;
import io.github.sparsevdit.cli.map.ModeMaps;
import io.github.sparsevdit.cli.media.ContactSheet;
import io.github.sparsevdit.cli.media.ParetoChart;
import io.github.sparsevdit.cli.report.Clips;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.internal.io.AtomicFiles;
import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Pictures;
import io.github.sparsevdit.pipeline.Generated;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Writes what the main job leaves behind: the report, tables, maps, videos and a contact sheet. */
final class DemoFiles {
  private static final int SHEET_ENLARGEMENT = 2;

  private final Path out;
  private final List<Path> written = new ArrayList<>();

  DemoFiles(Path out) {
    this.out = out;
  }

  /** Writes all of it; the files a person should open first come first. */
  List<Path> write(DemoResult result) throws IOException {
    writePicture("contact-sheet.png", () -> contactSheet(result));
    writePicture("pareto-front.png", () -> chart(result));
    write("report.json", Json.text(result.json()));
    for (DemoResult.Sparse sparse : result.sparse()) {
      String name = name(sparse);
      ModeMap map = ModeMaps.of(sparse.table());
      writePicture("mode-map-" + name + ".png", () -> ModeMapFigure.image(map));
      write("mode-map-" + name + ".svg", ModeMapFigure.svg(map));
      Path table = out.resolve("table-" + name + ".json");
      sparse.table().write(table);
      written.add(table);
    }
    for (int i = 0; i < result.prompts().size(); i++) {
      videos(result, i);
    }
    return written;
  }

  private void videos(DemoResult result, int prompt) throws IOException {
    Path stem = out.resolve(PromptList.fileName(result.prompts().get(prompt)));
    List<Clip> clips = new ArrayList<>();
    clips.add(Clips.of(result.dense().get(prompt)));
    written.addAll(Clips.write(with(stem, "-dense"), clips.getFirst()));
    for (DemoResult.Sparse sparse : result.sparse()) {
      Clip clip = Clips.of(sparse.runs().get(prompt));
      written.addAll(Clips.write(with(stem, "-" + name(sparse)), clip));
      clips.add(clip);
    }
    written.addAll(Clips.write(with(stem, "-all"), Clips.beside(clips)));
  }

  private static BufferedImage contactSheet(DemoResult result) {
    List<ContactSheet.Row> rows = new ArrayList<>();
    for (int i = 0; i < result.prompts().size(); i++) {
      String prompt = PromptList.label(result.prompts().get(i));
      rows.add(row(result, prompt + "\ndense", result.dense().get(i), true));
      for (DemoResult.Sparse sparse : result.sparse()) {
        String label =
            String.format(
                Locale.ROOT,
                "density %.2f\n%.1f dB",
                sparse.density(),
                result.comparison(sparse, i).psnr());
        rows.add(row(result, label, sparse.runs().get(i), false));
      }
    }
    return ContactSheet.draw(rows, 2);
  }

  private static ContactSheet.Row row(
      DemoResult result, String label, Generated run, boolean startsGroup) {
    Clip clip = Clips.of(run).enlarged(SHEET_ENLARGEMENT);
    return new ContactSheet.Row(label, clip, startsGroup);
  }

  private static BufferedImage chart(DemoResult result) {
    double[] chosen = result.sparse().stream().mapToDouble(DemoResult.Sparse::density).toArray();
    return ParetoChart.draw(result.checkpoint().shape().name(), result.front(), chosen);
  }

  private static String name(DemoResult.Sparse sparse) {
    return String.format(Locale.ROOT, "%.2f", sparse.target());
  }

  private static Path with(Path stem, String suffix) {
    return stem.resolveSibling(stem.getFileName() + suffix);
  }

  private interface Drawing {
    BufferedImage draw();
  }

  /**
   * Pictures with text are left out where no font is installed; svdit doctor says how to get one.
   */
  private void writePicture(String name, Drawing drawing) throws IOException {
    if (Pictures.canDrawText()) {
      Path file = out.resolve(name);
      Pictures.writePng(file, drawing.draw());
      written.add(file);
    }
  }

  private void write(String name, String text) throws IOException {
    Path file = out.resolve(name);
    AtomicFiles.write(file, text);
    written.add(file);
  }
}
