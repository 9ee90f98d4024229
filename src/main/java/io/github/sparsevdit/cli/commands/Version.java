package io.github.sparsevdit.cli.commands;

import picocli.CommandLine.IVersionProvider;

/** What the jar's manifest says. */
public final class Version implements IVersionProvider {
  static String get() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "(not packaged)" : version;
  }

  @Override
  public String[] getVersion() {
    return new String[] {"svdit " + get() + ", Java " + Runtime.version()};
  }
}
