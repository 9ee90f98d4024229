package io.github.sparsevdit;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;

/** The rules of the house that the compiler does not check. */
@AnalyzeClasses(
    packages = "io.github.sparsevdit",
    importOptions = ImportOption.DoNotIncludeTests.class)
class LayeringTest {
  private static final String ROOT = "io.github.sparsevdit";
  private static final String CLI = ROOT + ".cli..";

  /**
   * cli → eval → model → search → public face → internal → bindings; a layer may use any below it.
   * Exceptions are the one thing that goes the other way: internal turns a native status into the
   * public exception it stands for.
   */
  @ArchTest
  static final ArchRule DEPENDENCIES_RUN_ONE_WAY =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("cli")
          .definedBy(CLI)
          .layer("eval")
          .definedBy(ROOT + ".eval..")
          .layer("model")
          .definedBy(ROOT + ".model..")
          .layer("search")
          .definedBy(ROOT + ".search..")
          .layer("public face")
          .definedBy(ROOT, ROOT + ".tensor..")
          .layer("internal")
          .definedBy(ROOT + ".internal..")
          .layer("bindings")
          .definedBy(ROOT + ".bindings..")
          .whereLayer("cli")
          .mayNotBeAccessedByAnyLayer()
          .whereLayer("eval")
          .mayOnlyBeAccessedByLayers("cli")
          .whereLayer("model")
          .mayOnlyBeAccessedByLayers("cli", "eval")
          .whereLayer("search")
          .mayOnlyBeAccessedByLayers("cli", "eval", "model")
          .whereLayer("public face")
          .mayOnlyBeAccessedByLayers("cli", "eval", "model", "search")
          .whereLayer("bindings")
          .mayNotAccessAnyLayer()
          .ignoreDependency(alwaysTrue(), assignableTo(Throwable.class));

  /** An application that embeds the library gets one JSON library with it and nothing else. */
  @ArchTest
  static final ArchRule ONLY_THE_COMMAND_LINE_USES_ITS_LIBRARIES =
      classes()
          .that()
          .resideOutsideOfPackage(CLI)
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(ROOT + "..", "java..", "jdk.jfr..", "com.fasterxml.jackson..");

  /**
   * Of the generated bindings, one method would print a trace if a system property asked for it. So
   * does the leak tracker, at exit, when loggers are gone.
   */
  @ArchTest
  static final ArchRule THE_LIBRARY_PRINTS_NOTHING =
      noClasses()
          .that()
          .resideOutsideOfPackages(CLI, ROOT + ".bindings..")
          .and()
          .doNotHaveFullyQualifiedName(ROOT + ".internal.Leaks$Tracker")
          .should(ACCESS_STANDARD_STREAMS);

  @ArchTest
  static final ArchRule NO_LOGGING_BUT_SYSTEM_LOGGER =
      noClasses().should().dependOnClassesThat().resideInAPackage("java.util.logging..");

  /**
   * The causes that {@link SvditException} lists, what it says is not among them, and no others.
   */
  @ArchTest
  static final ArchRule WHAT_FAILS_IS_A_SVDIT_EXCEPTION_OR_MISUSE_OR_A_FILES =
      noClasses()
          .that()
          .resideOutsideOfPackages(CLI, ROOT + ".bindings..")
          .and()
          .areNotAssignableTo(Throwable.class)
          .should()
          .callConstructorWhere(
              target(
                  owner(
                      describe(
                          "another throwable",
                          type ->
                              type.isAssignableTo(Throwable.class)
                                  && !type.isEquivalentTo(Throwable.class) // a stack trace
                                  && Stream.of(
                                          SvditException.class,
                                          IllegalArgumentException.class,
                                          IllegalStateException.class,
                                          IndexOutOfBoundsException.class,
                                          CancellationException.class,
                                          IOException.class,
                                          UncheckedIOException.class,
                                          AssertionError.class, // a defect, found by a check
                                          MatchException.class) // the same, by the compiler's
                                      .noneMatch(type::isAssignableTo)))));

  /** Attention is called through the public face; denoisers call their own operations. */
  @ArchTest
  static final ArchRule NATIVE_CODE_IS_CALLED_BELOW_THE_SEARCH_AND_BY_DENOISERS_ONLY =
      noClasses()
          .that()
          .resideInAnyPackage(CLI, ROOT + ".eval..", ROOT + ".search..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage(ROOT + ".bindings..");
}
