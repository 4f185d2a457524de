"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#3478c8", "#d9772e", "#2f9e6e", "#b8459a", "#7e64c9", "#a8861f", "#cf4a5e", "#3f9fb3"];
const reading = v => v === 0 ? "0" : Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5 ? v.toExponential(1) : String(+v.toPrecision(4));

function make(name, attributes, parent, text) {
  const svg = ["svg", "g", "path", "line", "text", "rect", "clipPath", "circle"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function ticks(low, high, count) {
  const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * size).find(s => s >= raw), found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step || 0);
  return found;
}

function range(series, lines) {
  // Of a curve with a band, both of its edges.
  const edges = s => s.y.flatMap((y, j) => y === null ? [] : s.se && s.se[j] !== null ? [y - s.se[j], y + s.se[j]] : [y]);
  const values = series.flatMap(edges).sort((a, b) => a - b);
  if (!values.length) return [0, 1, false];
  const at = share => values[Math.min(values.length - 1, Math.floor(share * values.length))];
  const reach = 3 * (at(.98) - at(.02)), refs = lines.map(l => l.y);
  // A few peaks must not flatten everything else.
  const top = reach > 0 ? Math.min(at(1), at(.98) + reach) : at(1), bottom = reach > 0 ? Math.max(at(0), at(.02) - reach) : at(0);
  const high = Math.max(top, ...refs), low = Math.min(bottom, high > 0 && bottom === high ? 0 : bottom, ...refs);
  const room = (high - low || 1) * .06;
  return [low >= 0 && low < (high - low) * .5 ? 0 : low - room, high + room, top < at(1) || bottom > at(0)];
}

function outline(xs, ys, X, Y) {
  let path = "", pen = "M";
  xs.forEach((x, i) => {
    if (ys[i] === null) { pen = "M"; return; }
    path += pen + X(x).toFixed(1) + "," + Y(ys[i]).toFixed(1);
    pen = "L";
  });
  return path;
}

function swatch(key, stroke, dashes) {
  const line = make("svg", { viewBox: "0 0 22 4", "aria-hidden": "true" });
  make("line", { x1: 0, x2: 22, y1: 2, y2: 2, style: `stroke:${stroke};stroke-width:2.4;stroke-dasharray:${dashes}` }, line);
  key.prepend(line);
}

