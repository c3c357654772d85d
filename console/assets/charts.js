// Draws the charts of a page from their tables. A chart outlives the live part that it stands in: what comes anew
// brings its numbers alone.
"use strict";

(() => {
  const SECONDS = 1000;
  const drawn = new Map(); // each plot's element: what is drawn in it
  const opened = new Set(); // tables that the reader has opened

  const format = {
    count: (value) => new Intl.NumberFormat("en-US", { notation: "compact" }).format(value),
    share: (value) => `${Math.round(value * 100)}%`,
    rate: (value) => new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 }).format(value),
    ms: (value) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`),
  };

  const zone = () => document.documentElement.dataset.zone || undefined;
  const timeText = (at, parts) => new Intl.DateTimeFormat("en-GB", { timeZone: zone(), ...parts }).format(new Date(at));

  function timeLabels(plot, ticks, axis, space, step) {
    return ticks.map((tick) => {
      const hour = timeText(tick * SECONDS, { hour: "2-digit", minute: "2-digit" });
      return step >= 86400 || hour === "00:00" ? timeText(tick * SECONDS, { day: "numeric", month: "short" }) : hour;
    });
  }

  function read(chart) {
    const rows = [...chart.querySelectorAll("tr[data-at]")].reverse();
    const cells = rows.map((row) => [...row.querySelectorAll("td")]);
    const keys = [...chart.querySelectorAll(".key")];
    return {
      times: rows.map((row) => Number(row.dataset.at) / SECONDS),
      values: keys.map((_, nth) => cells.map((row) => (row[nth].dataset.value === undefined ? null : Number(row[nth].dataset.value)))),
      texts: keys.map((_, nth) => cells.map((row) => row[nth].textContent)),
      names: keys.map((key) => key.dataset.key),
      swatches: keys.map((key) => key.querySelector(".swatch")),
      totals: keys.map((key) => key.querySelector("[data-total]")),
    };
  }

  // The layers of a stack, each with those below it.
  function stacked(values) {
    const sums = values[0].map(() => 0);
    return values.map((layer) => layer.map((value, at) => (sums[at] += value ?? 0)));
  }

  function dataOf(chart, found) {
    // The highest is drawn first, and the lower ones over it.
    const values = chart.dataset.kind === "stack" ? stacked(found.values).reverse() : found.values;
    return [found.times, ...values];
  }

  // Where points are too dense to be shown, those without a neighbor are: no line leads to them.
  function alone(plot, nth, shown) {
    if (shown) return null;
    const values = plot.data[nth];
    const is = (at) => values[at] !== null && values[at] !== undefined;
    return values.map((_, at) => at).filter((at) => is(at) && !is(at - 1) && !is(at + 1));
  }

  const color = (element, name) => getComputedStyle(element).getPropertyValue(name);

  function seriesOf(chart, found, nth) {
    const kind = chart.dataset.kind;
    const place = kind === "stack" ? found.names.length - 1 - nth : nth;
    const own = () => color(drawn.get(plotOf(chart)).found.swatches[place], "background-color");
    const common = { stroke: own, width: 2, points: { size: 5, filter: alone } };
    if (kind === "stack") {
      return { ...common, width: 0, fill: own, points: { show: false }, paths: uPlot.paths.bars({ size: [found.times.length > 60 ? 1 : 0.8, 40] }) };
    }
    return kind === "area" ? { ...common, fill: () => own().replace(/^rgb\((.*)\)$/, "rgba($1, 0.15)") } : common;
  }

  const plotOf = (chart) => chart.querySelector(".plot");

  function draw(chart) {
    const plot = plotOf(chart);
    if (!plot) return;
    const found = read(chart);
    const shape = chart.dataset.kind + found.names.join("|");
    const before = drawn.get(plot);
    if (before && before.shape === shape) {
      before.chart = chart;
      before.found = found;
      before.plot.setData(dataOf(chart, found));
      show(plot, before.plot.cursor.idx);
      return;
    }
    if (before) before.plot.destroy();
    const state = { chart, found, shape, plot: null };
    drawn.set(plot, state);
    const unit = chart.dataset.unit;
    const quiet = () => color(plot, "color");
    // Bars stand around their time, and the outermost need room.
    const room = chart.dataset.kind === "stack" ? Number(chart.dataset.step) / SECONDS / 2 : 0;
    const grid = { stroke: () => color(plot, "border-top-color"), width: 1 };
    const whole = found.values.flat().every((value) => value === null || Number.isInteger(value));
    state.plot = new uPlot({
      width: plot.clientWidth,
      height: plot.clientHeight,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: chart.dataset.kind !== "stack" } },
      scales: {
        x: { range: (_, low, high) => [low - room, high + room] },
        y: { range: (_, low, high) => [0, unit === "share" ? 1 : high > 0 ? high * 1.1 : 1] },
      },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * SECONDS), zone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone),
      axes: [
        { stroke: quiet, grid: { show: false }, ticks: grid, font: "11px system-ui, sans-serif", size: 26, values: timeLabels },
        {
          stroke: quiet, grid, ticks: { show: false }, font: "11px system-ui, sans-serif", size: 48, space: 28,
          incrs: unit === "count" && whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((n) => [n, n * 1e3, n * 1e6]).sort((a, b) => a - b) : undefined,
          values: (_, ticks) => ticks.map((tick) => format[unit](tick)),
        },
      ],
      series: [{}, ...found.names.map((_, nth) => seriesOf(chart, found, nth))],
      hooks: { setCursor: [(shown) => show(plot, shown.cursor.idx)] },
    }, dataOf(chart, found), plot);
    listen(plot, chart);
  }

  // The values under the cursor stand in the legend; without a cursor, what each amounts to.
  function show(plot, place) {
    const state = drawn.get(plot);
    if (!state || !state.plot) return;
    const { chart, found } = state;
    const has = place !== null && place !== undefined && place < found.times.length;
    const when = chart.querySelector("[data-when]");
    const parts = Number(chart.dataset.step) >= 86400 * SECONDS
      ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    when.textContent = has ? timeText(found.times[place] * SECONDS, parts) : "";
    found.totals.forEach((total, nth) => { total.textContent = has ? found.texts[nth][place] : total.dataset.total; });
    if (has) plot.setAttribute("aria-valuenow", String(place));
    plot.setAttribute("aria-valuemax", String(found.times.length - 1));
    plot.setAttribute("aria-valuetext", [when.textContent, ...found.swatches.map((swatch) => swatch.parentElement.textContent.trim())].filter(Boolean).join(", "));
  }

  function listen(plot, chart) {
    if (plot.hasAttribute("tabindex")) return;
    plot.tabIndex = 0;
    plot.setAttribute("role", "slider");
    plot.setAttribute("aria-labelledby", chart.getAttribute("aria-labelledby"));
    plot.setAttribute("aria-valuemin", "0");
    plot.setAttribute("aria-valuenow", String(drawn.get(plot).found.times.length - 1));
    show(plot, null);
    plot.addEventListener("keydown", (event) => {
      const { plot: shown, found } = drawn.get(plot);
      const last = found.times.length - 1;
      const at = shown.cursor.idx ?? null;
      const next = {
        ArrowLeft: at === null ? last : at - 1, ArrowRight: at === null ? 0 : at + 1, ArrowDown: (at ?? last + 1) - 1, ArrowUp: (at ?? -1) + 1,
        PageDown: (at ?? last) - 6, PageUp: (at ?? 0) + 6, Home: 0, End: last,
      }[event.key];
      if (event.key === "Escape") shown.setCursor({ left: -10, top: -10 });
      if (next === undefined) return;
      event.preventDefault();
      shown.setCursor({ left: shown.valToPos(found.times[Math.min(Math.max(next, 0), last)], "x"), top: 1 });
    });
    plot.addEventListener("blur", () => drawn.get(plot).plot.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => {
      const shown = drawn.get(plot)?.plot;
      if (shown && plot.clientWidth && (shown.width !== plot.clientWidth || shown.height !== plot.clientHeight)) {
        shown.setSize({ width: plot.clientWidth, height: plot.clientHeight });
      }
    }).observe(plot);
  }

  function drawAll() {
    for (const plot of drawn.keys()) if (!plot.isConnected) { drawn.get(plot).plot.destroy(); drawn.delete(plot); }
    for (const id of opened) { const table = document.getElementById(id); if (table) table.open = true; }
    for (const chart of document.querySelectorAll("[data-chart]")) draw(chart);
  }

  document.addEventListener("toggle", (event) => {
    if (!event.target.id.startsWith("table-")) return;
    if (event.target.open) opened.add(event.target.id); else if (event.target.isConnected) opened.delete(event.target.id);
  }, true);
  document.addEventListener("htmx:afterSettle", drawAll);
  // Colors and the zone of times are the reader's choice.
  const again = () => { for (const { plot } of drawn.values()) plot.redraw(false, true); };
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme", "data-zone"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  document.addEventListener("DOMContentLoaded", drawAll);
})();
