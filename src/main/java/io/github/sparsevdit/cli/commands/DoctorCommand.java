package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendInfo;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.LibraryInfo;
import io.github.sparsevdit.SvditException;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.MatrixLibrary;
import io.github.sparsevdit.internal.media.Pictures;
import java.io.PrintStream;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code svdit doctor}. */
@Command(
    name = "doctor",
    description = {
      "Says what was found on this machine, what was chosen, and why.",
      "",
      "The exit code is 1 if the native library cannot be used; what was tried is listed."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit doctor",
      "  svdit doctor --json",
      "  SVDIT_CPU_TIER=avx2 svdit doctor    as on a processor without AVX-512"
    })
public final class DoctorCommand implements Callable<Integer> {
  @Option(names = "--json", description = "Print one JSON object.")
  boolean json;

  private final Console console;

  public DoctorCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    ObjectNode found = Json.object();
    java(found.putObject("java"));
    boolean works = library(found.putObject("native library"));
    if (works) {
      cpu(found.putObject("cpu"));
      cuda(found.putObject("cuda"));
    }
    Machine.describe(found.putObject("limits"));
    matrixProducts(found.putObject("matrix products"));
    found
        .putObject("pictures")
        .put("text", Pictures.canDrawText() ? "can be drawn" : Pictures.howToGetFonts());
    if (works) {
      try (Backend best = Backend.best()) {
        found.put("chosen", best.describe());
      }
    }
    if (json) {
      Json.print(console.out(), found);
    } else {
      print(console.out(), found);
    }
    return works ? 0 : 1;
  }

  private static void java(ObjectNode node) {
    node.put("version", Runtime.version() + ", " + System.getProperty("java.vm.name"));
    node.put("home", System.getProperty("java.home"));
    boolean access = DoctorCommand.class.getModule().isNativeAccessEnabled();
    node.put(
        "native access",
        access ? "enabled" : "not enabled: start Java with --enable-native-access=ALL-UNNAMED");
    node.put("svdit", Version.get());
  }

  private static boolean library(ObjectNode node) {
    try {
      LibraryInfo library = Backend.library();
      node.put("path", library.path());
      node.put("found by", library.origin());
      node.put("build", library.build());
      node.put("ABI", library.abiVersion());
      node.put("header", library.headerHash());
      library.tried().forEach(node.withArray("tried before")::add);
      return true;
    } catch (SvditException e) {
      node.put("failed", e.getMessage());
      return false;
    }
  }

  private static void cpu(ObjectNode node) {
    BackendInfo info = Backend.probe(Backend.Kind.CPU, 0);
    node.put("processor", info.name());
    node.put("instructions", name(info.tier()) + why());
    for (CpuOptions.Tier tier : CpuOptions.Tier.values()) {
      if (tier != CpuOptions.Tier.AUTO) {
        node.put("tier " + name(tier), available(tier));
      }
    }
    node.put("threads", info.threads());
    node.put("memory", gib(info.memoryBytes()) + ", free " + gib(info.memoryFreeBytes()));
  }

  private static String why() {
    String forced = System.getenv("SVDIT_CPU_TIER");
    return forced == null || forced.isEmpty()
        ? ", the best this processor has"
        : ", as SVDIT_CPU_TIER says";
  }

  private static String available(CpuOptions.Tier tier) {
    try {
      Backend.probe(new CpuOptions(0, tier));
      return "available";
    } catch (SvditException e) {
      return e.getMessage();
    }
  }

  private static void cuda(ObjectNode node) {
    try {
      BackendInfo info = Backend.probe(Backend.Kind.CUDA, 0);
      node.put("device 0", info.name());
      node.put("compute capability", info.computeCapability() / 10.0);
      node.put("multiprocessors", info.multiprocessors());
      node.put("driver", info.driverVersion());
      node.put("runtime", info.runtimeVersion());
      node.put("memory", gib(info.memoryBytes()) + ", free " + gib(info.memoryFreeBytes()));
      node.put("matrix products", cublas());
    } catch (SvditException e) {
      node.put("not used", e.getMessage());
    }
  }

  private static String cublas() {
    try (Backend backend = Backend.cuda(0)) {
      MatrixLibrary.open(Access.handle(backend));
      return "cuBLASLt 13 was found";
    } catch (SvditException e) {
      return e.getMessage();
    }
  }

  /** What multiplies a denoiser's matrices; attention does without. */
  private static void matrixProducts(ObjectNode node) {
    try (Backend backend = Backend.cpu()) {
      node.put("oneDNN", MatrixLibrary.open(Access.handle(backend)));
    } catch (SvditException e) {
      node.put("not found", e.getMessage());
    }
  }

  private static String name(CpuOptions.Tier tier) {
    return tier.name().toLowerCase(Locale.ROOT);
  }

  static String gib(long bytes) {
    return String.format(Locale.ROOT, "%.1f GiB", bytes / 1073741824.0);
  }

  private static void print(PrintStream out, ObjectNode found) {
    for (var section : found.properties()) {
      if (section.getValue().isValueNode()) {
        out.println(section.getKey() + ": " + section.getValue().asText());
        continue;
      }
      out.println(section.getKey());
      for (var entry : section.getValue().properties()) {
        JsonNode value = entry.getValue();
        if (value.isArray()) {
          value.forEach(item -> line(out, entry.getKey(), item.asText()));
        } else {
          line(out, entry.getKey(), value.asText());
        }
      }
    }
  }

  private static void line(PrintStream out, String key, String value) {
    out.printf("  %-20s %s%n", key, value.replaceAll("\\R\\s*", "\n" + " ".repeat(23)));
  }
}
