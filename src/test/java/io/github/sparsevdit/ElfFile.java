package io.github.sparsevdit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * As much of a 64-bit little-endian ELF shared object as says what it shows and needs: the System V
 * ABI's section headers, dynamic symbols and dynamic section, and the GNU symbol version needs.
 */
final class ElfFile {
  private static final int SECTION_DYNAMIC = 6;
  private static final int SECTION_DYNAMIC_SYMBOLS = 11;
  private static final int SECTION_VERSION_NEEDS = 0x6ffffffe;

  private record Section(int type, long offset, long size, int link, int info) {}

  private final ByteBuffer bytes;
  private final List<Section> sections = new ArrayList<>();

  private ElfFile(ByteBuffer bytes) {
    this.bytes = bytes.order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.getInt(0) != 0x464c457f || bytes.get(4) != 2 || bytes.get(5) != 1) {
      throw new IllegalArgumentException("not a 64-bit little-endian ELF file");
    }
    long headers = bytes.getLong(0x28);
    int entry = bytes.getShort(0x3a);
    int count = bytes.getShort(0x3c);
    for (int i = 0; i < count; i++) {
      int at = Math.toIntExact(headers + (long) i * entry);
      sections.add(
          new Section(
              bytes.getInt(at + 4),
              bytes.getLong(at + 0x18),
              bytes.getLong(at + 0x20),
              bytes.getInt(at + 0x28),
              bytes.getInt(at + 0x2c)));
    }
  }

  static ElfFile read(Path path) throws IOException {
    return new ElfFile(ByteBuffer.wrap(Files.readAllBytes(path)));
  }

  /** Names of the defined global and weak dynamic symbols: what others can link to. */
  Set<String> exported() {
    Set<String> names = new TreeSet<>();
    for (Section table : sections(SECTION_DYNAMIC_SYMBOLS)) {
      for (long at = table.offset(); at < table.offset() + table.size(); at += 24) {
        int binding = (bytes.get((int) at + 4) & 0xff) >> 4;
        boolean defined = bytes.getShort((int) at + 6) != 0;
        if (defined && binding != 0) {
          names.add(string(table, bytes.getInt((int) at)));
        }
      }
    }
    return names;
  }

  /** The libraries the loader must find (DT_NEEDED). */
  Set<String> needed() {
    Set<String> names = new TreeSet<>();
    for (Section dynamic : sections(SECTION_DYNAMIC)) {
      for (long at = dynamic.offset(); at < dynamic.offset() + dynamic.size(); at += 16) {
        if (bytes.getLong((int) at) == 1) {
          names.add(string(dynamic, bytes.getLong((int) at + 8)));
        }
      }
    }
    return names;
  }

  /** Symbol versions needed, such as GLIBC_2.34, by library. */
  Map<String, Set<String>> neededVersions() {
    Map<String, Set<String>> versions = new TreeMap<>();
    for (Section needs : sections(SECTION_VERSION_NEEDS)) {
      long at = needs.offset();
      for (int i = 0; i < needs.info(); i++) {
        String library = string(needs, bytes.getInt((int) at + 4));
        Set<String> names = versions.computeIfAbsent(library, unused -> new TreeSet<>());
        int count = bytes.getShort((int) at + 2);
        long one = at + bytes.getInt((int) at + 8);
        for (int j = 0; j < count; j++) {
          names.add(string(needs, bytes.getInt((int) one + 8)));
          one += bytes.getInt((int) one + 12);
        }
        at += bytes.getInt((int) at + 12);
      }
    }
    return versions;
  }

  private List<Section> sections(int type) {
    return sections.stream().filter(section -> section.type() == type).toList();
  }

  /** The string at index of the table that section links to. */
  private String string(Section section, long index) {
    int start = Math.toIntExact(sections.get(section.link()).offset() + index);
    int end = start;
    while (bytes.get(end) != 0) {
      end++;
    }
    byte[] text = new byte[end - start];
    bytes.get(start, text);
    return new String(text, StandardCharsets.UTF_8);
  }
}
