// What it costs: time, memory and parameters, and what is had for it.
const median = (values) => {
  const sorted = values.filter(known).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return !sorted.length
    ? null
    : sorted.length % 2
      ? sorted[middle]
      : (sorted[middle - 1] + sorted[middle]) / 2;
};

// One row per backbone and head, over data sets, shots and seeds.
function costRows(cells) {
  return [...grouped(cells, seriesKey)].map(([, own]) => {
    const of = (name) => own.map((cell) => cell.cost?.[name]);
    const memory = of("peak_memory_mib").filter(known);
    const each = own.map((cell) => currentOf(cell)?.mean).filter(known);
    return {
      cell: own[0],
      name: seriesName(own[0], taskCells()),
      count: own.length,
      parameters: median(of("parameters")),
      dimensions: median(of("feature_dim")),
      images: median(of("images_per_second")),
      episodes: median(of("episodes_per_second")),
      seconds: median(of("seconds")),
      memory: memory.length ? Math.max(...memory) : null,
      device: unique(of("device").filter(Boolean)).join(", "),
      measure: each.length ? each.reduce((a, b) => a + b, 0) / each.length : null,
    };
  });
}

function costColumns(rows) {
  const column = (key, title, unit, better, text) => ({
    key,
    title,
    unit,
    better,
    value: (row) => row[key],
    fill: (row) => cellOf(text(row[key])),
  });
  const all = [
    column("parameters", "Parameters", "millions", "lower", parameters),
    column("dimensions", "Dimensions", "features", "lower", whole),
    column("images", "Images", "per second", "higher", (value) =>
      known(value) && value < 10 ? seconds(value) : whole(value),
    ),
    column("episodes", "Episodes", "per second", "higher", (value) =>
      known(value) && value < 10 ? seconds(value) : whole(value),
    ),
    column("seconds", "Time", "s per cell", "lower", seconds),
    column("memory", "Memory", "MiB, peak", "lower", whole),
  ];
  return [
    {
      key: "name",
      title: SERIES.filter((name) => name === "head" || several(taskCells(), name))
        .map((name) => NAMES[name])
        .join(" · "),
      left: true,
      value: (row) => row.name,
      fill: (row) => make("th", { scope: "row", class: "left" }, named(row.name)),
    },
    ...all.filter((one) => rows.some((row) => known(row[one.key]))),
    ...(several(rows, "device") || rows.some((row) => row.device)
      ? [
          {
            key: "device",
            title: "Device",
            left: true,
            value: (row) => row.device,
            fill: (row) => make("td", { class: "left" }, row.device || spoken(MISSING)),
          },
        ]
      : []),
  ];
}

// Powers of ten, with 2 and 5 between them where these alone would be few.
function logTicks([low, high]) {
  const steps = Math.log10(high / low) < 2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    ticks.push(...steps.map((step) => step * 10 ** power));
  return ticks;
}

const plainSeconds = (value) =>
  value >= 1
    ? `${Number(value.toPrecision(2))} s`
    : value >= 1e-3
      ? `${Number((value * 1e3).toPrecision(2))} ms`
      : `${Number((value * 1e6).toPrecision(2))} µs`;

// Points that no other beats in both: the cheapest way to each height.
function frontier(points, sign) {
  let best = -Infinity;
  return [...points]
    .sort((a, b) => a.time - b.time || sign * (b.value - a.value))
    .filter((one) => sign * one.value > best && ((best = sign * one.value), true));
}

function costChart(rows, width, tell) {
  const name = measureName(currentMeasure());
  const points = rows
    .filter((row) => row.episodes > 0 && known(row.measure))
    .map((row) => ({ ...row, time: 1 / row.episodes, value: row.measure }));
  if (points.length < 2) return null;
  const times = points.map((one) => one.time);
  const domain = [Math.min(...times) / 1.6, Math.max(...times) * 1.6];
  const backbones = unique(points.map((one) => one.cell.backbone));
  const { svg, X, Y } = frame({
    width,
    height: Math.round(Math.min(400, 0.75 * width)),
    label: `${name} against time per episode`,
    x: {
      domain,
      map: Math.log,
      ticks: logTicks(domain),
      text: plainSeconds,
      title: "time per episode (log)",
    },
    y: {
      domain: niceDomain(
        points.map((one) => one.value),
        { top: 1 },
      ),
      title: `${name}, %`,
    },
  });
  const edge = frontier(points, lowerIsBetter(currentMeasure()) ? -1 : 1);
  svg.append(
    shape("path", {
      class: "diagonal",
      d: pathThrough(edge.map((one) => [X(one.time), Y(one.value)])),
    }),
  );
  const marks = points.map((one) => ({
    x: X(one.time),
    y: Y(one.value),
    one,
    look: backbones.indexOf(one.cell.backbone),
  }));
  for (const mark of marks) svg.append(marker(mark.look, mark.x, mark.y, 5));
  readable(svg, marks, tell, `${name} against time per episode, ${plural(marks.length, "point")}.`);
  return { svg, backbones };
}

function drawCost(body) {
  const rows = costRows(shownCells());
  const hint = "Point at a marker, or use the arrow keys, to read it.";
  const words = readout(hint);
  const tell = (mark) =>
    (words.textContent = mark
      ? `${mark.one.cell.backbone} · ${mark.one.name}: ${percent(mark.one.value)} %, ${plainSeconds(mark.one.time)} per episode`
      : hint);
  const chart = costChart(rows, roomFor(body), tell);
  replace(
    body,
    make(
      "p",
      { class: "caption" },
      "Medians over the cells that pass the filters; memory is the largest. Images per second: extraction of features, which is done once.",
    ),
    sortableTable("Cost", costColumns(rows), rows, 20),
    chart &&
      make(
        "figure",
        { class: "wide" },
        make(
          "ul",
          { class: "legend" },
          chart.backbones.map((name, look) =>
            make("li", { class: "entry" }, sample(look), named(name)),
          ),
        ),
        make("div", { class: "plot" }, chart.svg, saveButton(chart.svg, "cost")),
        words,
        make(
          "figcaption",
          { class: "caption" },
          `Mean ${measureName(currentMeasure()).replace("Accuracy", "accuracy")} over the shown cells against the time that head and queries of one episode take. The dotted line joins what nothing else beats in both.`,
        ),
      ),
  );
}

section("cost", "Cost", { needed: () => shownCells().some((cell) => cell.cost), draw: drawCost });
