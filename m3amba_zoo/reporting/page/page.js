"use strict";
// Unpacks the data of the page and shows it: a map viewer with layers, and Plotly's charts.
const byId = id => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const data = JSON.parse(byId("data").textContent);
const CIVIDIS = [[0, 34, 78], [66, 78, 108], [124, 123, 120], [187, 173, 108], [254, 232, 56]];
const CHART = {displayModeBar: false, responsive: true};
const MOST_BARS = 6, CURVE_BANDS = 4, DIM = 0.12, CLOSEST = 40, LOWEST = 280, HIGHEST = 560, FLAT = 2.5;

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
const bytes = async text => new Uint8Array(await unpack(text));
const words = async text => new Uint16Array(await unpack(text)); // little-endian, as every browser's machine

function rgb(color) {
  const value = parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
function ramp(share) {
  const place = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const left = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[left].map((value, channel) => value + (CIVIDIS[left + 1][channel] - value) * (place - left));
}
const number = value => {
  const size = Math.abs(value);
  return size !== 0 && (size < 0.01 || size >= 1e6) ? value.toExponential(2) : String(+value.toPrecision(5));
};

const view = {picture: 0, background: 0, layer: 0, before: 0, opacity: 0.9, table: false, alone: 0,
  scale: 1, fit: 1, x: 0, y: 0, held: null};
const opened = new Map();

async function open(index) {
  if (!opened.has(index)) {
    const picture = data.pictures[index], samples = picture.samples;
    const planes = await Promise.all(picture.layers.map(layer => bytes(layer.plane)));
    let sample = null;
    if (samples && samples.count) {
      const numbers = async packed => ({...packed, values: await words(packed.values)});
      sample = {count: samples.count, x: await words(samples.x), y: await words(samples.y), spectra: {},
        probabilities: samples.probabilities && await numbers(samples.probabilities)};
      for (const [name, packed] of Object.entries(samples.spectra)) sample.spectra[name] = await numbers(packed);
    }
    const covered = planes.map(plane => plane.reduce((sum, value) => sum + (value > 0), 0) / plane.length);
    opened.set(index, {...picture, planes, covered, sample});
  }
  return opened.get(index);
}
const valueOf = (packed, row, band) => {
  const found = packed.values[row * packed.bands + band];
  return found === 65535 ? null : packed.low + found * packed.step;
};
const color = index => data.classes[index - 1][view.table ? "table" : "safe"];

// ------------------------------------------------------------------ the map
let shown = null; // the picture that is open
const stage = byId("stage"), over = byId("over"), back = byId("back"), cross = byId("cross");

function legendOf(layer) {
  if (layer.kind === "classes") return data.classes.map((entry, index) => ({name: entry.name, color: color(index + 1)}));
  return layer.kind === "codes" ? layer.legend : [];
}
function paint() {
  const layer = view.layer && shown.layers[view.layer - 1];
  over.style.opacity = layer ? view.opacity : 0;
  stage.classList.toggle("sparse", Boolean(layer) && shown.covered[view.layer - 1] < 0.5);
  if (!layer) return;
  const plane = shown.planes[view.layer - 1], context = over.getContext("2d");
  const image = context.createImageData(shown.width, shown.height);
  const colors = new Uint32Array(256), set = (index, parts, alpha) => {
    new Uint8Array(colors.buffer).set([...parts, alpha], 4 * index);
  };
  if (layer.kind === "scale") {
    for (let value = 1; value < 256; value++) set(value, ramp((value - 1) / layer.levels), 255);
  } else {
    legendOf(layer).forEach((entry, index) => {
      set(index + 1, rgb(entry.color), view.alone && view.alone !== index + 1 ? 255 * DIM : 255);
    });
  }
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < plane.length; index++) pixels[index] = colors[plane[index]];
  context.putImageData(image, 0, 0);
}
function drawLegend() {
  const layer = view.layer && shown.layers[view.layer - 1], legend = byId("legend");
  legend.replaceChildren();
  if (!layer) return;
  if (layer.kind === "scale") {
    const stops = CIVIDIS.map(parts => `rgb(${parts})`).join(", ");
    const bar = make("span", {className: "ramp"});
    bar.style.background = `linear-gradient(to right, ${stops})`;
    legend.append(layer.title + ":", " 0", bar, "1");
    return;
  }
  const counts = new Array(257).fill(0);
  for (const value of shown.planes[view.layer - 1]) counts[value]++;
  legendOf(layer).forEach((entry, index) => {
    const swatch = make("i", {className: "swatch"});
    swatch.style.background = entry.color;
    const item = make("span", {className: "entry", tabIndex: 0,
      title: `${counts[index + 1].toLocaleString("en")} pixels`}, swatch, entry.name);
    const alone = value => () => { view.alone = value; paint(); };
    item.onmouseenter = item.onfocus = alone(index + 1);
    item.onmouseleave = item.onblur = alone(0);
    legend.append(item);
  });
}
function place() {
  const moved = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  over.style.transform = back.style.transform = moved;
  back.style.imageRendering = over.style.imageRendering = view.scale < 1 ? "auto" : "pixelated";
  mark();
}
function mark() {
  const at = view.held || view.at;
  cross.style.display = at ? "block" : "none";
  if (!at) return;
  const side = Math.max(view.scale, 6), shift = (view.scale - side) / 2;
  Object.assign(cross.style, {width: side + "px", height: side + "px",
    left: view.x + at[0] * view.scale + shift + "px", top: view.y + at[1] * view.scale + shift + "px"});
}
function fit() {
  // little is said of a pixel without a sample: it needs no column of its own
  stage.closest(".panes").classList.toggle("flat", !shown.sample || shown.width > FLAT * shown.height);
  stage.style.height = Math.min(Math.max(stage.clientWidth * shown.height / shown.width, LOWEST), HIGHEST) + "px";
  const box = stage.getBoundingClientRect();
  view.fit = Math.min(box.width / shown.width, box.height / shown.height) * 0.98;
  view.scale = view.fit;
  view.x = (box.width - shown.width * view.scale) / 2;
  view.y = (box.height - shown.height * view.scale) / 2;
  place();
}
function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, view.fit / 2), CLOSEST);
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  place();
}
function chooseLayer(index) {
  const count = shown.layers.length + 1;
  if (index < 0 || index >= count) return;
  view.layer = index;
  view.alone = 0;
  [...byId("layers").children].forEach((button, position) => {
    button.setAttribute("aria-pressed", String((position + 1) % count === index));
  });
  paint();
  drawLegend();
}
function chooseBackground(index) {
  view.background = index;
  byId("background").value = String(index);
  const chosen = shown.backgrounds[index];
  back.style.display = chosen ? "block" : "none";
  if (chosen) back.src = chosen.source;
}
async function choosePicture(index) {
  shown = await open(index);
  view.picture = index;
  view.held = view.at = null;
  over.width = shown.width;
  over.height = shown.height;
  back.width = shown.width;
  back.height = shown.height;
  const buttons = [...shown.layers.map((layer, position) => [layer.name, position + 1]), ["none", 0]];
  byId("layers").replaceChildren(...buttons.map(([name, position]) => {
    const button = make("button", {type: "button"}, make("small", {}, position < 10 ? `${position} ` : ""), name);
    button.onclick = () => chooseLayer(position);
    return button;
  }));
  byId("background").replaceChildren(...shown.backgrounds.map((entry, position) => {
    return make("option", {value: String(position)}, entry.shows ? `${entry.name}: ${entry.shows}` : entry.name);
  }), make("option", {value: "-1"}, "none"));
  byId("background-label").hidden = !shown.backgrounds.length;
  chooseBackground(shown.backgrounds.length ? Math.min(view.background, shown.backgrounds.length - 1) : -1);
  chooseLayer(view.layer === null ? 1 : Math.min(view.layer, shown.layers.length));
  fit();
  const middle = [shown.width >> 1, shown.height >> 1], [sample] = nearest(...middle);
  view.at = sample < 0 ? middle : [shown.sample.x[sample], shown.sample.y[sample]];
  mark();
  tell(...view.at);
}

