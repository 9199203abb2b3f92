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
      .map((line, at) => ({ series: [3 * at + 3, 3 * at + 2], fill: line.colour + "26", at, has: !!line.low }))
      .filter((band) => band.has)
      .map(({ series, fill }) => ({ series, fill }));
  }

  function axis(chart, isX) {
    const values = !isX && chart.percent ? shares : short;
    return {
      stroke: () => colour("--soft"), grid: { stroke: () => colour("--rule"), width: 1 },
      ticks: { stroke: () => colour("--rule"), width: 1 }, font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif", labelSize: 20, size: isX ? 34 : 52,
      label: isX ? chart.xLabel : chart.yLabel,
      values: (plot, splits) => splits.map((value) => (value === null ? "" : values(value))),
    };
  }

  function point(chart, plot, tip) {
    const near = nearest(chart, plot);
    if (!near) { tip.style.display = "none"; return; }
    const { line, x, y, low, high, left, top } = near;
    const write = chart.percent ? shares : short;
    const ends = low !== undefined && low !== null && high !== null ? ` [${write(low)}, ${write(high)}]` : "";
    tip.replaceChildren();
    const name = document.createElement("b");
    name.textContent = line.name;
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
    chart.series.forEach((line, place) => {
      if (!plot.series[3 * place + 1].show) return;
      for (const at of around(line.x, plot.posToVal(left, "x"), chart.stepped || line.level)) {
        if (line.y[at] === null || line.y[at] === undefined) continue;
        const px = line.level || chart.stepped ? left : plot.valToPos(line.x[at], "x");
        const py = plot.valToPos(line.y[at], "y");
        const far = Math.hypot((px - left) / 3, py - top);
        if (far < least) {
          least = far;
          const ends = line.low ? { low: line.low[at], high: line.high[at] } : {};
          best = { line, x: line.x[at], y: line.y[at], left: px, top: py, ...ends };
        }
      }
    });
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

  function draw(chart, holder) {
    const tip = holder.querySelector(".tip");
    const options = {
      width: Math.max(240, holder.clientWidth), height: 280,
      scales: { x: { time: false, distr: chart.logX ? 3 : 1 }, y: { distr: chart.logY ? 3 : 1, range: chart.yRange ? () => chart.yRange : undefined } },
      series: lines(chart), bands: bands(chart), axes: [axis(chart, true), axis(chart, false)],
      cursor: { drag: { x: true, y: true, uni: 20 }, points: { show: false } },
      legend: { show: false },
      hooks: { setCursor: [(plot) => point(chart, plot, tip)] },
    };
    const plot = new uPlot(options, table(chart), holder);
    drawn.push({ chart, plot, holder });
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
      pick();
    }
  }, { rootMargin: "600px" });
  for (const box of boxes) {
    box.style.minHeight = "300px";
    seen.observe(box);
  }

  const picks = [...document.querySelectorAll(".chips input")];
  function pick() {
    const off = new Set(picks.filter((box) => !box.checked).map((box) => box.dataset.method));
    document.getElementById("shown").textContent = `${picks.length - off.size} of ${picks.length}`;
    for (const row of document.querySelectorAll("tr[data-method], g[data-method]")) {
      row.classList.toggle("off", off.has(row.dataset.method));
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

  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const { plot, holder } of drawn) plot.setSize({ width: Math.max(240, holder.clientWidth), height: 280 });
    }, 100);
  });
  dark.addEventListener("change", () => drawn.forEach(({ plot }) => plot.redraw()));
  pick();
})();