function draw(host, spec, off) {
  host.replaceChildren();
  const W = Math.max(300, host.clientWidth || 540), H = Math.round(Math.max(220, Math.min(360, W * .42)));
  const groups = [...new Set(spec.series.map((s, i) => s.group ?? i))].sort((a, b) => a - b);
  const colour = (s, i) => COLOURS[(s.group ?? i) % COLOURS.length];
  const shown = spec.series.filter((s, i) => !off.has(i));
  make("h3", {}, host, spec.title);
  // Seeds of one setting share its colour, and differ by their dashes.
  const dash = (s, i) => ["none", "7 3", "2 3", "9 3 2 3"][spec.series.slice(0, i).filter(t => s.group !== undefined && t.group === s.group).length % 4];
  const keys = make("div", { class: "keys" }, host), several = spec.series.length > 1;
  if (several) spec.series.forEach((s, i) => {
    const key = make("button", { type: "button", class: "key", "aria-pressed": !off.has(i) }, keys, s.name);
    swatch(key, colour(s, i), dash(s, i));
    key.addEventListener("click", () => {
      off.has(i) ? off.delete(i) : off.add(i);
      draw(host, spec, off);
      host.querySelectorAll(".key")[i].focus();
    });
  });
  // The dashed lines are named here, where no curve crosses their names; those of several curves have their colours.
  for (const label of new Set(spec.lines.map(line => line.label))) {
    const same = spec.lines.filter(line => line.label === label), each = several && same.some(line => spec.series.some(s => s.name === line.of));
    swatch(make("span", { class: "key" }, keys, each ? label + ", in each curve's colour" : `${label} (${same.map(line => reading(+line.y.toPrecision(3))).join(", ")})`), "var(--ink)", "5 4");
  }
  if (spec.series.some(s => s.se)) swatch(make("span", { class: "key" }, keys, "band: ± one standard error over samples"), "color-mix(in srgb, var(--ink) 25%, transparent)", "none");
  const last = s => s.y.filter(v => v !== null).at(-1);
  const words = spec.title + ": " + spec.series.map(s => s.name + " ends at " + reading(last(s) ?? NaN)).join(", ");
  const svg = make("svg", { class: "plot", viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": words }, host);
  const left = 52, right = 22, top = 12, bottom = 26, [low, high, cut] = range(shown, spec.lines);
  const end = Math.max(1, ...shown.map(s => s.x.at(-1))), begin = Math.min(end - 1, ...shown.map(s => s.x[0]), 0);
  const X = x => left + (x - begin) / (end - begin) * (W - left - right);
  const Y = y => H - bottom - (y - low) / (high - low) * (H - top - bottom);
  for (const y of ticks(low, high, 5)) {
    make("line", { class: "grid", x1: left, x2: W - right, y1: Y(y), y2: Y(y) }, svg);
    make("text", { x: left - 7, y: Y(y) + 4, "text-anchor": "end" }, svg, reading(+y.toPrecision(10)));
  }
  for (const x of ticks(begin, end, Math.min(8, W / 90)).filter(Number.isInteger))
    make("text", { x: X(x), y: H - 8, "text-anchor": "middle" }, svg, x.toLocaleString("en"));
  const id = "clip" + Math.random().toString(36).slice(2), clip = make("clipPath", { id }, svg);
  make("rect", { x: left - 4, y: top - 4, width: W - left - right + 8, height: H - top - bottom + 8 }, clip);
  const inside = make("g", { "clip-path": `url(#${id})` }, svg);
  spec.series.forEach((s, i) => {
    if (off.has(i)) return;
    if (s.se) {
      const some = s.x.map((x, j) => j).filter(j => s.y[j] !== null && s.se[j] !== null);
      const xs = some.map(j => s.x[j]), up = some.map(j => s.y[j] + s.se[j]), down = some.map(j => s.y[j] - s.se[j]);
      if (some.length > 1) make("path", { d: outline([...xs, ...[...xs].reverse()], [...up, ...down.reverse()], X, Y) + "Z", fill: colour(s, i), opacity: .18 }, inside);
    }
    make("path", { class: "curve", d: outline(s.x, s.y, X, Y), stroke: colour(s, i), "stroke-dasharray": dash(s, i) }, inside);
    if (s.x.length <= 30) s.x.forEach((x, j) => s.y[j] !== null && make("circle", { cx: X(x), cy: Y(s.y[j]), r: 2.6, fill: colour(s, i) }, inside));
  });
  for (const line of spec.lines) {
    const i = spec.series.findIndex(s => s.name === line.of), own = i < 0 || !several ? "" : "stroke:" + colour(spec.series[i], i);
    if (!off.has(i)) make("line", { class: "ref", style: own, x1: left, x2: W - right, y1: Y(line.y), y2: Y(line.y) }, svg);
  }
  if (cut) make("text", { x: left + 4, y: top + 6 }, svg, "peaks beyond the frame are cut");
  hover(host, svg, spec, off, { X, Y, W, H, left, right, top, bottom, begin, end, colour });
}

function hover(host, svg, spec, off, at) {
  const rule = make("line", { class: "ref", y1: at.top, y2: at.H - at.bottom, visibility: "hidden" }, svg);
  const tip = make("div", { class: "tip", hidden: "" }, host);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), px = (event.clientX - box.left) / box.width * at.W;
    const step = at.begin + (px - at.left) / (at.W - at.left - at.right) * (at.end - at.begin);
    if (step < at.begin || step > at.end) { tip.hidden = true; rule.setAttribute("visibility", "hidden"); return; }
    tip.replaceChildren();
    let nearest = null;
    spec.series.forEach((s, i) => {
      if (off.has(i)) return;
      let best = -1;
      s.x.forEach((x, j) => { if (s.y[j] !== null && (best < 0 || Math.abs(x - step) < Math.abs(s.x[best] - step))) best = j; });
      if (best < 0) return;
      if (nearest === null || Math.abs(s.x[best] - step) < Math.abs(nearest - step)) nearest = s.x[best];
      const row = make("div", {}, tip);
      make("span", { style: "color:" + at.colour(s, i) }, row, "● ");
      row.append(`${s.name} ${reading(s.y[best])}`);
    });
    if (nearest === null) return;
    tip.prepend(make("b", {}, null, "step " + nearest.toLocaleString("en")));
    tip.hidden = false;
    rule.setAttribute("visibility", "visible");
    rule.setAttribute("x1", at.X(nearest));
    rule.setAttribute("x2", at.X(nearest));
    const x = at.X(nearest) / at.W * box.width, flip = x > box.width * .6;
    tip.style.left = (flip ? x - tip.offsetWidth - 12 : x + 12) + "px";
    tip.style.top = (svg.offsetTop || host.querySelector("h3").offsetHeight + 30) + 8 + "px";
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; rule.setAttribute("visibility", "hidden"); });
}