// ------------------------------------------------------------------ one pixel
function memberAt(x, y) {
  return shown.members.findLast(one => x >= one.x && y >= one.y && x < one.x + one.width && y < one.y + one.height);
}
function nameOf(x, y) {
  const one = memberAt(x, y);
  if (!one) return "between scenes";
  const several = data.pictures.length > 1 || shown.members.length > 1;
  const at = `row ${one.row + (y - one.y) * one.step}, column ${one.column + (x - one.x) * one.step}`;
  return several ? `${one.name}, ${at}` : at;
}
function nearest(x, y) {
  const sample = shown.sample;
  let best = -1, distance = Infinity;
  for (let index = 0; sample && index < sample.count; index++) {
    const across = sample.x[index] - x, down = sample.y[index] - y, found = across * across + down * down;
    if (found < distance) [best, distance] = [index, found];
  }
  return [best, Math.sqrt(distance)];
}
function textOf(layer, value) {
  if (!value) return "–";
  if (layer.kind === "scale") return ((value - 1) / layer.levels).toFixed(2);
  return legendOf(layer)[value - 1]?.name ?? `class ${value}`;
}
function tell(x, y) {
  byId("pixel").textContent = `This pixel: ${nameOf(x, y)}`;
  const rows = shown.layers.map((layer, index) => {
    const value = shown.planes[index][y * shown.width + x], cell = make("td");
    if (value && layer.kind !== "scale") {
      const swatch = make("i", {className: "swatch"});
      swatch.style.background = legendOf(layer)[value - 1]?.color;
      cell.append(swatch);
    }
    cell.append(textOf(layer, value));
    return make("tr", {}, make("th", {}, layer.name), cell);
  });
  byId("values").replaceChildren(make("table", {}, ...rows));
  const [sample, distance] = nearest(x, y), measured = [];
  byId("sample").hidden = sample < 0;
  if (sample >= 0) {
    const away = `${nameOf(shown.sample.x[sample], shown.sample.y[sample])} (${Math.max(distance, 1).toFixed(0)} px away)`;
    byId("near").textContent = `Nearest sampled pixel: ${distance === 0 ? "this one" : away}`;
    for (const [name, packed] of Object.entries(shown.sample.spectra)) {
      if (packed.bands >= CURVE_BANDS) continue;
      const values = Array.from({length: packed.bands}, (_, band) => valueOf(packed, sample, band));
      const told = values.map(value => value === null ? "missing" : number(value)).join(", ");
      measured.push(make("tr", {}, make("th", {}, name), make("td", {}, `${told} ${data.modalities[name].unit}`)));
    }
  }
  byId("measured").replaceChildren(make("table", {}, ...measured));
  tellProbabilities(sample);
  tellSpectra(sample);
}
function tellProbabilities(sample) {
  const packed = sample >= 0 && shown.sample.probabilities, bars = byId("bars");
  bars.replaceChildren();
  if (!packed) return;
  const all = data.classes.map((entry, index) => [entry.name, valueOf(packed, sample, index), color(index + 1)]);
  for (const [name, share, tint] of all.filter(entry => entry[1] !== null).sort((a, b) => b[1] - a[1]).slice(0, MOST_BARS)) {
    const bar = make("i");
    Object.assign(bar.style, {width: Math.max(100 * share, 1) + "%", background: tint});
    bars.append(make("div", {className: "probability"}, make("span", {title: name}, name), make("div", {}, bar),
      make("b", {}, (100 * share).toFixed(1) + " %")));
  }
}
function tellSpectra(sample) {
  if (sample < 0 || !window.Plotly) return;
  for (const [name, packed] of Object.entries(shown.sample.spectra)) {
    if (packed.bands < CURVE_BANDS) continue;
    const of = data.modalities[name], id = "spectrum-" + name;
    let plot = byId(id);
    if (!plot) byId("spectra").append(plot = make("div", {id}));
    const bands = Array.from({length: packed.bands}, (_, band) => band);
    const x = of.wavelengths ?? (of.names.length ? of.names : bands);
    const axis = {automargin: true, gridcolor: "#e5e7eb", zeroline: false};
    const unit = of.wavelengths ? "wavelength, nm" : of.names.length ? "" : "band";
    Plotly.react(plot, [{x, y: bands.map(band => valueOf(packed, sample, band)), type: "scatter", connectgaps: false,
      mode: packed.bands > 40 ? "lines" : "lines+markers", line: {color: "#0072b2", width: 1.6}, marker: {size: 4},
      hovertemplate: "%{x}<br>%{y}<extra></extra>"}],
    {height: 210, margin: {l: 50, r: 8, t: 26, b: 40}, font: {size: 11}, showlegend: false,
      title: {text: escapeText(name), font: {size: 12}, x: 0.02, y: 0.97},
      xaxis: {...axis, title: {text: unit, standoff: 4}},
      yaxis: {...axis, title: {text: escapeText(of.unit || "value"), standoff: 8}}}, CHART);
  }
}
const escapeText = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// ------------------------------------------------------------------ mouse and keys
function pixelOf(event) {
  const box = stage.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left - stage.clientLeft - view.x) / view.scale);
  const y = Math.floor((event.clientY - box.top - stage.clientTop - view.y) / view.scale);
  return x >= 0 && y >= 0 && x < shown.width && y < shown.height ? [x, y] : null;
}
function listen() {
  let from = null, due = false;
  stage.addEventListener("pointerdown", event => {
    from = {x: event.clientX - view.x, y: event.clientY - view.y, moved: false, at: [event.clientX, event.clientY]};
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", event => {
    if (from && Math.hypot(event.clientX - from.at[0], event.clientY - from.at[1]) > 3) from.moved = true;
    if (from?.moved) {
      stage.classList.add("dragged");
      view.x = event.clientX - from.x;
      view.y = event.clientY - from.y;
      place();
    } else if (!view.held) {
      view.at = pixelOf(event);
      mark();
      if (view.at && !due) {
        due = true;
        requestAnimationFrame(() => { due = false; if (view.at && !view.held) tell(...view.at); });
      }
    }
  });
  stage.addEventListener("pointerup", event => {
    if (from && !from.moved) {
      const at = pixelOf(event);
      view.held = view.held ? null : at;
      view.at = at;
      mark();
      if (at) tell(...at);
    }
    from = null;
    stage.classList.remove("dragged");
  });
  stage.addEventListener("pointerleave", () => { view.at = null; mark(); });
  stage.addEventListener("wheel", event => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, {passive: false});
  stage.addEventListener("dblclick", fit);
  byId("in").onclick = () => zoom(1.5);
  byId("out").onclick = () => zoom(1 / 1.5);
  byId("fit").onclick = fit;
  const opacity = value => {
    view.opacity = Math.min(Math.max(value, 0), 1);
    byId("opacity").value = String(Math.round(100 * view.opacity));
    over.style.opacity = view.layer ? view.opacity : 0;
  };
  byId("opacity").oninput = event => opacity(event.target.value / 100);
  byId("picture").onchange = event => choosePicture(+event.target.value);
  byId("background").onchange = event => chooseBackground(+event.target.value);
  byId("palette").onchange = event => { view.table = event.target.checked; paint(); drawLegend(); };
  addEventListener("resize", fit);
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input[type=range]")) return;
    const count = shown.layers.length + 1, backgrounds = shown.backgrounds.length;
    const keys = {
      ArrowRight: () => chooseLayer((view.layer + 1) % count),
      ArrowLeft: () => chooseLayer((view.layer + count - 1) % count),
      ArrowUp: () => opacity(view.opacity + 0.1),
      ArrowDown: () => opacity(view.opacity - 0.1),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), f: fit,
      b: () => backgrounds && chooseBackground((view.background + 1) % backgrounds),
      Escape: () => { view.held = view.at = null; mark(); },
    };
    const act = /^\d$/.test(event.key) ? () => chooseLayer(+event.key) : keys[event.key];
    if (!act || (event.key === "ArrowUp" || event.key === "ArrowDown") && !stage.contains(document.activeElement)) return;
    event.preventDefault();
    act();
  });
}

async function start() {
  const script = make("script");
  script.textContent = new TextDecoder().decode(await unpack(byId("plotly").textContent));
  document.head.append(script);
  await Promise.all(Object.entries(data.figures).map(([name, figure]) => {
    const element = byId("chart-" + name);
    return element && Plotly.newPlot(element, figure.data, figure.layout, CHART);
  }));
  if (data.pictures.length) {
    byId("picture").replaceChildren(...data.pictures.map((picture, index) => {
      const {pixels, right} = picture.scored ?? {};
      const scored = pixels ? `, OA ${(100 * right / pixels).toFixed(1)} %` : "";
      return make("option", {value: String(index)}, picture.title + scored);
    }));
    byId("picture-label").hidden = data.pictures.length === 1;
    byId("palette-label").hidden = data.classes.every(entry => entry.table === entry.safe);
    view.layer = 1;
    await choosePicture(0);
    listen();
  }
  document.body.dataset.ready = "yes";
}
start().catch(error => {
  byId("fault").hidden = false;
  byId("fault").textContent = `The page could not be shown (${error}). It needs a browser of 2023 or newer.`;
  throw error;
});
