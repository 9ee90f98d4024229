package io.github.sparsevdit.jmh;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.annotations.Param;

/** A benchmark's {@code @Param} values, as JMH combines them. */
final class Parameters {
  private Parameters() {}

  /** One instance per combination, its fields set. */
  static <T> List<T> instances(Class<T> benchmark) {
    List<Map<Field, String>> combinations = List.of(Map.of());
    for (Field field : benchmark.getDeclaredFields()) {
      Param param = field.getAnnotation(Param.class);
      if (param != null) {
        List<Map<Field, String>> longer = new ArrayList<>();
        for (Map<Field, String> combination : combinations) {
          for (String value : values(field, param)) {
            Map<Field, String> more = new LinkedHashMap<>(combination);
            more.put(field, value);
            longer.add(more);
          }
        }
        combinations = longer;
      }
    }
    return combinations.stream().map(values -> instance(benchmark, values)).toList();
  }

  /** {@code "type=BF16 headDim=64"}. */
  static String describe(Object benchmark) {
    List<String> parts = new ArrayList<>();
    for (Field field : benchmark.getClass().getDeclaredFields()) {
      if (field.isAnnotationPresent(Param.class)) {
        try {
          parts.add(field.getName() + "=" + field.get(benchmark));
        } catch (IllegalAccessException e) {
          throw new IllegalStateException(e);
        }
      }
    }
    return String.join(" ", parts);
  }

  private static List<String> values(Field field, Param param) {
    boolean all = Arrays.equals(param.value(), new String[] {Param.BLANK_ARGS});
    return all
        ? Arrays.stream(field.getType().getEnumConstants()).map(Object::toString).toList()
        : List.of(param.value());
  }

  private static <T> T instance(Class<T> benchmark, Map<Field, String> values) {
    try {
      T instance = benchmark.getDeclaredConstructor().newInstance();
      for (Map.Entry<Field, String> value : values.entrySet()) {
        value.getKey().set(instance, parsed(value.getKey().getType(), value.getValue()));
      }
      return instance;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object parsed(Class<?> type, String value) {
    if (type.isEnum()) {
      return Arrays.stream(type.getEnumConstants())
          .filter(constant -> constant.toString().equals(value))
          .findFirst()
          .orElseThrow();
    }
    return type == int.class
        ? Integer.valueOf(value)
        : type == double.class ? Double.valueOf(value) : value;
  }
}
