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

// Of the backbone, whatever heads came after: one row per backbone and feature, a run counts once.
function featureRows(cells) {
  const kind = (cell) => JSON.stringify([cell.backbone, cell.feature]);
  return [...grouped(cells, kind)].map(([, own]) => {
    const runs = [...new Map(own.map((cell) => [`${cell.made?.run}${cell.dataset}`, cell])).values()];
    const of = (name) => runs.map((cell) => cell.cost?.[name]).filter(known);
    const memory = of("peak_memory_mib");
    return {
      name: several(taskCells(), "feature") && own[0].feature
        ? `${own[0].backbone} (${own[0].feature})`
        : own[0].backbone,
      parameters: median(of("parameters")),
      dimensions: median(of("feature_dim")),
      images: median(of("images_per_second")),
      extraction: median(of("extraction_seconds")),
      memory: memory.length ? Math.max(...memory) : null,
    };
  });
}

const contextOf = (cell) => JSON.stringify([cell.dataset, cell.ways, cell.shots, cell.seed]);

// Where all were judged: elsewhere one would be compared on one shot with another on five.
function sharedContexts(groups) {
  const sets = groups.map((cells) => new Set(cells.map(contextOf)));
  return new Set([...(sets[0] ?? [])].filter((one) => sets.every((set) => set.has(one))));
}

// One row per backbone and head, over data sets, shots and seeds.
function headRows(cells) {
  const groups = [...grouped(cells, seriesKey)].map(([, own]) => own);
  const shared = sharedContexts(groups);
  return groups.map((own) => {
    const of = (name, some = own) => some.map((cell) => cell.cost?.[name]);
    const alike = own.filter((cell) => shared.has(contextOf(cell)));
    const each = alike.map((cell) => currentOf(cell)?.mean).filter(known);
    return {
      cell: own[0],
      name: seriesName(own[0], taskCells()),
      episodes: median(of("episodes_per_second")),
      seconds: median(of("seconds")),
      device: unique(of("device").filter(Boolean)).join(", "),
      shared: shared.size,
      speed: median(of("episodes_per_second", alike)),
      measure: each.length ? each.reduce((a, b) => a + b, 0) / each.length : null,
    };
  });
}

const costColumn = (key, title, unit, better, text) => ({
  key,
  title,
  unit,
  better,
  value: (row) => row[key],
  fill: (row) => cellOf(text(row[key])),
});

const nameColumn = (title) => ({
  key: "name",
  title,
  left: true,
  value: (row) => row.name,
  fill: (row) => make("th", { scope: "row", class: "left" }, named(row.name)),
});

const perSecond = (value) => (known(value) && value < 10 ? seconds(value) : whole(value));

const withNumbers = (columns, rows) =>
  columns.filter((one) => rows.some((row) => known(row[one.key])));

function featureColumns(rows) {
  const all = [
    costColumn("parameters", "Parameters", "millions", "lower", parameters),
    costColumn("dimensions", "Dimensions", "features", "lower", whole),
    costColumn("images", "Images", "per second", "higher", perSecond),
    costColumn("extraction", "Extraction", "s, once", "lower", seconds),
    costColumn("memory", "Memory", "MiB, peak of a run", "lower", whole),
  ];
  return [nameColumn(NAMES.backbone), ...withNumbers(all, rows)];
}

function headColumns(rows) {
  const together = task().timed_together && `, ${task().timed_together} together`;
  const all = [
    costColumn(
      "episodes",
      `${capital(task().episode)}s`,
      `per second${together}`,
      "higher",
      perSecond,
    ),
    costColumn("seconds", "Time", together ? `s${together}` : "s per cell", "lower", seconds),
  ];
  const device = {
    key: "device",
    title: "Device",
    left: true,
    value: (row) => row.device,
    fill: (row) => make("td", { class: "left" }, row.device || spoken(MISSING)),
  };
  const title = severalSeries(taskCells())
    .map((name) => (name === "head" ? capital(task().head) : NAMES[name]))
    .join(" · ");
  return [
    nameColumn(title),
    ...withNumbers(all, rows),
    ...(rows.some((row) => row.device) ? [device] : []),
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
    .filter((row) => row.speed > 0 && known(row.measure))
    .map((row) => ({ ...row, time: 1 / row.speed, value: row.measure }));
  if (points.length < 2 || task().timed_together) return null;
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
        { top: isShare(currentMeasure()) ? 1 : Infinity },
      ),
      text: amountTick(currentMeasure()),
      title: withUnit(name, currentMeasure()),
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

const FEATURES_CAPTION =
  "Images per second that went through the backbone when the features were extracted, once for all heads. Memory is the most that a run's process had, with all its heads.";

function costTable(title, columns, rows, caption) {
  // A name without any number beside it is no table.
  if (columns.length < 2) return null;
  return make(
    "div",
    null,
    make("h3", null, title),
    make("p", { class: "caption" }, `${caption} Medians over what passes the filters.`),
    sortableTable(title, columns, rows, 20),
  );
}

function drawCost(body) {
  const [features, heads] = [featureRows(shownCells()), headRows(shownCells())];
  const hint = "Point at a marker, or use the arrow keys, to read it.";
  const words = readout(hint);
  const tell = (mark) =>
    (words.textContent = mark
      ? `${mark.one.cell.backbone} · ${mark.one.name}: ${amountWithUnit(amount(mark.one.value, currentMeasure()), currentMeasure())}, ${plainSeconds(mark.one.time)} per episode`
      : hint);
  const chart = costChart(heads, roomFor(body), tell);
  replace(
    body,
    costTable("Features", featureColumns(features), features, FEATURES_CAPTION),
    costTable(capital(task().heads), headColumns(heads), heads, task().cost_caption),
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
          `Mean ${declared(currentMeasure()).short} over the ${plural(heads[0].shared, "setting")} in which all were judged, against the time that head and queries of one episode take there. The dotted line joins what nothing else beats in both. The vertical axis need not begin at 0.`,
        ),
      ),
  );
}

section("cost", "Cost", { needed: () => shownCells().some((cell) => cell.cost), draw: drawCost });
