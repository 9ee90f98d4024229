package io.github.sparsevdit;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.base.DescribedPredicate.anyElementThat;
import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.Architectures;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;

/** The rules of the house that the compiler does not check. */
@AnalyzeClasses(
    packages = "io.github.sparsevdit",
    importOptions = ImportOption.DoNotIncludeTests.class)
class LayeringTest {
  private static final String ROOT = "io.github.sparsevdit";
  private static final String CLI = ROOT + ".cli..";
  private static final String MODEL = ROOT + ".model";

  /** Below model there is a package for each family, and these two. */
  private static final DescribedPredicate<JavaClass> OF_A_FAMILY =
      resideInAPackage(MODEL + ".*..")
          .and(not(resideInAnyPackage(MODEL + ".parts..", MODEL + ".families..")));

  /**
   * cli → eval → pipeline → estimate → checkpoint → model → search → public face → tables →
   * patterns → tensors → internal → bindings; a layer may use any below it. Exceptions are the one
   * thing that goes the other way: internal turns a native status into the public exception it
   * stands for.
   */
  @ArchTest
  static final ArchRule DEPENDENCIES_RUN_ONE_WAY =
      oneWay(
          List.of("cli", CLI),
          List.of("eval", ROOT + ".eval.."),
          List.of("pipeline", ROOT + ".pipeline.."),
          List.of("estimate", ROOT + ".estimate.."),
          List.of("checkpoint", ROOT + ".checkpoint.."),
          List.of("families", ROOT + ".model.families.."),
          List.of("a family"),
          List.of("parts of denoisers", ROOT + ".model.parts.."),
          List.of("model", ROOT + ".model"),
          List.of("search", ROOT + ".search.."),
          List.of("public face", ROOT),
          List.of("tables", ROOT + ".table.."),
          List.of("sweep", ROOT + ".sweep.."),
          List.of("patterns", ROOT + ".pattern.."),
          List.of("cuda", ROOT + ".cuda.."),
          List.of("tensors", ROOT + ".tensor.."),
          List.of("internal", ROOT + ".internal.."),
          List.of("bindings", ROOT + ".bindings.."));

  /** A family knows nothing of the others. */
  @ArchTest
  static final ArchRule FAMILIES_STAND_ALONE =
      slices()
          .matching(MODEL + ".(*)..")
          .should()
          .notDependOnEachOther()
          .ignoreDependency(resideInAPackage(MODEL + ".families.."), alwaysTrue())
          .ignoreDependency(alwaysTrue(), resideInAPackage(MODEL + ".parts.."));

  /** No two packages need each other, below the layers too. */
  @ArchTest
  static final ArchRule NO_PACKAGES_NEED_EACH_OTHER =
      slices()
          .matching("io.github.(**)")
          .should()
          .beFreeOfCycles()
          .ignoreDependency(alwaysTrue(), assignableTo(Throwable.class));

  @SafeVarargs
  private static ArchRule oneWay(List<String>... layers) {
    Architectures.LayeredArchitecture rule =
        layeredArchitecture().consideringOnlyDependenciesInLayers();
    for (List<String> layer : layers) {
      Architectures.LayeredArchitecture.LayerDefinition definition = rule.layer(layer.getFirst());
      rule =
          layer.size() == 1
              ? definition.definedBy(OF_A_FAMILY)
              : definition.definedBy(layer.subList(1, layer.size()).toArray(String[]::new));
    }
    List<String> above = new ArrayList<>();
    for (List<String> layer : layers) {
      var constrained = rule.whereLayer(layer.getFirst());
      rule =
          above.isEmpty()
              ? constrained.mayNotBeAccessedByAnyLayer()
              : constrained.mayOnlyBeAccessedByLayers(above.toArray(String[]::new));
      above.add(layer.getFirst());
    }
    return rule.ignoreDependency(alwaysTrue(), assignableTo(Throwable.class));
  }

  /**
   * An application that embeds the library gets one JSON library with it and nothing else; what
   * writes videos asks for its library when it is called.
   */
  @ArchTest
  static final ArchRule ONLY_THE_COMMAND_LINE_USES_ITS_LIBRARIES =
      classes()
          .that()
          .resideOutsideOfPackages(CLI, ROOT + ".internal.media..", MODEL + ".text..")
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

  /** What users may call speaks of what they may name: no method is public for our own use. */
  @ArchTest
  static final ArchRule NOTHING_PUBLIC_MENTIONS_WHAT_IS_NOT_EXPORTED =
      noMethods()
          .that()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .arePublic()
          .and()
          .areDeclaredInClassesThat()
          .resideInAnyPackage(
              ROOT, ROOT + ".eval", ROOT + ".model", ROOT + ".search", ROOT + ".tensor")
          .should()
          .haveRawReturnType(resideInAnyPackage(ROOT + ".internal..", ROOT + ".bindings.."))
          .orShould()
          .haveRawParameterTypes(
              anyElementThat(resideInAnyPackage(ROOT + ".internal..", ROOT + ".bindings..")));
}
