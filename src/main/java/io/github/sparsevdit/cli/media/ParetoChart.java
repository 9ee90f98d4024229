package io.github.sparsevdit.cli.media;

import io.github.sparsevdit.search.ParetoFront;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.image.BufferedImage;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** What quality each density costs: the Pareto front of a search as a chart. */
public final class ParetoChart {
  private ParetoChart() {}

  /** Error over density, with the chosen densities marked. Needs a font. */
  public static BufferedImage draw(String title, ParetoFront front, double... chosen) {
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(540)
            .title(title)
            .xAxisTitle("density (visible pairs / all pairs)")
            .yAxisTitle("error (share of a layer's output)")
            .build();
    chart.getStyler().setChartBackgroundColor(Color.WHITE).setLegendVisible(false);
    chart.getStyler().setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 18));
    chart.getStyler().setPlotGridLinesColor(new Color(0xe5e5e5)).setPlotBorderVisible(false);
    chart.getStyler().setXAxisMin(0.0).setXAxisMax(1.0).setYAxisMin(0.0);
    double[] x = front.points().stream().mapToDouble(ParetoFront.Point::density).toArray();
    double[] y = front.points().stream().mapToDouble(ParetoFront.Point::error).toArray();
    XYSeries line = chart.addSeries("front", x, y);
    line.setLineColor(new Color(0x0072b2));
    line.setLineStyle(new BasicStroke(2f));
    line.setMarker(SeriesMarkers.NONE);
    double[] marked = new double[chosen.length];
    for (int i = 0; i < chosen.length; i++) {
      marked[i] = nearest(front, chosen[i]).error();
    }
    if (chosen.length > 0) {
      XYSeries points = chart.addSeries("chosen", chosen, marked);
      points.setLineStyle(SeriesLines.NONE);
      points.setMarkerColor(new Color(0xe69f00));
      points.setMarker(SeriesMarkers.CIRCLE);
    }
    return BitmapEncoder.getBufferedImage(chart);
  }

  private static ParetoFront.Point nearest(ParetoFront front, double density) {
    return front.points().stream()
        .min((a, b) -> Double.compare(distance(a, density), distance(b, density)))
        .orElseThrow();
  }

  private static double distance(ParetoFront.Point point, double density) {
    return Math.abs(point.density() - density);
  }
}
