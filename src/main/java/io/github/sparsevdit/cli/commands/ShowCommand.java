package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.cli.map.ModeMap;
import io.github.sparsevdit.cli.map.ModeMapFigure;
import io.github.sparsevdit.cli.map.ModeMapText;
import io.github.sparsevdit.cli.map.ModeMaps;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.internal.io.AtomicFiles;
import io.github.sparsevdit.internal.media.Pictures;
import io.github.sparsevdit.table.DispatchTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code svdit show}. */
@Command(
    name = "show",
    description = {
      "Shows a dispatch table as a map: which mode each head of each layer has.",
      "",
      "One map for each phase of timesteps. Each head is a letter (F full, S skip, D diagonal, M"
          + " multi-diagonal, V vertical stripe, B blocks) with its density in percent. In pictures"
          + " a cell also shows the window in tokens and the number of anchors (+2) or stripes."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit show table.json                          in the terminal",
      "  svdit show table.json --png map.png --svg map.svg",
      "  svdit show table.json --json                   counts and densities for a script"
    })
public final class ShowCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "TABLE",
      description = "A dispatch table (JSON), as svdit search writes it.")
  Path table;

  @Option(names = "--png", paramLabel = "FILE", description = "Also draw the map to this PNG file.")
  Path png;

  @Option(names = "--svg", paramLabel = "FILE", description = "Also draw the map to this SVG file.")
  Path svg;

  @Option(names = "--json", description = "Print a summary as JSON instead of the map.")
  boolean json;

  private final Console console;

  public ShowCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    DispatchTable read = DispatchTable.read(table);
    ModeMap map = ModeMaps.of(read);
    if (json) {
      Json.print(console.out(), summary(read, map));
    } else {
      console.out().print(ModeMapText.render(map, console.colour()));
    }
    if (svg != null) {
      AtomicFiles.write(svg, ModeMapFigure.svg(map));
    }
    if (png != null) {
      if (!Pictures.canDrawText()) {
        throw new CommandFailure(png + " was not drawn: " + Pictures.howToGetFonts());
      }
      Pictures.writePng(png, ModeMapFigure.image(map));
    }
    return 0;
  }

  private static ObjectNode summary(DispatchTable table, ModeMap map) {
    ObjectNode node = Json.object();
    node.put("model", table.model().name());
    node.put("layers", table.model().layers());
    node.put("heads", table.model().heads());
    node.put("sequence", table.sequence().toString());
    node.put("block", table.block());
    ObjectNode heads = node.putObject("headsPerMode");
    map.counts().forEach((mode, count) -> heads.put(mode.json(), count));
    var phases = node.putArray("phases");
    for (int i = 0; i < map.panels().size(); i++) {
      DispatchTable.Phase phase = table.phases().get(i);
      ObjectNode panel = phases.addObject().put("from", phase.from()).put("to", phase.to());
      double density = density(map.panels().get(i));
      if (!Double.isNaN(density)) {
        panel.put("density", density);
      }
    }
    return node;
  }

  private static double density(ModeMap.Panel panel) {
    return panel.layers().stream()
        .flatMap(List::stream)
        .mapToDouble(ModeMap.Cell::density)
        .average()
        .orElseThrow();
  }
}
