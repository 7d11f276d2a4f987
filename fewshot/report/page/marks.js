// Series are told apart by colour and by marker; a dashed line is always a prediction.
const COLORS = 6;

const MARKERS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  (r) => `M${-r * 0.88},${-r * 0.88}h${r * 1.76}v${r * 1.76}h${-r * 1.76}Z`,
  (r) => `M0,${-r * 1.15}L${r * 1.1},${r * 0.8}H${-r * 1.1}Z`,
  (r) => `M0,${-r * 1.25}L${r * 1.25},0L0,${r * 1.25}L${-r * 1.25},0Z`,
  (r) => `M0,${r * 1.15}L${r * 1.1},${-r * 0.8}H${-r * 1.1}Z`,
  (r) =>
    `M${-r * 0.4},${-r * 1.2}h${r * 0.8}v${r * 0.8}h${r * 0.8}v${r * 0.8}h${-r * 0.8}v${r * 0.8}h${-r * 0.8}v${-r * 0.8}h${-r * 0.8}v${-r * 0.8}h${r * 0.8}Z`,
];

// The i-th look: colours come round again with other markers.
const colorOf = (i) => i % COLORS;
const markerPath = (i, radius = 4) =>
  MARKERS[(i + Math.floor(i / COLORS)) % MARKERS.length](radius);

const marker = (i, x, y, radius = 4) =>
  shape("path", {
    class: `marker f${colorOf(i)}`,
    d: markerPath(i, radius),
    transform: `translate(${x.toFixed(1)},${y.toFixed(1)})`,
  });

function sample(i, dashed = false) {
  const line = shape("path", {
    class: `line s${colorOf(i)}${dashed ? " dashed" : ""}`,
    d: "M1,7H25",
  });
  return shape(
    "svg",
    { viewBox: "0 0 26 14", "aria-hidden": "true" },
    line,
    !dashed && marker(i, 13, 7),
  );
}

const pathThrough = (points) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

// A line that stops where a number is missing.
function brokenPath(points) {
  const runs = [[]];
  for (const point of points) {
    if (point.every(known)) runs[runs.length - 1].push(point);
    else if (runs[runs.length - 1].length) runs.push([]);
  }
  return runs
    .filter((run) => run.length)
    .map(pathThrough)
    .join("");
}