function place(host, spec) {
  const off = new Set();
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth && host.clientWidth !== width) { width = host.clientWidth; draw(host, spec, off); }
  }).observe(host);
}

for (const host of document.querySelectorAll("[data-chart]")) place(host, data.charts[host.dataset.chart]);

for (const host of document.querySelectorAll("[data-pick]")) {
  const label = make("label", {}, null, "Show "), pick = make("select", {}, label), inner = make("div", { class: "chart" });
  for (const tag of Object.keys(data.tags)) make("option", { value: tag }, pick, tag);
  host.append(label, inner);
  let off = new Set(), width = 0;
  const again = () => draw(inner, data.tags[pick.value], off);
  pick.addEventListener("change", again);
  new ResizeObserver(() => { if (inner.clientWidth !== width) { width = inner.clientWidth; again(); } }).observe(inner);
}

for (const figure of document.querySelectorAll(".player")) {
  const slider = figure.querySelector("input"), out = figure.querySelector("output"), button = figure.querySelector(".play");
  const images = [...figure.querySelectorAll("img[data-what]")], runs = data.players.filter(shots => shots.length);
  const steps = [...new Set(runs.flatMap(shots => shots.map(shot => shot[0])))].sort((a, b) => a - b);
  const show = () => {
    const step = steps[slider.value];
    images.forEach((image, i) => {
      const [at, source] = runs[i].filter(shot => shot[0] <= step).at(-1) || runs[i][0];
      image.src = source;
      image.alt = `${image.dataset.what} at step ${at.toLocaleString("en")}`;
    });
    out.textContent = "step " + step.toLocaleString("en");
    slider.setAttribute("aria-valuetext", out.textContent);
  };
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "▶"; button.setAttribute("aria-label", "play"); };
  slider.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (+slider.value === steps.length - 1) slider.value = 0;
    show();
    button.textContent = "❚❚";
    button.setAttribute("aria-label", "pause");
    timer = setInterval(() => {
      if (+slider.value >= steps.length - 1) return stop();
      slider.value = +slider.value + 1;
      show();
    }, Math.max(80, 4000 / steps.length));
  });
  show();
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const text = row => row.cells[column].textContent, rows = [...body.rows];
    const full = rows.filter(row => text(row) !== ""), numeric = full.every(row => !Number.isNaN(parseFloat(text(row))));
    const order = (a, b) => numeric ? parseFloat(text(a)) - parseFloat(text(b)) : text(a).localeCompare(text(b), "en", { numeric: true });
    full.sort((a, b) => down ? order(b, a) : order(a, b));
    body.append(...full, ...rows.filter(row => text(row) === ""));
  }));
}
