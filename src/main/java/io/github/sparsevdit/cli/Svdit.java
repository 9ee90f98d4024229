package io.github.sparsevdit.cli;

import io.github.sparsevdit.cli.commands.BenchCommand;
import io.github.sparsevdit.cli.commands.CaptureCommand;
import io.github.sparsevdit.cli.commands.CheckCommand;
import io.github.sparsevdit.cli.commands.DemoCommand;
import io.github.sparsevdit.cli.commands.DoctorCommand;
import io.github.sparsevdit.cli.commands.GenerateCommand;
import io.github.sparsevdit.cli.commands.PlanCommand;
import io.github.sparsevdit.cli.commands.SearchCommand;
import io.github.sparsevdit.cli.commands.ShowCommand;
import io.github.sparsevdit.cli.commands.Version;
import io.github.sparsevdit.cli.terminal.Console;
import java.lang.reflect.Constructor;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IFactory;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command line without a command. */
@Command(
    name = "svdit",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    versionProvider = Version.class,
    synopsisSubcommandLabel = "COMMAND",
    description = "Structured sparse attention for video diffusion transformers.",
    footerHeading = "%nFor a start:%n",
    footer = {
      "  svdit doctor             what this machine offers and what will be used",
      "  svdit check              do the kernels agree with the reference cases?",
      "  svdit demo --out out     search, generate, compare: the whole chain in minutes",
      "",
      "Each command's help shows how to use it: svdit search --help"
    },
    subcommands = {
      DoctorCommand.class,
      CheckCommand.class,
      SearchCommand.class,
      CaptureCommand.class,
      ShowCommand.class,
      GenerateCommand.class,
      BenchCommand.class,
      PlanCommand.class,
      DemoCommand.class,
      HelpCommand.class
    })
public final class Svdit implements Runnable {
  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "After an error, show where in the program it happened.")
  boolean verbose;

  @Spec CommandSpec spec;
  private final Console console;

  Svdit(Console console) {
    this.console = console;
  }

  Console console() {
    return console;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }

  /** Makes the commands, each with the console. */
  record Commands(Console console) implements IFactory {
    @Override
    public <K> K create(Class<K> type) throws Exception {
      if (type.getPackageName().startsWith(Svdit.class.getPackageName())) {
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
          Class<?>[] wants = constructor.getParameterTypes();
          if (wants.length == 1 && wants[0] == Console.class) {
            return type.cast(constructor.newInstance(console));
          }
        }
      }
      return CommandLine.defaultFactory().create(type);
    }
  }
}
