// Numbers over shots (or over the share of positives): one line per backbone and head.
const isError = () => task().error_of === currentMeasure();

// What is drawn of a cell: the error where the task has one, the measure itself otherwise.
function heightOf(measure) {
  if (!known(measure?.mean)) return null;
  const bounds = boundsOf(measure, currentPopulation());
  if (!isError()) return { mean: measure.mean, bounds };
  return { mean: 1 - measure.mean, bounds: bounds && [1 - bounds[1], 1 - bounds[0]] };
}

function placesOf(cell) {
  if (task().axis.key !== "at")
    return [[cell[task().axis.key], measureOf(cell, currentMeasure(), currentAt())]];
  return cell.measures
    .filter((one) => one.name === currentMeasure() && known(one.at))
    .map((one) => [one.at, one]);
}

const panelOf = (cell, cells) =>
  [cell.dataset, several(cells, "ways") && `${cell.ways}-way`].filter(Boolean).join(", ");

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return groups;
}

// {panel: {series: [{x, mean, bounds, seeds, predicted, cell}]}}
function curvesOf(cells) {
  const panels = new Map();
  for (const [panel, inside] of grouped(cells, (cell) => panelOf(cell, cells))) {
    const lines = new Map();
    for (const [key, own] of grouped(inside, seriesKey)) lines.set(key, lineOf(own));
    panels.set(panel, lines);
  }
  return panels;
}

function lineOf(cells) {
  const pairs = cells.flatMap((cell) =>
    placesOf(cell).map(([x, measure]) => ({ x, cell, height: heightOf(measure) })),
  );
  const places = grouped(
    pairs.filter((one) => one.height),
    (one) => one.x,
  );
  return [...places]
    .map(([x, at]) => ({ x, cell: at[0].cell, ...joined(at) }))
    .sort((a, b) => a.x - b.x);
}

function joined(at) {
  const predictions = at.map((one) => speaker(one.cell)?.predicted).filter(known);
  const predicted = predictions.length ? meanOverSeeds(predictions).mean : null;
  if (at.length === 1) return { ...at[0].height, seeds: 1, predicted };
  return { ...meanOverSeeds(at.map((one) => one.height.mean)), seeds: at.length, predicted };
}

// Series by their mean rank over all places where they stand beside others: best first.
function rankedSeries(panels) {
  const lower = isError() || lowerIsBetter(currentMeasure());
  const ranks = new Map();
  for (const lines of panels.values()) {
    const points = [...lines].flatMap(([key, line]) => line.map((point) => ({ key, ...point })));
    for (const [, at] of grouped(points, (point) => point.x)) {
      at.sort((a, b) => (lower ? a.mean - b.mean : b.mean - a.mean));
      at.forEach((point, i) =>
        ranks.set(point.key, [...(ranks.get(point.key) ?? []), (i + 1) / at.length]),
      );
    }
  }
  const mean = (key) => ranks.get(key).reduce((sum, one) => sum + one, 0) / ranks.get(key).length;
  return [...ranks.keys()].sort((a, b) => mean(a) - mean(b));
}
