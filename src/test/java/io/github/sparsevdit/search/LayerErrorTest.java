package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class LayerErrorTest {
  private static final Sequence SEQUENCE = Sequence.video(3, 4, 7).withText(9, false);
  private static final int BLOCK = 16;
  private static final int HEAD_DIM = 16;

  @Test
  void agreesWithMultiplyingOut() {
    for (int outputs : new int[] {0, 20}) {
      SyntheticSource source =
          new SyntheticSource(
              SEQUENCE,
              2,
              HEAD_DIM,
              3,
              1,
              outputs,
              new int[] {9, 4},
              Collections.nCopies(
                  2,
                  (key, random, q, k, v) -> {
                    SyntheticSource.gaussian(random, q, 1.5);
                    SyntheticSource.gaussian(random, k, 1.5);
                    SyntheticSource.gaussian(random, v, 1);
                  }));
      List<Pattern> patterns = List.of(Pattern.diagonal(16, 4), Pattern.multiDiagonal(0));
      List<HeadEntry> heads = patterns.stream().map(HeadEntry::new).toList();
      DispatchTable table =
          new DispatchTable(
              source.model(),
              SEQUENCE,
              BLOCK,
              null,
              List.of(new Phase(1000, 0, List.of(heads, heads))));
      double expected = 0;
      int calls = 0;
      for (Key key : source.keys()) {
        if (key.step() != 1) {
          expected += share(source, key, patterns);
          calls++;
        }
      }
      try (Backend backend = Backend.cpu()) {
        LayerError error = LayerError.over(source, backend, table, step -> step != 1);
        assertEquals(calls, error.calls());
        assertEquals(expected / calls, error.mean(), 1e-4 * expected / calls);
        Policy dense = Policy.dense(source.model(), BLOCK);
        assertEquals(0, LayerError.over(source, backend, dense, step -> true).mean(), 1e-10);
      }
    }
  }

  private static double share(SyntheticSource source, Key key, List<Pattern> patterns) {
    BruteForce brute = new BruteForce(SEQUENCE, BLOCK, HEAD_DIM);
    float[][][][] qkv = source.values(key);
    int tokens = SEQUENCE.tokens();
    int width = 2 * HEAD_DIM;
    double disturbed = 0;
    double all = 0;
    for (int b = 0; b < 2; b++) {
      double[][] was = new double[tokens][width];
      double[][] difference = new double[tokens][width];
      for (int h = 0; h < 2; h++) {
        float[] q = qkv[0][b][h];
        float[] k = qkv[1][b][h];
        int valid = source.textValid[b];
        double[][] dense = brute.attend(brute.weights(Pattern.full(), q, k, valid), qkv[2][b][h]);
        double[][] sparse = brute.attend(brute.weights(patterns.get(h), q, k, valid), qkv[2][b][h]);
        for (int i = 0; i < tokens; i++) {
          for (int d = 0; d < HEAD_DIM; d++) {
            was[i][h * HEAD_DIM + d] = dense[i][d];
            difference[i][h * HEAD_DIM + d] = sparse[i][d] - dense[i][d];
          }
        }
      }
      for (int i = 0; i < tokens; i++) {
        all += norm(source, key, was[i]);
        disturbed += norm(source, key, difference[i]);
      }
    }
    return disturbed / all;
  }

  private static double norm(SyntheticSource source, Key key, double[] row) {
    double sum = 0;
    if (source.outputs == 0) {
      for (double value : row) {
        sum += value * value;
      }
      return sum;
    }
    float[] weight = source.projection(key);
    for (int o = 0; o < source.outputs; o++) {
      double y = 0;
      for (int i = 0; i < row.length; i++) {
        y += row[i] * weight[o * row.length + i];
      }
      sum += y * y;
    }
    return sum;
  }
}
