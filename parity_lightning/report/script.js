"use strict";
// Tables that sort, figures that tell their values and can be zoomed. Without this script the page says the same.

// ---- tables
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[place];
        return cell.dataset.key === undefined ? cell.textContent : Number(cell.dataset.key);
      };
      const compare = (a, b) =>
        typeof a === "number" && typeof b === "number"
          ? (a > b) - (a < b)
          : String(a).localeCompare(String(b), "en", { numeric: true });
      const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(key(a), key(b)));
      body.append(...rows);
    });
  });
}

// ---- figures
const NS = "http://www.w3.org/2000/svg";

function make(name, attributes, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function words(value) {
  if (Math.abs(value) >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return String(Number(value.toPrecision(4)));
}

function ticksBetween(low, high, log) {
  if (log && high / low > 3) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
      for (const factor of [1, 2, 5]) found.push(Number((factor * 10 ** power).toPrecision(12)));
    const inside = found.filter((value) => value >= low && value <= high);
    const decades = inside.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e9) / 1e9));
    return inside.length > 9 && decades.length > 1 ? decades : inside;
  }
  const about = (high - low) / 8;
  const power = 10 ** Math.floor(Math.log10(about));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= about * (1 - 1e-9));
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-9; number += 1)
    found.push(Number((number * step).toPrecision(12)));
  return found;
}

function nearest(line, x) {
  // The last value at x or before; of lines that are no steps the one that is nearest.
  let first = 0;
  let last = line.x.length;
  while (first < last) {
    const middle = (first + last) >> 1;
    if (line.x[middle] <= x) first = middle + 1;
    else last = middle;
  }
  const before = Math.max(first - 1, 0);
  if (line.step || first >= line.x.length || first === 0) return before;
  return x - line.x[before] <= line.x[first] - x ? before : first;
}

