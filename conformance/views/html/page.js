"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const STEP = 50;
  const filters = { target: "", op: "", dtype: "", verdict: "", text: "" };
  const colours = ["#3b76d6", "#e07b39", "#3aa17e", "#b65fc2", "#c9a227", "#5bb5d1", "#d1527c", "#8a8f98"];
  const colour = Object.fromEntries(data.targets.map((t, i) => [t, colours[i % colours.length]]));

  function wanted(o) {
    return ["target", "op", "dtype"].every((k) => !filters[k] || o[k] === filters[k]);
  }

  // --- what is in the page already ---
  function filterPage() {
    const text = filters.text.toLowerCase();
    let shown = 0;
    for (const card of document.querySelectorAll(".item")) {
      const d = card.dataset;
      const fits = (k) => !filters[k] || (d[k] || "").split("|").includes(filters[k]);
      card.hidden = !(["target", "op", "dtype", "verdict"].every(fits) && (!text || card.textContent.toLowerCase().includes(text)));
      shown += !card.hidden;
    }
    for (const row of document.querySelectorAll(".matrix tbody tr")) {
      let any = false;
      for (const cell of row.querySelectorAll("td")) {
        const has = !filters.verdict || cell.dataset.verdict.split(" ").includes(filters.verdict);
        any = any || (has && (!filters.target || cell.dataset.target === filters.target));
        cell.style.opacity = has ? "" : "0.25";
      }
      row.hidden = !any || (filters.op && row.dataset.op !== filters.op) || (filters.dtype && row.dataset.dtype !== filters.dtype);
    }
    for (const cell of document.querySelectorAll(".matrix [data-target]")) {
      cell.hidden = Boolean(filters.target) && cell.dataset.target !== filters.target;
    }
    return shown;
  }

  // --- the list of observations: text only, whatever it says ---
  let limit = STEP;
  function list() {
    const text = filters.text.toLowerCase();
    const found = data.observations.filter((o) => {
      return wanted({ target: o[1], op: o[7], dtype: o[8] }) && (!filters.verdict || o[0] === filters.verdict) &&
        (!text || o.some((v) => String(v).toLowerCase().includes(text)));
    });
    const body = $("list").tBodies[0];
    body.replaceChildren(...found.slice(0, limit).map((o) => {
      const row = document.createElement("tr");
      o.slice(0, 6).forEach((value, i) => {
        const cell = document.createElement("td");
        if (i === 0) {
          const badge = document.createElement("span");
          badge.className = `badge v-${value}`;
          badge.textContent = value;
          cell.append(badge);
        } else cell.textContent = value;
        row.append(cell);
      });
      return row;
    }));
    const rest = data.unlisted ? ` The page lists the first ${data.observations.length}; the record has ${data.unlisted} more.` : "";
    $("shown").textContent = `${Math.min(limit, found.length)} of ${found.length} shown.${rest}`;
    $("more").hidden = found.length <= limit;
    return found.length;
  }

  // --- plots ---
  const layout = (more) => ({
    margin: { l: 52, r: 10, t: 46, b: 70 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { size: 11 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hovermode: "closest", dragmode: false, ...more,
  });
  const config = { responsive: true, displayModeBar: false };
  const one = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: { color: "#cc3d3d", width: 1, dash: "dot" } };

  function boxes(id, key, floor, axis, shapes) {
    const cells = data.accuracy.filter((c) => wanted(c) && c[key].length);
    const top = Math.max(1, ...cells.map((c) => Math.ceil(Math.log10(Math.max(floor, c[key][4])))));
    axis.range = [Math.log10(floor), top + 0.2];
    const traces = data.targets.filter((t) => cells.some((c) => c.target === t)).map((t) => {
      const mine = cells.filter((c) => c.target === t);
      const at = (i) => mine.map((c) => Math.max(floor, c[key][i]));
      return {
        type: "box", orientation: "v", name: t,
        x: mine.map((c) => `${c.op} ${c.dtype.replace("bfloat", "bf").replace("float", "f")}`),
        lowerfence: at(0), q1: at(1), median: at(2), q3: at(3), upperfence: at(4),
        marker: { color: colour[t] }, line: { width: 1.2 },
      };
    });
    Plotly.react(id, traces, layout({ boxmode: "group", yaxis: axis, xaxis: { type: "category", tickangle: -45, automargin: true }, shapes }), config);
  }

  // Bins stand side by side in the order of their inputs, which span more powers of two than an axis shows.
  function map() {
    const swept = data.errors.filter((e) => wanted(e) && e.points.length);
    const text = (v) => Number(v.toPrecision(4)).toString();
    const places = [...new Set(swept.flatMap((e) => e.points.map((p) => p[0])))].sort((a, b) => a - b);
    const at = new Map(places.map((low, i) => [low, i]));
    const step = Math.max(1, Math.floor(places.length / 12));
    const ticks = places.map((_, i) => i).filter((i) => i % step === 0);
    const traces = swept.map((e) => ({
      type: "scatter", mode: "markers", name: `${e.target} ${e.op} ${e.dtype} ${e.output}`,
      x: e.points.map((p) => at.get(p[0])), y: e.points.map((p) => Math.max(0.01, p[2])), marker: { size: 4, opacity: 0.7 },
      text: e.points.map((p) => `${e.swept} ${text(p[0])} to ${text(p[1])}<br>${text(p[2])} ulp, share ${text(p[3])}`), hovertemplate: "%{text}",
    }));
    const inputs = [...new Set(swept.map((e) => e.swept))].join(", ");
    Plotly.react("plot-map", traces, layout({ showlegend: traces.length <= 12, xaxis: { title: { text: inputs }, tickvals: ticks, ticktext: ticks.map((i) => text(places[i])), tickangle: -45, automargin: true }, yaxis: { title: { text: "ulp" }, type: "log", exponentformat: "power", range: [-2, 4] } }), config);
  }

  // What a loss takes beyond its inputs: flat where only the other axis counts.
  function memory(id, axis, title) {
    const grown = data.memory.filter(wanted);
    const dashes = { value: "solid", vjp: "dash" };
    const traces = grown.map((m) => ({
      type: "scatter", mode: "lines+markers", name: `${m.target} ${m.op} ${m.dtype} ${m.output}${m.grade ? `: ${m.grade}` : ""}`,
      x: m[axis].map((p) => p[0]), y: m[axis].map((p) => p[1]), marker: { color: colour[m.target], size: 5 },
      line: { width: 1.2, color: colour[m.target], dash: dashes[m.output] || "dot" }, hovertemplate: `%{x} ${title}: %{y:.4g} MiB`,
    }));
    Plotly.react(id, traces, layout({ showlegend: traces.length <= 12, xaxis: { type: "log", title: { text: title } }, yaxis: { title: { text: "MiB" }, type: "log", exponentformat: "power" } }), config);
  }

  function draw() {
    boxes("plot-share", "share", 1e-4, { title: { text: "share of the bound" }, type: "log", exponentformat: "power" }, [one]);
    boxes("plot-ulp", "ulp", 0.01, { title: { text: "ulp" }, type: "log", exponentformat: "power" }, []);
    const cells = data.accuracy.filter(wanted);
    const several = data.targets.filter((t) => cells.some((c) => c.target === t));
    const names = data.edges.map((e, i) => (i ? `${(10 ** data.edges[i - 1]).toPrecision(2)} to ${(10 ** e).toPrecision(2)}` : `below ${(10 ** e).toPrecision(2)}`));
    names.push(`above ${(10 ** data.edges[data.edges.length - 1]).toPrecision(2)}`);
    const bars = several.map((t) => {
      const mine = cells.filter((c) => c.target === t);
      const counts = names.map((_, i) => mine.reduce((n, c) => n + c.histogram[i], 0));
      const all = counts.reduce((a, b) => a + b, 0) || 1;
      return { type: "bar", name: t, x: names, y: counts.map((n) => (100 * n) / all), customdata: counts,
        hovertemplate: "%{x}: %{customdata} outputs (%{y:.2f} %)", marker: { color: colour[t] } };
    });
    Plotly.react("plot-histogram", bars, layout({ barmode: "group", yaxis: { title: { text: "% of outputs" } }, xaxis: { tickangle: -45, nticks: 8, automargin: true } }), config);
    const lines = several.map((t) => {
      const worst = new Map();
      for (const c of cells) if (c.target === t) for (const [k, , share] of c.classes) worst.set(k, Math.max(worst.get(k) || 0, share));
      const ks = [...worst.keys()].sort((a, b) => a - b);
      return { type: "scatter", mode: "lines+markers", name: t, x: ks, y: ks.map((k) => Math.max(1e-4, worst.get(k))),
        marker: { color: colour[t], size: 5 }, line: { width: 1, color: colour[t] }, hovertemplate: "K = %{x}: %{y:.3g}" };
    });
    Plotly.react("plot-classes", lines, layout({ xaxis: { type: "log", title: { text: "classes K" } }, yaxis: { title: { text: "worst share" }, type: "log", exponentformat: "power", dtick: 1, range: [-4.2, Math.max(1, ...lines.flatMap((l) => l.y.map((y) => Math.ceil(Math.log10(y))))) + 0.2] }, shapes: [one] }), config);
    if ($("plot-map")) map();
    if ($("plot-memory-classes")) {
      memory("plot-memory-classes", "classes", "classes K");
      memory("plot-memory-rows", "rows", "rows N");
    }
    document.documentElement.dataset.drawn = "yes";
  }

  // The plotting library is large: it is run when the page is there to be read. Its text is in the page, and its
  // digest in the page's policy.
  function plot() {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = $("plotting").textContent;
      document.head.append(script);
    }
    draw();
  }

  // The address keeps the filters, behind its #: a copied address shows what its sender saw.
  function keep() {
    const chosen = new URLSearchParams(Object.entries(filters).filter(([, v]) => v));
    const now = location.hash.slice(1);
    if (String(chosen) || now.includes("=")) history.replaceState(null, "", `#${chosen}`);
  }
  function recall() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return;
    const chosen = new URLSearchParams(hash);
    for (const k of Object.keys(filters)) filters[k] = chosen.get(k) || "";
    for (const select of document.querySelectorAll("select[data-filter]")) {
      const k = select.dataset.filter;
      if (![...select.options].some((o) => o.value === filters[k])) filters[k] = "";
      select.value = filters[k];
    }
    $("search").value = filters.text;
  }

  let queued = false;
  function update() {
    const cards = filterPage();
    limit = STEP;
    const observations = list();
    keep();
    const several = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
    $("hits").value = `${several(observations, "observation")}, ${several(cards, "finding")}`;
    if (!queued) {
      queued = true;
      requestAnimationFrame(() => setTimeout(() => { queued = false; plot(); }));
    }
  }

  for (const select of document.querySelectorAll("select[data-filter]")) {
    select.addEventListener("change", () => { filters[select.dataset.filter] = select.value; update(); });
  }
  $("search").addEventListener("input", (e) => { filters.text = e.target.value; update(); });
  $("filters").addEventListener("submit", (e) => e.preventDefault());
  $("filters").addEventListener("reset", () => { for (const k of Object.keys(filters)) filters[k] = ""; setTimeout(update); });
  $("more").addEventListener("click", () => { limit += STEP; list(); });

  // --- copy, theme ---
  document.addEventListener("click", async (e) => {
    if (!e.target.matches(".copy")) return;
    const text = e.target.parentElement.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      e.target.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(e.target.parentElement.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      e.target.textContent = "Selected";
    }
    setTimeout(() => { e.target.textContent = "Copy"; }, 1500);
  });
  const root = document.documentElement;
  const kept = { get: () => { try { return localStorage.getItem("lossproof-theme"); } catch { return null; } },
    set: (v) => { try { localStorage.setItem("lossproof-theme", v); } catch { /* a page opened as a file may have no storage */ } } };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    kept.set(root.dataset.theme);
  });
  addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); update(); } });
  recall();
  update();
})();
