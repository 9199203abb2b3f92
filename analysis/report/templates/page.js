// What a reader can do with the page: pick methods, sort tables, point at curves.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  const figures = JSON.parse(document.getElementById("charts").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];

  const short = (value) => {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1e9) return +(value / 1e9).toPrecision(3) + "G";
    if (size >= 1e6) return +(value / 1e6).toPrecision(3) + "M";
    if (size >= 1e4) return +(value / 1e3).toPrecision(3) + "k";
    if (size < 1e-3) return value.toExponential(1).replace(".0e", "e");
    return String(+value.toPrecision(3));
  };
  const shares = (value) => (value === null ? "" : String(+(100 * value).toFixed(2)));

  // One column of x for all lines; each line, then the ends of its band, as columns of y.
  function table(chart) {
    const parts = [];
    for (const line of chart.series) {
      parts.push([line.x, line.y, line.low || line.y, line.high || line.y]);
    }
    return uPlot.join(parts);
  }

  function lines(chart) {
    const found = [{}];
    const paths = chart.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
    for (const line of chart.series) {
      const shown = { spanGaps: true, paths, points: { show: line.points, size: 6 } };
      const end = { ...shown, label: "", stroke: "transparent", width: 0, points: { show: false } };
      found.push(
        { ...shown, label: line.name, stroke: line.colour, width: line.level ? 1.25 : 2, dash: line.dash },
        end, { ...end },
      );
    }
    return found;
  }

  function bands(chart) {
    return chart.series
      .map((line, at) => ({ series: [3 * at + 3, 3 * at + 2], line }))
      .filter(({ line }) => line.low)
      .map(({ series, line }) => ({ series, fill: (plot) => (isBare(chart, line, plot) ? "transparent" : line.colour + "26") }));
  }

  // The bands of many straight lines would hide the curves: fewer picked methods bring them back.
  function isBare(chart, line, plot) {
    const levels = chart.series.filter((each, at) => each.level && plot.series[3 * at + 1].show);
    return line.level && levels.length > chart.mostLevelBands;
  }

  function axis(chart, isX) {
    const values = !isX && chart.percent ? shares : short;
    const isLog = isX ? chart.logX : chart.logY;
    const splits = isLog ? { splits: (plot, place, low, high) => ticks(low, high), filter: (plot, found) => found } : {};
    return {
      ...splits, incrs: isX && chart.whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500] : undefined,
      stroke: () => colour("--soft"), grid: { stroke: () => colour("--rule"), width: 1, filter: (plot, found) => found },
      ticks: { stroke: () => colour("--rule"), width: 1, filter: (plot, found) => found }, font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif", labelSize: 20, size: isX ? 34 : 52,
      label: isX ? chart.xLabel : chart.yLabel,
      values: (plot, found) => found.map((value) => (value === null ? "" : values(value))),
    };
  }

  // Ticks of a logarithmic axis: every power of ten, of a short one also what lies between.
  function ticks(low, high) {
    const decades = Math.log10(high / low);
    const between = decades < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 1.5 ? [1, 2, 5] : decades < 2.5 ? [1, 3] : [1];
    const step = Math.max(1, Math.ceil(decades / 6));
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      if (power % step === 0) found.push(...between.map((first) => first * 10 ** power));
    }
    return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  }

  // As the static figures have it: all lines that are shown, of bands what lies near.
  function yRange(chart, plot) {
    if (chart.wholeShare) return [-0.02, 1.02];
    const shown = chart.series.filter((line, at) => plot.series[3 * at + 1].show);
    const values = shown.flatMap((line) => line.y).filter((value) => value !== null);
    if (!values.length) return chart.logY ? [0.1, 1] : [0, 1];
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
    if (chart.logY) return [low / 1.5, high * 1.5];
    const room = 0.15 * (high - low) || 0.02;
    const ends = chart.percent && low >= 0 && high <= 1 ? [-room / 8, 1 + room / 8] : [-Infinity, Infinity];
    return [Math.max(ends[0], low - room), Math.min(ends[1], high + room)];
  }

  function point(chart, plot, tip) {
    const near = nearest(chart, plot);
    if (!near) { tip.style.display = "none"; return; }
    const { x, y, low, high, left, top, alike } = near;
    const write = chart.percent ? shares : short;
    const ends = low !== undefined && low !== null && high !== null ? ` [${write(low)}, ${write(high)}]` : "";
    tip.replaceChildren();
    const name = document.createElement("b");
    name.textContent = alike.slice(0, 4).map((each) => each.name).join(", ") + (alike.length > 4 ? ` and ${alike.length - 4} more` : "");
    tip.append(name, document.createElement("br"), `${write(y)}${ends} at ${short(x)}`);
    tip.style.display = "block";
    const room = plot.over.clientWidth;
    tip.style.left = `${Math.max(0, Math.min(left + plot.over.offsetLeft + 10, room + plot.over.offsetLeft - tip.offsetWidth))}px`;
    tip.style.top = `${top + plot.root.offsetTop + plot.over.offsetTop + 12}px`;
  }

  // The shown line that passes nearest to the pointer, at its own points.
  function nearest(chart, plot) {
    const { left, top } = plot.cursor;
    if (left === undefined || left < 0 || top < 0) return null;
    let best = null, least = 40;
    const found = [];
    chart.series.forEach((line, place) => {
      if (!plot.series[3 * place + 1].show) return;
      for (const at of around(line.x, plot.posToVal(left, "x"), chart.stepped || line.level)) {
        if (line.y[at] === null || line.y[at] === undefined) continue;
        const px = line.level || chart.stepped ? left : plot.valToPos(line.x[at], "x");
        const py = plot.valToPos(line.y[at], "y");
        const far = Math.hypot((px - left) / 3, py - top);
        found.push({ line, far, px, py });
        if (far < least) {
          least = far;
          const ends = line.low ? { low: line.low[at], high: line.high[at] } : {};
          best = { line, x: line.x[at], y: line.y[at], left: px, top: py, ...ends };
        }
      }
    });
    if (best) {
      const here = found.filter(({ px, py }) => Math.abs(px - best.left) < 1 && Math.abs(py - best.top) < 1);
      best.alike = [...new Set(here.map(({ line }) => line))];
    }
    return best;
  }

  function around(xs, x, before) {
    let at = 0;
    while (at < xs.length - 1 && xs[at + 1] <= x) at += 1;
    return before || at === xs.length - 1 ? [at] : [at, at + 1];
  }

  // All of a figure's charts have their places before the first one measures its own.
  function holderOf(chart, box) {
    const holder = document.createElement("div");
    holder.className = "chart";
    const title = document.createElement("h3");
    title.textContent = chart.title;
    const tip = document.createElement("div");
    tip.className = "tip";
    holder.append(title, tip);
    box.append(holder);
    return holder;
  }

  // What each line is called, once for all charts of a figure: a click hides it everywhere.
  function legendOf(charts) {
    const legend = document.createElement("div");
    legend.className = "legend";
    const lines = new Map(charts.flatMap((chart) => chart.series).map((line) => [line.method, line]));
    for (const line of lines.values()) {
      const entry = document.createElement("button");
      entry.type = "button";
      entry.dataset.method = line.method;
      entry.append(pickOf(line.method).parentElement.querySelector(".key").cloneNode(true), line.name);
      entry.addEventListener("click", () => { pickOf(line.method).click(); stress(charts, null); });
      for (const [event, isNear] of [["mouseenter", true], ["mouseleave", false], ["focus", true], ["blur", false]]) {
        entry.addEventListener(event, () => {
          const isMeant = isNear && (event !== "focus" || entry.matches(":focus-visible"));
          stress(charts, isMeant && pickOf(line.method).checked ? line.method : null);
        });
      }
      legend.append(entry);
    }
    return legend;
  }

  // Let one line and its band stand out of its charts, or none.
  function stress(charts, method) {
    for (const { chart, plot } of drawn) {
      if (!charts.includes(chart)) continue;
      const at = method === null ? -1 : chart.series.findIndex((line) => line.method === method);
      plot.series.forEach((line, place) => { line.alpha = at < 0 || Math.floor((place - 1) / 3) === at ? 1 : 0.2; });
      plot.redraw(false);
    }
  }

  function draw(chart, holder) {
    const tip = holder.querySelector(".tip");
    const options = {
      width: Math.max(200, holder.clientWidth), height: 280,
      scales: {
        x: { time: false, distr: chart.logX ? 3 : 1, range: (plot, low, high) => (low < high ? [low, high] : [low / 2, high * 2]) },
        y: { distr: chart.logY ? 3 : 1, range: (plot) => yRange(chart, plot) },
      },
      series: lines(chart), bands: bands(chart), axes: [axis(chart, true), axis(chart, false)],
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      legend: { show: false },
      hooks: { setCursor: [(plot) => point(chart, plot, tip)] },
    };
    const plot = new uPlot(options, table(chart), holder);
    drawn.push({ chart, plot, holder });
    // Its place may change with the window, with what is folded, with the text's size.
    new ResizeObserver(() => {
      const width = Math.max(200, holder.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height: plot.height });
    }).observe(holder);
  }

  const boxes = [...document.querySelectorAll(".charts")];
  // Charts are drawn when they come into sight: a long page opens at once.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      const charts = figures[entry.target.dataset.figure];
      const holders = charts.map((chart) => holderOf(chart, entry.target));
      charts.forEach((chart, at) => draw(chart, holders[at]));
      entry.target.after(legendOf(charts));
      pick();
    }
  }, { rootMargin: "600px" });
  for (const each of boxes) {
    each.style.minHeight = "300px";
    seen.observe(each);
  }

  const picks = [...document.querySelectorAll(".chips input")];
  const pickOf = (method) => picks.find((each) => each.dataset.method === String(method));
  function pick() {
    const off = new Set(picks.filter((box) => !box.checked).map((box) => box.dataset.method));
    document.getElementById("shown").textContent = `${picks.length - off.size} of ${picks.length}`;
    for (const row of document.querySelectorAll("tr[data-method], g[data-method]")) {
      row.classList.toggle("off", off.has(row.dataset.method));
    }
    for (const entry of document.querySelectorAll(".legend button")) {
      entry.setAttribute("aria-pressed", String(!off.has(entry.dataset.method)));
    }
    for (const { chart, plot } of drawn) {
      plot.batch(() => chart.series.forEach((line, place) => {
        const show = !off.has(String(line.method));
        for (const at of [1, 2, 3]) {
          if (plot.series[3 * place + at].show !== show) plot.setSeries(3 * place + at, { show });
        }
      }));
    }
  }
  document.getElementById("picker").addEventListener("change", pick);
  for (const button of document.querySelectorAll("[data-pick]")) {
    button.addEventListener("click", () => {
      const labels = picks.filter((box) => !box.parentElement.classList.contains("off"));
      for (const box of labels) box.checked = button.dataset.pick === "all";
      pick();
    });
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const sought = event.target.value.toLowerCase();
    for (const box of picks) {
      const label = box.parentElement;
      label.classList.toggle("off", !label.textContent.toLowerCase().includes(sought));
    }
  });

  function sort(head, at) {
    const body = head.closest("table").tBodies[0];
    const isDown = head.getAttribute("aria-sort") === "ascending";
    const isNumber = head.classList.contains("number");
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const value = (text) => (text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text));
    const order = (first, second) => (isNumber ? (value(first) > value(second)) - (value(first) < value(second)) : first.localeCompare(second));
    const rows = [...body.rows].map((row) => [row.cells[at].dataset.sort, row]);
    rows.sort(([first], [second]) => {
      if (first === "" || second === "") return (first === "") - (second === "");
      return isDown ? order(second, first) : order(first, second);
    });
    body.append(...rows.map(([, row]) => row));
  }
  for (const head of document.querySelectorAll("thead th")) {
    head.firstElementChild.addEventListener("click", () => sort(head, head.cellIndex));
  }

  dark.addEventListener("change", () => drawn.forEach(({ plot }) => plot.redraw()));
  pick();
})();
