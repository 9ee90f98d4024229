///usr/bin/env jbang "$0" "$@" ; exit $?
//JAVA 22+
//DEPS io.github.sparsevdit:sparse-vdit:0.1.0
//DEPS org.jcodec:jcodec:0.2.5
//RUNTIME_OPTIONS --enable-native-access=ALL-UNNAMED

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pipeline.GenerateOptions;
import io.github.sparsevdit.pipeline.Generator;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.file.Path;

/** A video in ten lines: {@code Generate.java CHECKPOINT PROMPT OUT [TABLE]}. */
class Generate {
  public static void main(String[] args) {
    DispatchTable table = args.length > 3 ? DispatchTable.read(Path.of(args[3])) : null; // null: dense
    try (Backend backend = Backend.best();
        Generator generator = Generator.open(Path.of(args[0]), backend)) {
      var video = generator.generate(args[1], table, GenerateOptions.defaults());
      System.out.printf("%.1f s, density %.2f%n", video.seconds(), video.density());
      System.out.println("wrote " + video.save(Path.of(args[2])));
    }
  }
}
