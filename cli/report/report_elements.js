"use strict";
// Builds elements and their text. Text is inserted as text: nothing here parses HTML.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function duration(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const two = (number) => String(number).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${two(Math.round(seconds) % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

// Four digits, as on the command line.
const digits = (number) => String(Number(number.toPrecision(4)));

const dated = (time) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : date.toLocaleString();
};

// ---- curves ------------------------------------------------------------------------------------

// Returns the points as SVG coordinates in a box. Losses are on a logarithmic scale, so that the end of
// a run is not a flat line; if one is not positive, the scale is linear.
function scaled(points, box) {
  const positive = points.every(([, loss]) => loss > 0);
  const heights = points.map(([, loss]) => (positive ? Math.log(loss) : loss));
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  return points.map(([step], index) => [
    box.left + ((step - first) / (last - first || 1)) * box.width,
    box.top + (1 - (heights[index] - low) / (high - low || 1)) * box.height,
  ]);
}

function line(points, box) {
  const places = scaled(points, box).map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  return drawing("polyline", { points: places.join(" ") });
}

function curveLabel(points) {
  const [first, last] = [points[0], points[points.length - 1]];
  return `Loss from ${digits(first[1])} to ${digits(last[1])} in ${count(last[0] - first[0], "step")}`;
}

function sparkline(points) {
  const attributes = { class: "curve", viewBox: "0 0 72 34", role: "img", "aria-label": curveLabel(points) };
  return drawing("svg", attributes, line(points, { left: 1, top: 2, width: 70, height: 30 }));
}

function chart(points) {
  const box = { left: 46, top: 8, width: 268, height: 112 };
  const [bottom, right] = [box.top + box.height, box.left + box.width];
  const losses = points.map(([, loss]) => loss);
  const label = (x, y, anchor, text) => drawing("text", { x, y, "text-anchor": anchor }, text);
  return drawing(
    "svg",
    { class: "curve", viewBox: "0 0 320 142", role: "img", "aria-label": curveLabel(points) },
    drawing("line", { x1: box.left, y1: bottom, x2: right, y2: bottom }),
    drawing("line", { x1: box.left, y1: box.top, x2: box.left, y2: bottom }),
    line(points, box),
    label(box.left - 6, box.top + 8, "end", digits(Math.max(...losses))),
    label(box.left - 6, bottom, "end", digits(Math.min(...losses))),
    label(box.left, bottom + 16, "middle", String(points[0][0])),
    label(right, bottom + 16, "end", count(points[points.length - 1][0], "step")),
  );
}
