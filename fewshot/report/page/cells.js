// Cells: their names, their measures, their place in a curve.
// Keys that a task has beside those of all are named by the task.
const KEYS = Object.assign({}, ...Object.values(payload.tasks).map((one) => one.keys));
const NAMES = {
  ...KEYS,
  task: "Task",
  dataset: "Data set",
  backbone: "Backbone",
  feature: "Feature",
  head: "Head",
  ways: "Ways",
  shots: "Shots",
  seed: "Seed",
};
const TAGS = {
  queries: ["transductive", "sees all queries of an episode together, in random order"],
  unlabelled: [
    "semi-supervised",
    "learns from the unlabelled images of an episode, and classifies every query by itself",
  ],
  query_prior: ["query prior", "assumes the same number of queries of every class"],
  text: ["text", "reads the class names"],
  text_gaussians: ["text Gaussians", "knows what texts of base classes say about their images"],
  base: ["base classes", "knows moments of the base classes, where there are any"],
  base_episodes: ["base episodes", "chooses settings on episodes of the base classes, where there are any"],
};
const POPULATIONS = ["episodes", "images", "classes"];
// In the words of the task: its episodes may be draws.
const populationName = (name) => (name === "episodes" ? `${task().episode}s` : name);

// What the task of the chosen cells says about itself: words, measures, axis, sections.
const task = () => payload.tasks[state.task];
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

const declared = (name) => task().measures[name];
const measureName = (name) => declared(name)?.title ?? name.replaceAll("_", " ");
const isShare = (name) => declared(name)?.fraction ?? true;
// Shares in percent, other measures as they are with a digit more.
const amount = (value, name, digits = 1, sign = false) =>
  isShare(name) ? percent(value, digits, sign) : decimal(value, digits + 1, sign);
const amountWithUnit = (text, name) => (isShare(name) ? `${text} %` : text);
const withUnit = (title, name) => (isShare(name) ? `${title}, %` : title);
const amountTick = (name) => (isShare(name) ? percentTick : (value) => `${Number(value.toPrecision(6))}`);

// Ids for links: the cell's key where it has one.
payload.cells.forEach((cell, i) => {
  cell.index = i;
  cell.id = cell.made && cell.made.key ? cell.made.key.slice(0, 12) : `cell${i}`;
});
const cellById = new Map();
for (const cell of payload.cells) {
  while (cellById.has(cell.id)) cell.id += "x";
  cellById.set(cell.id, cell);
}

// Asked for every row of a table: remembered as long as the list of cells lives.
const differing = new WeakMap();

function several(cells, name) {
  if (!differing.has(cells)) differing.set(cells, {});
  const known = differing.get(cells);
  return (known[name] ??= new Set(cells.map((cell) => cell[name])).size > 1);
}

function measureOf(cell, name, at) {
  const own = cell.measures.filter((one) => one.name === name);
  // A measure of the whole cell is the same whatever part of it is looked at.
  const whole = own.find((one) => one.at === null);
  return own.find((one) => one.at === at) ?? whole ?? (at === null ? own[0] : undefined);
}

const mainName = () =>
  taskCells().find((cell) => cell.measures.length)?.measures[0].name ??
  Object.keys(task().measures)[0];

const boundsOf = (measure, population) => measure?.intervals?.[population] ?? null;

const lowerIsBetter = (name) => declared(name)?.better === "lower";

const estimatorOf = (cell, name) => cell.estimators.find((one) => one.name === name);
const speaker = (cell) => estimatorOf(cell, cell.spokesman);
const shownName = (estimator) => {
  const mark = estimator.sees_queries ? " †" : estimator.sees_unlabelled ? " ‡" : "";
  return `${estimator.name}${mark}`;
};

// Estimators by what they saw; what saw more is not compared as if it had not.
const SAW = ["Saw unlabelled images ‡", "Saw the shots alone", "Saw the labelled queries †"];
const sawOf = (one) => (one.sees_queries ? 2 : one.sees_unlabelled ? 0 : 1);

// In groups; in each the one who speaks comes first, the others as they came.
function estimatorsOf(cell) {
  const rank = (one) => 2 * sawOf(one) + (one.name === cell.spokesman ? 0 : 1);
  return [...cell.estimators].sort((a, b) => rank(a) - rank(b));
}

// The title of the group that an estimator begins, where some saw unlabelled images.
function groupTitle(cell, names, name) {
  if (!cell.estimators.some((one) => one.sees_unlabelled)) return null;
  const group = (each) => sawOf(estimatorOf(cell, each));
  const before = names[names.indexOf(name) - 1];
  return before !== undefined && group(before) === group(name) ? null : SAW[group(name)];
}

const place = (cell) =>
  payload.tasks[cell.task].place.replace(/\{(\w+)\}/g, (_, name) => cell[name] ?? MISSING);

function fullPlace(cell) {
  const feature = several(taskCells(), "feature") && cell.feature ? ` (${cell.feature})` : "";
  const seed = several(taskCells(), "seed") ? `, seed ${cell.seed}` : "";
  const protocol = several(taskCells(), "protocol") ? ` · ${cell.protocol}` : "";
  const drawn = cell.unlabelled ? ` · ${cell.unlabelled}` : "";
  return `${cell.dataset} · ${cell.backbone}${feature} · ${place(cell)}${seed}${protocol}${drawn}`;
}

// What a line in a chart over shots stands for.
const series = (one) => ["backbone", "feature", "head", ...Object.keys(one.keys)];
const severalSeries = (cells) =>
  series(task()).filter((name) => name === "head" || several(cells, name));

const seriesName = (cell, cells) =>
  severalSeries(cells)
    .map((name) => cell[name])
    .filter((text) => text !== null && text !== "")
    .join(" · ");
const seriesKey = (cell) =>
  JSON.stringify(series(payload.tasks[cell.task]).map((name) => cell[name]));
