// The viewer's page: what slide.js and outlines.js say, drawn by OpenSeadragon. Positions are pixels of the slide's
// level 0 everywhere; the viewport of OpenSeadragon is 1 wide where the slide is slide.width.
"use strict";
(function () {
  const slide = window.epsamSlide;
  const outlines = unpack(window.epsamOutlines || []);
  const byId = (id) => document.getElementById(id);
  const lineColour = "#ffb224";
  const mostRegions = 200;
  const layers = [];

  document.title = slide.name;
  byId("name").textContent = slide.name;
  const side = (pixels) => lengthText(pixels * slide.mpp);
  byId("sizes").textContent = `${count(slide.width)} × ${count(slide.height)} px · ${side(slide.width)} × `
    + `${side(slide.height)} · ${round(slide.mpp, 3)} µm/px`;
  showFigures();
  if (typeof OpenSeadragon === "undefined") {
    tellWhatIsMissing();
    return;
  }

  // ----- the slide and its layers
  const kinds = {
    slide: { title: "Slide", opacity: 1, isOn: true },
    probability: { title: "Probability of tumour", opacity: 0.7, isOn: false },
    tumour: { title: "Tumour mask", opacity: 0.3, isOn: true },
  };
  const emptyTiles = new Map();
  const names = Object.keys(kinds).filter((name) => slide.layers[name]);
  // Tiles that are enlarged one by one show seams. OpenSeadragon 6.1 means to put them together first, but asks for a
  // length of the tile, which has none.
  OpenSeadragon.Tile.prototype.length = 1;
  const viewer = OpenSeadragon({
    element: byId("view"),
    drawer: "canvas", // WebGL may not use images of file://
    showNavigationControl: false,
    showNavigator: true,
    navigatorId: "navigator",
    navigatorAutoFade: false,
    navigatorOpacity: 1,
    navigatorBorderColor: "#34363b",
    navigatorDisplayRegionColor: "#28beff",
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
    maxZoomPixelRatio: 4,
    minZoomImageRatio: 0.7,
    visibilityRatio: 0.3,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    tileSources: names.map((name) => ({
      tileSource: tileSource(name, slide.layers[name]),
      width: slide.layers[name].width * slide.layers[name].downsample / slide.width,
      opacity: kinds[name].isOn ? kinds[name].opacity : 0,
    })),
  });
  names.forEach((name, i) => addLayer(name, kinds[name], (opacity) => {
    const item = viewer.world.getItemAt(i);
    if (item) item.setOpacity(opacity);
  }));

  function tileSource(name, layer) {
    const present = layer.runs && layer.runs.map(ends);
    const source = {
      width: layer.width, height: layer.height, tileSize: layer.tile, tileOverlap: 0,
      minLevel: Math.min(8, layer.finest), maxLevel: layer.finest,
      getTileUrl: function (level, x, y) {
        if (present) {
          const columns = Math.ceil(Math.ceil(layer.width / 2 ** (layer.finest - level)) / layer.tile);
          if (!isInRun(present[level], y * columns + x)) return emptyTile(layer, level, x, y);
        }
        return `${name}_files/${level}/${x}_${y}.${layer.ending}`;
      },
    };
    if (present) source.hasTransparency = () => true;
    return source;
  }

  // Where runs of tiles end: so many not there, so many there, so many not there, …
  function ends(runs) {
    let at = 0;
    return runs.map((length) => at += length);
  }

  function isInRun(runEnds, index) {
    let low = 0, high = runEnds.length; // the first end that lies behind the index
    while (low < high) {
      const middle = low + high >> 1;
      if (runEnds[middle] > index) high = middle;
      else low = middle + 1;
    }
    return low < runEnds.length && low % 2 === 1;
  }

  // A transparent one of the size that the tile would have.
  function emptyTile(layer, level, x, y) {
    const side = (whole, at) =>
      Math.min(layer.tile, Math.ceil(whole / 2 ** (layer.finest - level)) - at * layer.tile);
    const [width, height] = [side(layer.width, x), side(layer.height, y)];
    const key = `${width} ${height}`;
    if (!emptyTiles.has(key)) {
      const picture = Object.assign(document.createElement("canvas"), { width, height });
      emptyTiles.set(key, picture.toDataURL());
    }
    return emptyTiles.get(key);
  }

  // ----- outlines, over the tiles
  const canvas = document.createElement("canvas");
  canvas.className = "outlines";
  viewer.canvas.appendChild(canvas);
  const outlineLayer = { opacity: 1, isOn: outlines.length > 0 };
  let paths = { octave: null, all: [] };
  if (outlines.length > 0) {
    addLayer("outlines", { title: "Outlines", opacity: 1, isOn: true }, (opacity) => {
      outlineLayer.opacity = opacity;
      drawOutlines();
    });
  }

  function scale() { // pixels of the screen to one of the slide
    return viewer.viewport.getZoom(true) * viewer.viewport.getContainerSize().x / slide.width;
  }

  function drawOutlines() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    if (!viewer.isOpen()) return;
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (outlineLayer.opacity === 0 || outlines.length === 0) return;
    const s = scale();
    const corner = viewer.viewport.pixelFromPoint(new OpenSeadragon.Point(0, 0), true);
    const [left, top] = [-corner.x / s, -corner.y / s];
    const [right, bottom] = [left + width / s, top + height / s];
    const all = pathsFor(s);
    context.setTransform(s * ratio, 0, 0, s * ratio, corner.x * ratio, corner.y * ratio);
    context.globalAlpha = outlineLayer.opacity;
    context.lineJoin = "round";
    const isSeen = (o) => o.left <= right && o.right >= left && o.top <= bottom && o.bottom >= top;
    const isSmall = outlines.map((o) => Math.max(o.right - o.left, o.bottom - o.top) * s < 16); // a thin line alone
    const strokes = [["rgba(0, 0, 0, .5)", 3.5, false], [lineColour, 1.75, false], [lineColour, 0.9, true]];
    for (const [colour, wide, small] of strokes) {
      context.strokeStyle = colour;
      context.lineWidth = wide / s;
      outlines.forEach((o, i) => { if (isSmall[i] === small && isSeen(o)) context.stroke(all[i]); });
    }
  }

  // Paths with as many points as can be told apart, kept for one octave of zoom. What is smaller than a dot is a dot.
  function pathsFor(s) {
    const octave = Math.max(-1, Math.floor(Math.log2(1 / s)));
    if (paths.octave === octave) return paths.all;
    const least = octave < 0 ? 0 : 2 ** octave * 0.7;
    const dot = 2 ** octave * 2;
    paths = {
      octave,
      all: outlines.map((o) => {
        const path = new Path2D();
        if (o.right - o.left < dot && o.bottom - o.top < dot) {
          path.rect(o.left, o.top, Math.max(o.right - o.left, dot / 4), Math.max(o.bottom - o.top, dot / 4));
          return path;
        }
        o.rings.forEach((ring) => addRing(path, ring, least));
        return path;
      }),
    };
    return paths.all;
  }

  function addRing(path, ring, least) {
    let [x, y] = [ring[0], ring[1]];
    path.moveTo(x, y);
    for (let i = 2; i < ring.length; i += 2) {
      if (Math.abs(ring[i] - x) < least && Math.abs(ring[i + 1] - y) < least) continue;
      [x, y] = [ring[i], ring[i + 1]];
      path.lineTo(x, y);
    }
    path.closePath();
  }

  // From steps to positions, with bounds and area.
  function unpack(polygons) {
    return polygons.map((rings) => {
      const one = { rings: [], area: 0, left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
      rings.forEach((steps, r) => {
        const ring = new Float64Array(steps.length);
        let [x, y, twice] = [0, 0, 0];
        for (let i = 0; i < steps.length; i += 2) {
          const [fromX, fromY] = [x, y];
          ring[i] = x += steps[i];
          ring[i + 1] = y += steps[i + 1];
          if (i > 0) twice += fromX * y - x * fromY;
          if (r > 0) continue;
          one.left = Math.min(one.left, x);
          one.right = Math.max(one.right, x);
          one.top = Math.min(one.top, y);
          one.bottom = Math.max(one.bottom, y);
        }
        twice += x * ring[1] - ring[0] * y;
        one.area += (r > 0 ? -1 : 1) * Math.abs(twice) / 2;
        one.rings.push(ring);
      });
      return one;
    });
  }

  // ----- panel
  function addLayer(name, kind, apply) {
    const row = document.createElement("div");
    row.className = "layer";
    const label = document.createElement("label");
    const box = input("checkbox", { checked: kind.isOn, id: `on-${name}` });
    label.append(box, swatch(name), kind.title);
    const output = document.createElement("output");
    const slider = input("range", { min: 0, max: 100, step: 5, value: Math.round(100 * kind.opacity) });
    slider.id = `opacity-${name}`;
    slider.setAttribute("aria-label", `Opacity of: ${kind.title}`);
    const update = () => {
      output.textContent = `${slider.value} %`;
      row.classList.toggle("off", !box.checked);
      apply(box.checked ? slider.value / 100 : 0);
    };
    box.addEventListener("change", update);
    slider.addEventListener("input", () => {
      box.checked = true; // who moves it wants to see it
      update();
    });
    row.append(label, output, slider);
    if (name === "probability") row.append(legend());
    byId("layers").append(row);
    layers.push({ name, box, update });
    box.title = `Key ${layers.length}`;
    update();
  }

  function input(type, properties) {
    const element = document.createElement("input");
    element.type = type;
    return Object.assign(element, properties);
  }

  function swatch(name) {
    const element = document.createElement("span");
    element.className = "swatch";
    if (name === "slide") element.style.background = "linear-gradient(135deg, #e8a9c9, #8f6bb0)";
    if (name === "probability") element.style.background = `linear-gradient(135deg, ${slide.heat.join(", ")})`;
    if (name === "tumour") element.style.background = slide.tint;
    if (name === "outlines") {
      element.classList.add("line");
      element.style.borderColor = lineColour;
    }
    return element;
  }

  function legend() {
    const element = document.createElement("div");
    element.className = "legend";
    const bar = document.createElement("i");
    bar.style.background = `linear-gradient(90deg, ${slide.heat.join(", ")})`;
    const ticks = document.createElement("span");
    for (const text of ["0", "0.5", "1"]) ticks.append(Object.assign(document.createElement("b"), {
      textContent: text, style: "font-weight: 400",
    }));
    element.append(bar, ticks);
    return element;
  }

  function showFigures() {
    const figures = [
      ["Tumour", areaText(slide.tumourMm2)],
      ["Tissue", areaText(slide.tissueMm2)],
      ["Tumour of tissue", `${digits(100 * slide.tumourFraction, 3)} %`],
      ["Regions", count(slide.regions)],
    ];
    for (const [name, value] of figures) {
      const cell = document.createElement("div");
      cell.append(Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }));
      byId("figures").append(cell);
    }
    const sorted = [...outlines].sort((a, b) => b.area - a.area);
    byId("regions-section").hidden = sorted.length === 0;
    sorted.slice(0, mostRegions).forEach((one, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const area = document.createElement("span");
      area.textContent = areaText(one.area * slide.mpp ** 2 / 1e6);
      button.append(Object.assign(document.createElement("span"), { textContent: `Region ${i + 1}` }), area);
      button.addEventListener("click", () => show(one));
      const item = document.createElement("li");
      item.append(button);
      byId("regions").append(item);
    });
    if (sorted.length > mostRegions) {
      byId("more-regions").hidden = false;
      byId("more-regions").textContent = `The ${mostRegions} largest of ${count(sorted.length)}.`;
    }
  }

  function show(one) {
    if (typeof OpenSeadragon === "undefined") return;
    const least = 200 / slide.mpp; // 200 µm, for regions that are smaller than that
    const width = Math.max(one.right - one.left, least) * 1.3, height = Math.max(one.bottom - one.top, least) * 1.3;
    const [x, y] = [(one.left + one.right - width) / 2, (one.top + one.bottom - height) / 2];
    viewer.viewport.fitBounds(new OpenSeadragon.Rect(x / slide.width, y / slide.width, width / slide.width,
      height / slide.width));
  }

  // ----- readouts
  function showScale() {
    const micrometres = slide.mpp / scale(); // of a pixel of the screen
    const nice = [1, 2, 5].flatMap((n) => [-1, 0, 1, 2, 3, 4].map((e) => n * 10 ** e)).sort((a, b) => a - b);
    const bar = nice.filter((length) => length / micrometres <= 130).pop() || nice[0];
    byId("scale-bar").style.width = `${bar / micrometres}px`;
    byId("scale-text").textContent = lengthText(bar);
    byId("resolution").textContent = `${micrometres < 10 ? round(micrometres, 2) : Math.round(micrometres)} µm/px`
      + (micrometres <= 10 ? ` · ${round(10 / micrometres, 1)}×` : "");
  }

  function showPosition(event) {
    const box = viewer.canvas.getBoundingClientRect();
    const pixel = new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top);
    const point = viewer.viewport.pointFromPixel(pixel, true).times(slide.width);
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    const isInside = x >= 0 && y >= 0 && x < slide.width && y < slide.height;
    byId("position").textContent = isInside ? `x ${count(x)}  y ${count(y)}` : "";
  }

  viewer.addHandler("open", () => layers.forEach((layer) => layer.update()));
  viewer.addHandler("update-viewport", () => { drawOutlines(); showScale(); });
  viewer.addHandler("resize", () => requestAnimationFrame(drawOutlines));
  viewer.addHandler("open-failed", (event) => problem("The tiles cannot be shown", [event.message]));
  viewer.addHandler("canvas-key", (event) => { // of OpenSeadragon's keys only those that move and zoom
    if ("rRfFjk".includes(event.originalEvent.key)) event.preventDefaultAction = true;
  });
  viewer.canvas.addEventListener("pointermove", showPosition);
  viewer.canvas.addEventListener("pointerleave", () => { byId("position").textContent = ""; });

  // ----- tools and keys
  const zoom = (factor) => { viewer.viewport.zoomBy(factor); viewer.viewport.applyConstraints(); };
  byId("zoom-in").addEventListener("click", () => zoom(1.6));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.6));
  byId("whole").addEventListener("click", () => viewer.viewport.goHome());
  byId("full").hidden = !document.fullscreenEnabled;
  byId("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  });
  byId("toggle-panel").addEventListener("click", togglePanel);

  function togglePanel() {
    const isOn = !document.body.classList.toggle("no-panel");
    byId("toggle-panel").setAttribute("aria-expanded", String(isOn));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.type === "range") return;
    const layer = layers[Number(event.key) - 1];
    if (layer) {
      layer.box.checked = !layer.box.checked;
      layer.update();
    } else if (event.key === "p" || event.key === "P") togglePanel();
    else if (!viewer.canvas.contains(event.target)) { // elsewhere OpenSeadragon does not hear them
      if (event.key === "+" || event.key === "=") zoom(1.6);
      else if (event.key === "-") zoom(1 / 1.6);
      else if (event.key === "0") viewer.viewport.goHome();
    }
  });
  window.epsamViewer = { viewer, layers, outlines: outlineLayer, scale };

  // ----- texts
  function tellWhatIsMissing() {
    problem("openseadragon.min.js is missing", [
      "It draws the tiles of this viewer and is not part of EpSam.Native. All else is here.",
      ["Take ", code("build/openseadragon/openseadragon.min.js"), " of the npm package ", code("openseadragon"),
        " (6.1.1) and put it beside this page, into the folder of ", code("index.html"), "; then reload."],
      ["In EpSam.Native's folder, ", code("cmake/get-openseadragon build/openseadragon"), " fetches it; ",
        code("npm pack openseadragon@6.1.1"), " does so anywhere."],
    ]);
    byId("tools").hidden = byId("readout").hidden = true;
    byId("layers").parentElement.hidden = byId("regions-section").hidden = true;
  }

  function problem(title, paragraphs) {
    byId("problem").append(Object.assign(document.createElement("h2"), { textContent: title }));
    for (const content of paragraphs) {
      const paragraph = document.createElement("p");
      paragraph.append(...[content].flat());
      byId("problem").append(paragraph);
    }
    byId("problem").hidden = false;
  }

  function code(text) {
    return Object.assign(document.createElement("code"), { textContent: text });
  }

  function round(value, digits) {
    return String(Number(value.toFixed(digits)));
  }

  function digits(value, most) {
    return Math.abs(value) >= 10 ** most ? Math.round(value) : Number(value.toPrecision(most));
  }

  function count(value) {
    return value.toLocaleString("en", { maximumFractionDigits: 6 });
  }

  function lengthText(micrometres) {
    return micrometres >= 1000 ? `${round(micrometres / 1000, 1)} mm` : `${round(micrometres, 1)} µm`;
  }

  function areaText(mm2) {
    const isSmall = mm2 > 0 && mm2 < 0.01;
    return isSmall ? `${count(digits(mm2 * 1e6, 3))} µm²` : `${count(digits(mm2, 3))} mm²`;
  }
})();
