package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.SvditHeader;
import io.github.sparsevdit.bindings.svdit_attention_args;
import io.github.sparsevdit.bindings.svdit_backend_info;
import io.github.sparsevdit.bindings.svdit_backend_options;
import io.github.sparsevdit.bindings.svdit_conv_args;
import io.github.sparsevdit.bindings.svdit_convert_args;
import io.github.sparsevdit.bindings.svdit_error;
import io.github.sparsevdit.bindings.svdit_group_norm_args;
import io.github.sparsevdit.bindings.svdit_layout_entry;
import io.github.sparsevdit.bindings.svdit_linear_args;
import io.github.sparsevdit.bindings.svdit_matrix;
import io.github.sparsevdit.bindings.svdit_multiply_args;
import io.github.sparsevdit.bindings.svdit_norm_args;
import io.github.sparsevdit.bindings.svdit_pattern;
import io.github.sparsevdit.bindings.svdit_plan_desc;
import io.github.sparsevdit.bindings.svdit_plan_info;
import io.github.sparsevdit.bindings.svdit_residual_args;
import io.github.sparsevdit.bindings.svdit_rope_args;
import io.github.sparsevdit.bindings.svdit_run;
import io.github.sparsevdit.bindings.svdit_sequence;
import io.github.sparsevdit.bindings.svdit_softmax_args;
import io.github.sparsevdit.bindings.svdit_spread_args;
import io.github.sparsevdit.bindings.svdit_sweep_args;
import io.github.sparsevdit.bindings.svdit_tensor;
import io.github.sparsevdit.bindings.svdit_transpose_args;
import java.lang.foreign.Arena;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Compares the loaded library with the bindings: ABI version, the header's SHA-256, and offset and
 * size of every struct and field.
 */
final class AbiCheck {
  private AbiCheck() {}

  /** Where a struct (offset 0) or field lies. */
  record Place(long offset, long size) {}

  /** Throws BackendUnavailableException naming what differs. */
  static void check(String path) {
    try {
      List<String> differences = new ArrayList<>();
      int version = Svdit.svdit_abi_version();
      if (version != Svdit.SVDIT_ABI_VERSION()) {
        differences.add("ABI version " + version + ", expected " + Svdit.SVDIT_ABI_VERSION());
      } else {
        String hash = Svdit.svdit_header_hash().getString(0);
        if (!hash.equals(SvditHeader.SHA256)) {
          differences.add("header hash " + hash + ", expected " + SvditHeader.SHA256);
        }
        differences.addAll(differences(ofBindings(), ofLibrary()));
      }
      if (!differences.isEmpty()) {
        throw new BackendUnavailableException(
            path
                + " was not built from the header of these bindings: "
                + String.join("; ", differences));
      }
    } catch (ExceptionInInitializerError | UnsatisfiedLinkError e) { // a symbol is missing
      Throwable cause =
          e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
      throw new BackendUnavailableException(
          path + " is no libsvdit of these bindings: " + cause.getMessage(), e);
    }
  }

  /** What differs, one line each. */
  static List<String> differences(Map<String, Place> bindings, Map<String, Place> library) {
    List<String> differences = new ArrayList<>();
    bindings.forEach(
        (name, place) -> {
          Place other = library.get(name);
          if (!place.equals(other)) {
            differences.add(
                name
                    + " at "
                    + (other == null ? "no place" : text(other))
                    + ", expected "
                    + text(place));
          }
        });
    library.forEach(
        (name, place) -> {
          if (!bindings.containsKey(name)) {
            differences.add(name + " at " + text(place) + ", unknown to the bindings");
          }
        });
    return differences;
  }

  private static String text(Place place) {
    return "offset " + place.offset() + " size " + place.size();
  }

  /** Every struct and field as the library's compiler laid it out. */
  static Map<String, Place> ofLibrary() {
    Map<String, Place> places = new TreeMap<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment entry = svdit_layout_entry.allocate(arena);
      svdit_layout_entry.struct_bytes(entry, (int) svdit_layout_entry.sizeof());
      int count = Svdit.svdit_layout_count();
      for (int i = 0; i < count; i++) {
        int index = i;
        NativeCalls.check(error -> Svdit.svdit_layout(index, entry, error));
        places.put(
            svdit_layout_entry.name(entry).getString(0),
            new Place(
                svdit_layout_entry.offset_bytes(entry), svdit_layout_entry.size_bytes(entry)));
      }
    }
    return places;
  }

  /** Every struct and field as the bindings have it. */
  static Map<String, Place> ofBindings() {
    Map<String, Place> places = new TreeMap<>();
    for (MemoryLayout struct : structs()) {
      String name = struct.name().orElseThrow();
      places.put(name, new Place(0, struct.byteSize()));
      for (MemoryLayout field : ((GroupLayout) struct).memberLayouts()) {
        field
            .name() // padding has none
            .ifPresent(
                member ->
                    places.put(
                        name + "." + member,
                        new Place(
                            struct.byteOffset(PathElement.groupElement(member)),
                            field.byteSize())));
      }
    }
    return places;
  }

  private static List<MemoryLayout> structs() {
    return List.of(
        svdit_error.layout(),
        svdit_layout_entry.layout(),
        svdit_backend_options.layout(),
        svdit_backend_info.layout(),
        svdit_sequence.layout(),
        svdit_pattern.layout(),
        svdit_plan_desc.layout(),
        svdit_plan_info.layout(),
        svdit_run.layout(),
        svdit_tensor.layout(),
        svdit_attention_args.layout(),
        svdit_sweep_args.layout(),
        svdit_matrix.layout(),
        svdit_linear_args.layout(),
        svdit_norm_args.layout(),
        svdit_rope_args.layout(),
        svdit_residual_args.layout(),
        svdit_convert_args.layout(),
        svdit_conv_args.layout(),
        svdit_group_norm_args.layout(),
        svdit_spread_args.layout(),
        svdit_softmax_args.layout(),
        svdit_multiply_args.layout(),
        svdit_transpose_args.layout());
  }
}