function enhance(figure) {
  const source = figure.querySelector('script[type="application/json"]');
  const { x: axis, panels } = JSON.parse(source.textContent);
  const pictures = [...figure.querySelectorAll(":scope > svg")];
  const forward = axis.is_log ? Math.log : (value) => value;
  const back = axis.is_log ? Math.exp : (value) => value;
  const whole = [forward(axis.low), forward(axis.high)];
  let shown = [...whole];
  const width = axis.end - axis.start;
  const valueAt = (place) => back(shown[0] + ((place - axis.start) / width) * (shown[1] - shown[0]));
  const placeOf = (value) => axis.start + ((forward(value) - shown[0]) / (shown[1] - shown[0])) * width;

  // All values of the axis, for the keys that step through them.
  const stops = [...new Set(panels.flat().flatMap((line) => line.x))].sort((a, b) => a - b);
  let stop = -1;

  const readout = document.createElement("div");
  readout.className = "readout";
  readout.hidden = true;
  const spoken = document.createElement("span");
  spoken.setAttribute("aria-live", "polite");
  const hint = "Drag to zoom; arrow keys read values, + and - zoom.";
  spoken.textContent = hint;
  const reset = document.createElement("button");
  reset.type = "button";
  reset.textContent = "Show all";
  reset.disabled = true;
  reset.addEventListener("click", () => zoom(...whole));
  const tools = document.createElement("div");
  tools.className = "tools";
  tools.append(spoken, reset);
  figure.append(readout, tools);

  const cursors = pictures.map((picture) => {
    const cursor = make("line", { class: "cursor", y1: picture.dataset.top, y2: picture.dataset.bottom, visibility: "hidden" });
    picture.append(cursor);
    // A title would be shown as a tooltip over the values.
    const title = picture.querySelector("title");
    picture.setAttribute("aria-label", title.textContent);
    picture.removeAttribute("aria-labelledby");
    title.remove();
    picture.setAttribute("tabindex", "0");
    return cursor;
  });

  function zoom(low, high) {
    const least = (whole[1] - whole[0]) / 10000;
    if (high - low < least) return;
    shown = [Math.max(low, whole[0]), Math.min(high, whole[1])];
    const factor = (whole[1] - whole[0]) / (shown[1] - shown[0]);
    const shift = axis.start - (axis.start + ((shown[0] - whole[0]) / (whole[1] - whole[0])) * width) * factor;
    const isWhole = factor === 1;
    const inside = (value) => forward(value) >= shown[0] && forward(value) <= shown[1];
    const fixed = axis.ticks.filter(inside);
    const ticks = axis.ticks.length && (isWhole || fixed.length > 1) ? fixed : ticksBetween(back(shown[0]), back(shown[1]), axis.is_log);
    for (const picture of pictures) {
      picture.querySelector(".zoomed").setAttribute("transform", `translate(${shift} 0) scale(${factor} 1)`);
      const bottom = Number(picture.dataset.bottom);
      const marks = ticks.flatMap((value) => [
        make("line", { x1: placeOf(value), x2: placeOf(value), y1: bottom, y2: bottom + 4, class: "axis" }),
        make("text", { x: placeOf(value), y: bottom + 17, "text-anchor": "middle" }, words(value)),
      ]);
      picture.querySelector(".xticks").replaceChildren(...marks);
    }
    if (!isWhole || !reset.disabled) hide();
    reset.disabled = isWhole;
  }

  function hide() {
    readout.hidden = true;
    cursors.forEach((cursor) => cursor.setAttribute("visibility", "hidden"));
  }

  function tell(x, picture) {
    const place = placeOf(x);
    if (place < axis.start - 1 || place > axis.end + 1) return hide();
    cursors.forEach((cursor) => {
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
      cursor.setAttribute("visibility", "visible");
    });
    const lines = panels.flat().filter((line) => x >= line.x[0] - 1e-9 && x <= line.x[line.x.length - 1] + 1e-9);
    const found = lines.map((line) => {
      const at = nearest(line, x);
      return `${line.name}: ${line.notes ? line.notes[at] : words(line.y[at])}`;
    });
    const head = document.createElement("b");
    head.textContent = `${axis.label}: ${words(x)}`;
    readout.replaceChildren(head, ...found.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    readout.hidden = false;
    const box = picture.getBoundingClientRect();
    const frame = figure.getBoundingClientRect();
    const left = (place / 760) * box.width;
    const isRight = left > box.width / 2;
    readout.style.left = isRight ? "auto" : `${left + 12}px`;
    readout.style.right = isRight ? `${box.width - left + 12}px` : "auto";
    readout.style.top = `${box.top - frame.top + 8}px`;
    return [head.textContent, ...found].join("; ");
  }

  function closest(x) {
    return stops.reduce((best, value, place) =>
      Math.abs(forward(value) - forward(x)) < Math.abs(forward(stops[best]) - forward(x)) ? place : best, 0);
  }

  pictures.forEach((picture) => {
    let from = null;
    const chosen = make("rect", { class: "chosen", y: picture.dataset.top, height: picture.dataset.bottom - picture.dataset.top, width: 0 });
    picture.append(chosen);
    const placeIn = (event) => {
      const box = picture.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * 760;
      return Math.min(Math.max(place, axis.start), axis.end);
    };
    picture.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = placeIn(event);
      picture.setPointerCapture(event.pointerId);
    });
    picture.addEventListener("pointermove", (event) => {
      const place = placeIn(event);
      if (from !== null) {
        chosen.setAttribute("x", Math.min(from, place));
        chosen.setAttribute("width", Math.abs(place - from));
      }
      if (stops.length) {
        stop = closest(valueAt(place));
        tell(stops[stop], picture);
      }
    });
    picture.addEventListener("pointerup", (event) => {
      const place = placeIn(event);
      chosen.setAttribute("width", 0);
      if (from !== null && Math.abs(place - from) > 8) {
        const ends = [from, place].sort((a, b) => a - b).map((end) => forward(valueAt(end)));
        zoom(...ends);
      }
      from = null;
    });
    picture.addEventListener("pointercancel", () => {
      from = null;
      chosen.setAttribute("width", 0);
    });
    picture.addEventListener("pointerleave", () => from === null && hide());
    picture.addEventListener("blur", hide);
    picture.addEventListener("dblclick", () => zoom(...whole));
    picture.addEventListener("keydown", (event) => {
      const middle = stop >= 0 ? forward(stops[stop]) : (shown[0] + shown[1]) / 2;
      const half = (shown[1] - shown[0]) / 2;
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };
      if (event.key in moves && stops.length) {
        stop = Math.min(Math.max(stop + moves[event.key], 0), stops.length - 1);
        spoken.textContent = tell(stops[stop], picture) || "";
      } else if (event.key === "Home" || event.key === "End") {
        stop = event.key === "Home" ? 0 : stops.length - 1;
        spoken.textContent = tell(stops[stop], picture) || "";
      } else if (event.key === "+" || event.key === "=") zoom(middle - half / 2, middle + half / 2);
      else if (event.key === "-") zoom(middle - 2 * half, middle + 2 * half);
      else if (event.key === "Escape") {
        zoom(...whole);
        hide();
        spoken.textContent = hint;
      } else return;
      event.preventDefault();
    });
  });
}

document.querySelectorAll("figure.chart").forEach(enhance);

// ---- print what is folded, too
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
