package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.cli.terminal.CommandFailure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** What {@code --prompts} takes: names of embeddings, or a file with a text on each line. */
public final class PromptList {
  static final String DESCRIPTION =
      "names of embeddings, separated by commas, or a text file with a prompt on each line"
          + " (lines that begin with # are left out)";
  private static final int NAME_CHARACTERS = 60;

  private PromptList() {}

  /** The prompts that are meant. */
  static List<String> of(List<String> given) throws IOException {
    if (given.size() != 1 || !given.getFirst().endsWith(".txt")) {
      return given;
    }
    Path file = Path.of(given.getFirst());
    if (!Files.exists(file)) {
      throw new CommandFailure("--prompts " + file + ": there is no such file");
    }
    List<String> prompts =
        Files.readAllLines(file).stream()
            .map(String::strip)
            .filter(line -> !line.isEmpty() && !line.startsWith("#"))
            .distinct()
            .toList();
    if (prompts.isEmpty()) {
      throw new CommandFailure("--prompts " + file + " has no prompt; expected one on each line");
    }
    return prompts;
  }

  /** A prompt as part of a file's name. */
  public static String fileName(String prompt) {
    String name = prompt.toLowerCase(Locale.ROOT).replaceAll("[^\\p{L}\\p{N}._-]+", "-");
    name = name.replaceAll("^[-.]+", "");
    if (name.codePointCount(0, name.length()) > NAME_CHARACTERS) {
      name = name.substring(0, name.offsetByCodePoints(0, NAME_CHARACTERS));
    }
    name = name.replaceAll("-+$", "");
    return name.isEmpty() ? "video" : name;
  }
}
