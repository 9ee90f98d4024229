package io.github.sparsevdit;

import java.util.List;

/**
 * The native library that was loaded.
 *
 * @param path the file, or the class-path resource it was extracted from
 * @param origin by which way it was found: {@code "-Dsvdit.library"}, {@code "class path"}, {@code
 *     "java.library.path"}
 * @param build the library's own line about its build
 * @param abiVersion of the C ABI, equal in library and bindings
 * @param headerHash SHA-256 of svdit.h, equal in library and bindings
 * @param tried the places looked at before, and why each failed
 */
public record LibraryInfo(
    String path,
    String origin,
    String build,
    int abiVersion,
    String headerHash,
    List<String> tried) {}
