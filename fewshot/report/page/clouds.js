// Predicted against actual values of the selected cell by estimator, the diagonal beside them.
const cloudsOf = (cell) =>
  (cell?.details?.clouds ?? []).map((one) => ({
    ...one,
    words: sharedValue(one.words),
    parts: sharedValue(one.parts),
  }));
const WHISKERS = 200; // intervals that are drawn at most: more would hide the points
const FEW_POINTS = 200; // of which each has its marker
const DOT = 2.5; // radius of the others

function cloudPoints(cloud) {
  const [x, y, lower, upper] = [cloud.x, cloud.y, cloud.lower, cloud.upper].map(shares);
  const episode = integers(cloud.episode, Uint32Array);
  const part = integers(cloud.part, Uint16Array);
  return [...x].map((value, i) => ({
    predicted: value,
    actual: y[i],
    lower: lower?.[i],
    upper: upper?.[i],
    episode: episode[i],
    part: part ? part[i] : null,
  }));
}

const dotPath = ({ x, y }) =>
  `M${(x - DOT).toFixed(1)},${y.toFixed(1)}a${DOT},${DOT} 0 1,0 ${2 * DOT},0a${DOT},${DOT} 0 1,0 ${-2 * DOT},0`;

const meanMiss = (points) =>
  points.reduce((sum, one) => sum + Math.abs(one.predicted - one.actual), 0) / points.length;

function cloudsPlot(chart, clouds, width, label, tell) {
  const domain = squareDomain(
    clouds.flatMap(({ points }) => points.flatMap((one) => [one.predicted, one.actual])),
  );
  const { svg, X, Y } = frame({
    width,
    height: width,
    x: { domain, title: chart.words.x },
    y: { domain, title: chart.words.y },
    label,
  });
  const inside = (value) => Math.min(Math.max(value, domain[0]), domain[1]);
  svg.append(
    shape("path", {
      class: "diagonal",
      d: `M${X(domain[0])},${Y(domain[0])}L${X(domain[1])},${Y(domain[1])}`,
    }),
  );
  const marks = [];
  // The first one is drawn last, above the others.
  for (const { name, look, points } of [...clouds].reverse()) {
    const held = points.filter((one) => known(one.lower) && known(one.upper));
    // Of the first one alone: bars over bars cannot be told apart.
    const lines = look === 0 && held.length <= WHISKERS ? held : [];
    const line = ({ lower, upper, actual }) =>
      `M${X(inside(lower)).toFixed(1)},${Y(actual).toFixed(1)}H${X(inside(upper)).toFixed(1)}`;
    if (lines.length)
      svg.append(shape("path", { class: `whisker faint s${colorOf(look)}`, d: lines.map(line).join("") }));
    const at = points.map((one) => ({ x: X(one.predicted), y: Y(one.actual), name, one }));
    if (at.length <= FEW_POINTS) svg.append(...at.map(({ x, y }) => marker(look, x, y, 4)));
    // Many points are one path: thousands of elements would make the page slow.
    else svg.append(shape("path", { class: `cloud f${colorOf(look)}`, d: at.map(dotPath).join("") }));
    marks.push(...at);
  }
  readable(svg, marks, (mark) => tell(mark), label);
  return svg;
}

function cloudsFigure(body, cell, chart) {
  const hint = "Point at a marker, or use the arrow keys, to read it.";
  const words = readout(hint);
  const clouds = chart.clouds.map((cloud, look) => ({ ...cloud, look, points: cloudPoints(cloud) }));
  const tell = (mark) => {
    if (!mark) return (words.textContent = hint);
    const { predicted, actual, lower, upper, episode, part } = mark.one;
    const what = part === null ? "" : `${chart.parts[part]}, `;
    const bounds = known(lower) && known(upper) ? ` (${percent(lower)} to ${percent(upper)})` : "";
    return (words.textContent =
      `${what}${task().episode} ${episode}, ${mark.name}: ` +
      `predicted ${percent(predicted)} %${bounds}, actual ${percent(actual)} %`);
  };
  const width = roomFor(body, body.clientWidth > 720 ? 2 : 1, 520);
  const { title, caption } = chart.words;
  const svg = cloudsPlot(chart, clouds, width, `${title}, ${place(cell)}.`, tell);
  const some = clouds.some((cloud) => cloud.points.length < cloud.count);
  return make(
    "figure",
    null,
    make("h3", null, title),
    make(
      "ul",
      { class: "legend" },
      clouds.map(({ name, look, points }) =>
        make("li", { class: "entry" }, cloudSample(look), named(name),
             make("span", { class: "soft" }, `off by ${percent(meanMiss(points))}`)),
      ),
    ),
    make("div", { class: "plot" }, svg, saveButton(svg, `${title}, ${fullPlace(cell)}`)),
    words,
    make("figcaption", { class: "caption" }, caption, some && " Only some of the points are drawn."),
  );
}

const cloudSample = (look) =>
  shape("svg", { viewBox: "0 0 26 14", "aria-hidden": "true" }, marker(look, 13, 7));

section("clouds", () => cloudsOf(selectedCell())[0]?.words.title ?? "", {
  when: ["filter", "cell"],
  needed: () => cloudsOf(selectedCell()).length > 0,
  draw: (body) => {
    const cell = selectedCell();
    const charts = cloudsOf(cell);
    const figures = charts.map((chart) => cloudsFigure(body, cell, chart));
    replace(body, make("div", { class: charts.length > 1 ? "pair even" : "wide" }, figures));
  },
  about: () => fullPlace(selectedCell()),
});
